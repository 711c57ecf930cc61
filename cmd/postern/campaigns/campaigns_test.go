package campaigns_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/blocklist"
	"postern/cmd/postern/campaigns"
	"postern/filter"
	"postern/filter/campaign"
	"postern/filter/campaign/simhash"
	"postern/internal/config"
	"postern/internal/config/value"
	"postern/internal/control"
	"postern/internal/mailtest/entities"
	"postern/internal/mime"
	"postern/internal/people"
	"postern/internal/store/storetest/campaigntest"
	"postern/quarantine"
)

const text = `your mailbox storage limit was exceeded this morning and incoming messages are waiting
in the delivery queue since then please validate the account now by the secure page of the support
team accounts that were not validated within the next working day are closed without notice`

const other = `thank you for the minutes of the meeting on thursday i have added the two points about the
old paper files and the delivery of the new shelves to the agenda and will ask everybody to bring
figures for the next quarter please tell me whether the room upstairs can be used`

type world struct {
	*campaigns.Campaigns
	t     *testing.T
	cfg   atomic.Pointer[config.Config]
	store *campaigntest.Memory
	calls *control.Server
	held  map[string]quarantine.Hold

	mu     sync.Mutex
	audit  []string
	alerts map[string]string
	heard  chan struct{}
}

func open(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, store: &campaigntest.Memory{}, calls: control.NewServer(), held: map[string]quarantine.Hold{}, alerts: map[string]string{}, heard: make(chan struct{}, 100)}
	w.cfg.Store(config.Default())
	w.Campaigns = w.node(&entities.Memory{})
	control.Handle(w.calls, "quarantine.delete", func(_ context.Context, p struct{ ID string }) (string, error) {
		h, ok := w.held[p.ID]
		if !ok {
			return "", quarantine.ErrNotFound
		}
		h.State = quarantine.Deleted
		w.held[p.ID] = h
		return p.ID, nil
	})
	control.Handle(w.calls, "blocklist.add", func(context.Context, blocklist.Entry) (string, error) { return "", nil })
	w.Handle(w.calls, w)
	return w
}

func (w *world) node(records *entities.Memory) *campaigns.Campaigns {
	return campaigns.New(w.t.Context(), campaigns.Parts{
		Config: &w.cfg, Store: w.store, Records: records, Now: campaigntest.Noon, Log: slog.New(slog.NewTextHandler(w.t.Output(), nil)),
		Audit: func(_ context.Context, actor, action, object string, _, _ any, note string) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.audit = append(w.audit, strings.Join([]string{actor, action, object, note}, "|"))
			w.heard <- struct{}{}
			return nil
		},
		Event: func(key, text string, over bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if over {
				delete(w.alerts, key)
			} else {
				w.alerts[key] = text
			}
		},
	})
}

func (w *world) alert(p simhash.Print) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.alerts["campaign:"+p.String()]
}

// Show implements campaigns.Held.
func (w *world) Show(_ context.Context, id string) (quarantine.Hold, error) {
	h, ok := w.held[id]
	if !ok {
		return h, quarantine.ErrNotFound
	}
	return h, nil
}

// Raw implements campaigns.Held.
func (w *world) Raw(context.Context, string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(raw("Dear Robert " + text))), nil
}

func raw(text string) string {
	return "From: a@bulk.example\r\nSubject: Notice\r\n\r\n" + text + "\r\n"
}

func printOf(text string) simhash.Print {
	return simhash.Of(mime.Bytes([]byte(raw(text)), mime.DefaultLimits()).Text())
}

// came lets a copy of a letter come in, with what was found in it.
func (w *world) came(n int, text string, state filter.FateState, symbols ...string) {
	w.t.Helper()
	body := raw(text)
	tree := mime.Bytes([]byte(body), mime.DefaultLimits())
	m := &filter.Message{
		ID: fmt.Sprintf("id%02d", n), Time: campaigntest.Noon().Add(time.Duration(n) * time.Minute), From: fmt.Sprintf("a@s%d.bulk.example", n), Body: strings.NewReader(body), Size: int64(len(body)),
		Client: filter.Client{IP: netip.AddrFrom4([4]byte{198, 18, byte(n), 7})}, Parts: func() (*mime.Tree, error) { return tree, nil },
	}
	o := filter.Outcome{Fates: []filter.Fate{{Recipient: fmt.Sprintf("r%d@example.com", n), State: state}}}
	for _, s := range symbols {
		o.Report.Findings = append(o.Report.Findings, filter.Finding{Symbol: s, Detail: "Win.Test"})
	}
	if err := w.Observer().Done(w.t.Context(), m, o); err != nil {
		w.t.Fatal(err)
	}
}

// finds is what the check finds in a letter.
func (w *world) finds(text string) string {
	w.t.Helper()
	found, err := w.Check().Check(w.t.Context(), letterOf(text))
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, f := range found {
		out = append(out, f.Symbol)
	}
	return strings.Join(out, " ")
}

// letterOf is a message on its way.
func letterOf(text string) *filter.Message {
	tree := mime.Bytes([]byte(raw(text)), mime.DefaultLimits())
	return &filter.Message{From: "a@b.example", Parts: func() (*mime.Tree, error) { return tree, nil }}
}

func call[R any](w *world, name string, params any) (R, error) {
	w.t.Helper()
	var out R
	err := w.calls.As(control.Self(), "").Call(w.t.Context(), name, params, &out)
	return out, err
}

func refusal(err error) string {
	var e *control.Error
	if errors.As(err, &e) {
		return string(e.Kind)
	}
	return fmt.Sprint(err)
}

func TestListAndShow(t *testing.T) {
	w := open(t)
	for n := range 3 {
		w.came(n, "Dear "+[]string{"Ann", "Bob", "Eve"}[n]+" "+text, filter.Delivered)
	}
	w.came(9, text, filter.Held)
	w.came(10, other, filter.Delivered)
	got, err := call[campaigns.Listed](w, "campaign.list", campaigns.List{})
	if err != nil || len(got.Campaigns) != 1 || got.More {
		t.Fatalf("%+v, %v", got, err)
	}
	c := got.Campaigns[0]
	if c.Messages != 4 || c.Delivered != 3 || c.Sources != 4 || c.Subject != "Notice" || len(c.Senders) != 4 || c.Said != nil || !c.First.Equal(campaigntest.Noon()) {
		t.Errorf("%+v", c)
	}
	if all, err := call[campaigns.Listed](w, "campaign.list", campaigns.List{Copies: 1}); err != nil || len(all.Campaigns) != 2 {
		t.Errorf("%+v, %v", all, err)
	}
	if one, err := call[campaigns.Listed](w, "campaign.list", campaigns.List{Copies: 1, Limit: 1}); err != nil || len(one.Campaigns) != 1 || !one.More {
		t.Errorf("%+v, %v", one, err)
	}
	if late, err := call[campaigns.Listed](w, "campaign.list", campaigns.List{Since: campaigntest.Noon().Add(10 * time.Minute), Copies: 1}); err != nil || len(late.Campaigns) != 1 || late.Campaigns[0].Messages != 1 {
		t.Errorf("%+v, %v", late, err)
	}
	shown, err := call[campaigns.Shown](w, "campaign.show", campaigns.Show{Print: c.Print})
	if err != nil || shown.Messages != 4 || len(shown.Copies) != 4 || shown.Copies[0].ID != "id09" || shown.Copies[0].State != "held" {
		t.Errorf("%+v, %v", shown, err)
	}
}

func TestMark(t *testing.T) {
	w := open(t)
	w.came(1, text, filter.Delivered)
	w.came(2, "Dear Bob "+text, filter.Delivered)
	p := printOf(text)
	for _, c := range []struct {
		mark  campaigns.Mark
		found string
		audit string
	}{
		{campaigns.Mark{Word: "bad", Reason: "phishing"}, campaign.Bad, "campaign-mark|" + p.String() + "|phishing; 2 delivered"},
		{campaigns.Mark{Word: "good", Reason: "a mistake"}, "", "campaign-mark|" + p.String() + "|a mistake; 2 delivered"},
		{campaigns.Mark{Word: "forget", Reason: "who knows"}, "", "campaign-mark|" + p.String() + "|who knows"},
	} {
		c.mark.Print = p.String()
		got, err := call[campaigns.Shown](w, "campaign.mark", c.mark)
		if err != nil || got.Delivered != 2 || (got.Said == nil) != (c.mark.Word == "forget") || got.Said != nil && got.Said.Word != c.mark.Word {
			t.Errorf("%s: %+v, %v", c.mark.Word, got, err)
		}
		if found := w.finds("Dear Eve " + text); found != c.found {
			t.Errorf("%s: a copy has %q", c.mark.Word, found)
		}
		if last := w.audit[len(w.audit)-1]; !strings.HasSuffix(last, c.audit) {
			t.Errorf("%s: %s", c.mark.Word, last)
		}
	}
	if bad, err := call[campaigns.Listed](w, "campaign.list", campaigns.List{Word: "bad"}); err != nil || len(bad.Campaigns) != 0 {
		t.Errorf("%+v, %v", bad, err)
	}
}

// TestMarkUnseen marks a letter of which nothing is kept: its print came from elsewhere.
func TestMarkUnseen(t *testing.T) {
	w := open(t)
	got, err := call[campaigns.Shown](w, "campaign.mark", campaigns.Mark{Print: printOf(text).String(), Word: "bad", Reason: "seen elsewhere"})
	if err != nil || got.Said == nil || len(got.Copies) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if found := w.finds(text); found != campaign.Bad {
		t.Errorf("found %q", found)
	}
}

func TestRefusals(t *testing.T) {
	w := open(t)
	p := printOf(text).String()
	for _, c := range []struct {
		call   string
		params any
		want   control.Kind
	}{
		{"campaign.show", campaigns.Show{Print: "x"}, control.Invalid},
		{"campaign.show", campaigns.Show{Print: p}, control.NotFound},
		{"campaign.mark", campaigns.Mark{Print: "x", Word: "bad", Reason: "r"}, control.Invalid},
		{"campaign.mark", campaigns.Mark{Print: p, Word: "reported", Reason: "r"}, control.Invalid},
		{"campaign.mark", campaigns.Mark{Print: p, Word: "bad", Reason: " "}, control.Invalid},
		{"campaign.mark", campaigns.Mark{Print: p, Word: "forget", Reason: "r"}, control.NotFound},
	} {
		if _, err := call[campaigns.Shown](w, c.call, c.params); refusal(err) != string(c.want) {
			t.Errorf("%s %+v: %v", c.call, c.params, err)
		}
	}
	w.store.Fail = func() error { return errors.New("away") }
	for _, c := range []string{"campaign.list", "campaign.show", "campaign.mark"} {
		params := any(campaigns.Show{Print: p})
		switch c {
		case "campaign.list":
			params = campaigns.List{}
		case "campaign.mark":
			params = campaigns.Mark{Print: p, Word: "bad", Reason: "r"}
		}
		if _, err := call[campaigns.Shown](w, c, params); err == nil {
			t.Errorf("%s answers without the store", c)
		}
	}
}

// TestCondemned finds what was delivered of a letter in which a virus is found later.
func TestCondemned(t *testing.T) {
	w := open(t)
	w.came(1, text, filter.Delivered)
	w.came(2, "Dear Bob "+text, filter.Delivered)
	w.came(3, other, filter.Delivered)
	w.came(4, "Dear Eve "+text, filter.Rejected, "VIRUS")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Loops()["campaigns found"](ctx) }()
	<-w.heard
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	said := w.alert(printOf("Dear Eve " + text))
	for _, want := range []string{"VIRUS Win.Test", "2 copies", "r1@example.com", "r2@example.com", "id01", "id02", "postern campaign show"} {
		if !strings.Contains(said, want) {
			t.Errorf("the alert says nothing of %s: %s", want, said)
		}
	}
	if strings.Contains(said, "r4@") || len(w.alerts) != 1 {
		t.Errorf("told of what nobody got: %v", w.alerts)
	}
	if found := w.finds(text); found != campaign.Like {
		t.Errorf("a copy has %q", found)
	}
	if !strings.Contains(w.audit[0], "postern|campaign-reported|") {
		t.Error(w.audit)
	}
	if _, err := call[campaigns.Shown](w, "campaign.mark", campaigns.Mark{Print: printOf("Dear Eve " + text).String(), Word: "good", Reason: "looked at it"}); err != nil || len(w.alerts) != 0 {
		t.Errorf("the alert stands after somebody spoke: %v, %v", w.alerts, err)
	}
}

// TestCondemnedUnseen notes a letter of which nothing was delivered, without an alert.
func TestCondemnedUnseen(t *testing.T) {
	w := open(t)
	w.Reported(t.Context(), "bob@example.com", "R-1", []byte("Subject: x\n\n"+text+"\n"))
	if found := w.finds(text); found != campaign.Like || len(w.alerts) != 0 {
		t.Errorf("found %q, told %v", found, w.alerts)
	}
	w.Reported(t.Context(), "bob@example.com", "R-2", []byte("Subject: x\n\ntoo short\n"))
	if len(w.audit) != 1 {
		t.Error(w.audit)
	}
}

func TestReported(t *testing.T) {
	w := open(t)
	w.came(1, text, filter.Delivered)
	w.Reported(t.Context(), "bob@example.com", "R-1", []byte("Subject: x\n\nDear Bob "+text+"\n"))
	if said := w.alert(printOf("Dear Bob " + text)); !strings.Contains(said, "reported by bob@example.com (R-1)") || !strings.Contains(said, "id01") {
		t.Errorf("told %v", w.alerts)
	}
	w.Reported(t.Context(), "eve@example.com", "R-2", []byte("Subject: x\n\nDear Eve "+text+"\n"))
	if len(w.audit) != 1 || len(w.alerts) != 1 {
		t.Errorf("a second report: %v, %v", w.audit, w.alerts)
	}
}

// TestDeleted takes the desk's deleting for its word, and nobody else's.
func TestDeleted(t *testing.T) {
	hold := quarantine.Hold{ID: "h1", State: quarantine.Held, Class: quarantine.ByVerdict, Direction: "inbound"}
	for name, c := range map[string]struct {
		change func(w *world, h *quarantine.Hold)
		who    *people.Principal
		want   string
	}{
		"by the desk":               {nil, nil, campaign.Bad},
		"by a user of the desk":     {nil, &people.Principal{Name: "ann", Role: people.Agent}, campaign.Bad},
		"by a domain admin":         {nil, &people.Principal{Name: "dora", Role: people.Agent, Domains: []string{"example.com"}}, ""},
		"by its recipient":          {nil, &people.Principal{Name: "bob", Role: people.Recipient}, ""},
		"sent by one of ours":       {func(_ *world, h *quarantine.Hold) { h.Direction = "outbound" }, nil, ""},
		"an evidence copy":          {func(_ *world, h *quarantine.Hold) { h.Class = quarantine.Evidence }, nil, ""},
		"where that teaches nobody": {func(w *world, _ *quarantine.Hold) { w.set(func(c *value.Campaigns) { c.Delete = value.LearnNone }) }, nil, ""},
		"with all of it off":        {func(w *world, _ *quarantine.Hold) { w.set(func(c *value.Campaigns) { c.On = false }) }, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			w.came(1, text, filter.Delivered)
			h := hold
			if c.change != nil {
				c.change(w, &h)
			}
			w.held["h1"] = h
			ctx := t.Context()
			if c.who != nil {
				ctx = people.With(ctx, *c.who)
			}
			if err := w.calls.As(control.Self(), "").Call(ctx, "quarantine.delete", map[string]string{"ID": "h1"}, nil); err != nil {
				t.Fatal(err)
			}
			w.set(func(c *value.Campaigns) { c.On = true })
			if found := w.finds(text); found != c.want {
				t.Errorf("a copy has %q, want %q", found, c.want)
			}
			if told := len(w.alerts) > 0; told != (c.want != "") {
				t.Errorf("told %v", w.alerts)
			}
		})
	}
}

func (w *world) set(change func(c *value.Campaigns)) {
	cfg := *w.cfg.Load()
	change(&cfg.Campaigns)
	w.cfg.Store(&cfg)
}

// TestDeletedButGood leaves what the desk called good.
func TestDeletedButGood(t *testing.T) {
	w := open(t)
	if _, err := call[campaigns.Shown](w, "campaign.mark", campaigns.Mark{Print: printOf(text).String(), Word: "good", Reason: "ours"}); err != nil {
		t.Fatal(err)
	}
	w.held["h1"] = quarantine.Hold{ID: "h1", State: quarantine.Held, Class: quarantine.ByVerdict, Direction: "inbound"}
	if _, err := call[string](w, "quarantine.delete", map[string]string{"ID": "h1"}); err != nil {
		t.Fatal(err)
	}
	if found := w.finds(text); found != "" {
		t.Errorf("found %q", found)
	}
	if _, err := call[string](w, "quarantine.delete", map[string]string{"ID": "none"}); err == nil {
		t.Error("what is not there was deleted")
	}
}

// TestListed reports the letters that a sender had delivered who is put on the block list.
func TestListed(t *testing.T) {
	for value, want := range map[string]string{
		"bulk.example": campaign.Like, "s1.bulk.example": campaign.Like, "A@s1.bulk.example": campaign.Like, "198.18.1.0/24": campaign.Like, "198.18.1.7": campaign.Like,
		"other.example": "", "b@s1.bulk.example": "", "198.18.9.0/24": "", "ulk.example": "", "": "",
	} {
		w := open(t)
		w.came(1, text, filter.Delivered)
		w.came(2, other, filter.Held)
		_, err := call[string](w, "blocklist.add", blocklist.Entry{Value: value, Scope: "all"})
		if found := w.finds(text); err != nil || found != want {
			t.Errorf("%q: a copy has %q, want %q, %v", value, found, want, err)
		}
		if found := w.finds(other); found != "" {
			t.Errorf("%q: what nobody got has %q", value, found)
		}
	}
	w := open(t)
	w.came(1, text, filter.Delivered)
	for _, e := range []blocklist.Entry{{Value: "bulk.example", Scope: "all", Allow: true}, {Value: "bulk.example", Scope: "domain:example.com"}} {
		if _, err := call[string](w, "blocklist.add", e); err != nil || w.finds(text) != "" {
			t.Errorf("%+v: %q, %v", e, w.finds(text), err)
		}
	}
}

// TestManyCondemned counts none twice with several nodes at once.
func TestManyCondemned(t *testing.T) {
	w := open(t)
	records := &entities.Memory{}
	nodes := []*campaigns.Campaigns{w.node(records), w.node(records), w.node(records)}
	w.came(1, text, filter.Delivered)
	var all sync.WaitGroup
	for _, n := range nodes {
		all.Go(func() { n.Reported(t.Context(), "bob@example.com", "R-1", []byte("Subject: x\n\n"+text+"\n")) })
	}
	all.Wait()
	if len(w.audit) != 1 || len(w.alerts) != 1 {
		t.Errorf("%v, %v", w.audit, w.alerts)
	}
}

func TestOff(t *testing.T) {
	w := open(t)
	w.set(func(c *value.Campaigns) { c.On = false })
	w.came(1, text, filter.Delivered)
	w.Reported(t.Context(), "bob@example.com", "R-1", []byte("Subject: x\n\n"+text+"\n"))
	if n, _, err := w.store.Size(t.Context()); err != nil || n != 0 || len(w.audit) != 0 || w.finds(text) != "" {
		t.Errorf("%d letters, %v, %v", n, err, w.audit)
	}
}

// TestLoops ends all that runs with its context.
func TestLoops(t *testing.T) {
	w := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	names := []string{}
	for name, loop := range w.Loops() {
		names = append(names, name)
		all.Go(func() {
			if err := loop(ctx); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	cancel()
	all.Wait()
	if slices.Sort(names); !slices.Equal(names, []string{"campaigns", "campaigns found", "campaigns said"}) {
		t.Error(names)
	}
}
