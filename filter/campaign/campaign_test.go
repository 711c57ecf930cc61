package campaign_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/filter"
	"postern/filter/campaign"
	"postern/filter/campaign/opinion"
	"postern/filter/campaign/simhash"
	"postern/internal/mailtest/entities"
	"postern/internal/mime"
	"postern/internal/store/storetest/campaigntest"
)

const text = `your mailbox storage limit was exceeded this morning and incoming messages are waiting
in the delivery queue since then please validate the account now by the secure page of the support
team accounts that were not validated within the next working day are closed without notice`

func now() time.Time { return campaigntest.Noon() }

// message is a letter from a network of its own.
func message(n int, from, body string) *filter.Message {
	raw := "From: Support <" + from + ">\r\nSubject: Notice\r\n\r\n" + body + "\r\n"
	tree := mime.Bytes([]byte(raw), mime.DefaultLimits())
	return &filter.Message{
		ID: fmt.Sprintf("id%02d", n), Time: now(), From: from, Body: strings.NewReader(raw), Size: int64(len(raw)),
		Client: filter.Client{IP: netip.AddrFrom4([4]byte{198, 18, byte(n), 7})},
		To:     []filter.Recipient{{Address: "bob@example.com"}}, Parts: func() (*mime.Tree, error) { return tree, nil },
	}
}

func auth(method, result, kind, name, value string) filter.Finding {
	return filter.Finding{Auth: &filter.AuthResult{Method: method, Result: result, Props: []filter.AuthProp{{Type: kind, Name: name, Value: value}}}}
}

type world struct {
	store *campaigntest.Memory
	book  *opinion.Book
	check *campaign.Check
	proof []filter.Finding
	err   error
}

func newWorld() *world {
	w := &world{store: &campaigntest.Memory{}, book: &opinion.Book{Records: &entities.Memory{}, Now: now}}
	w.check = &campaign.Check{
		Store: w.store, Opinions: w.book, Now: now,
		Results: func(context.Context, *filter.Message) ([]filter.Finding, error) { return w.proof, w.err },
		Limits:  func() campaign.Limits { return campaign.Limits{Messages: 10, Sources: 5, Window: time.Hour} },
	}
	return w
}

func (w *world) finds(t *testing.T, m *filter.Message) string {
	t.Helper()
	found, err := w.check.Check(t.Context(), m)
	var out []string
	for _, f := range found {
		if f.Detail == "" {
			t.Errorf("%s says nothing", f.Symbol)
		}
		out = append(out, f.Symbol)
	}
	var could *filter.CouldNot
	if errors.As(err, &could) {
		out = append(out, "failure")
	} else if err != nil {
		t.Error(err)
	}
	return strings.Join(out, " ")
}

func (w *world) say(t *testing.T, word string, authors ...string) {
	t.Helper()
	p, err := campaign.Print(message(1, "a@bulk.example", text))
	if err != nil || p == 0 {
		t.Fatal(p, err)
	}
	if _, err := w.book.Say(t.Context(), opinion.Opinion{Print: p, Word: word, By: "ann", Why: "test", Authors: authors}); err != nil {
		t.Fatal(err)
	}
}

func TestSaid(t *testing.T) {
	pass := auth("dmarc", "pass", "header", "from", "bulk.example")
	for name, c := range map[string]struct {
		word    string
		authors []string
		proof   []filter.Finding
		err     error
		want    string
	}{
		"nothing said":                  {"", nil, nil, nil, ""},
		"bad":                           {opinion.Bad, nil, nil, nil, campaign.Bad},
		"bad, of a sender that sent it": {opinion.Bad, []string{"bulk.example"}, []filter.Finding{pass}, nil, campaign.Bad},
		"bad, of another proved sender": {opinion.Bad, []string{"other.example"}, []filter.Finding{pass}, nil, campaign.Like},
		"bad, and the sender could not be proved":  {opinion.Bad, nil, nil, errors.New("no DNS"), campaign.Like},
		"bad, of a sender that fails":              {opinion.Bad, nil, []filter.Finding{auth("dmarc", "fail", "header", "from", "bulk.example"), auth("dkim", "pass", "header", "d", "bulk.example")}, nil, campaign.Bad},
		"bad, proved without a policy":             {opinion.Bad, nil, []filter.Finding{auth("dmarc", "none", "header", "from", "bulk.example"), auth("spf", "pass", "smtp", "mailfrom", "a@mail.bulk.example")}, nil, campaign.Like},
		"bad, proved for somebody else":            {opinion.Bad, nil, []filter.Finding{auth("dkim", "pass", "header", "d", "esp.example")}, nil, campaign.Bad},
		"reported":                                 {opinion.Reported, nil, nil, nil, campaign.Like},
		"reported, of a sender that sent it":       {opinion.Reported, []string{"bulk.example"}, []filter.Finding{pass}, nil, campaign.Like},
		"reported, of a proved sender that is new": {opinion.Reported, nil, []filter.Finding{pass}, nil, ""},
		"good": {opinion.Good, nil, nil, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			if c.word != "" {
				w.say(t, c.word, c.authors...)
			}
			w.proof, w.err = c.proof, c.err
			if got := w.finds(t, message(2, "a@bulk.example", "Dear Robert "+text)); got != c.want {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

// came puts in copies of a letter.
func (w *world) came(t *testing.T, n int, change func(i int, c *campaign.Copy)) {
	t.Helper()
	p, _ := campaign.Print(message(1, "a@bulk.example", text))
	for i := range n {
		c := campaigntest.Copy(p, i)
		c.At = now().Add(-time.Duration(i) * time.Minute)
		if change != nil {
			change(i, &c)
		}
		if err := w.store.Add(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBurst(t *testing.T) {
	for name, c := range map[string]struct {
		copies int
		change func(i int, c *campaign.Copy)
		from   string
		want   string
	}{
		"enough":                        {9, nil, "a@bulk.example", campaign.Burst},
		"one too few":                   {8, nil, "a@bulk.example", ""},
		"of one sender":                 {50, func(_ int, c *campaign.Copy) { c.Source = "bulk.example" }, "a@bulk.example", ""},
		"of too few":                    {50, func(i int, c *campaign.Copy) { c.Source = fmt.Sprint(i % 3) }, "a@bulk.example", ""},
		"from many long ago":            {9, func(_ int, c *campaign.Copy) { c.At = c.At.Add(-2 * time.Hour) }, "a@bulk.example", ""},
		"no new letter":                 {30, func(i int, c *campaign.Copy) { c.At = c.At.Add(-time.Duration(i) * time.Hour) }, "a@bulk.example", ""},
		"with notices to nobody":        {30, nil, "", ""},
		"variants count":                {9, func(i int, c *campaign.Copy) { c.Print ^= 1 << (i % 3) }, "a@bulk.example", campaign.Burst},
		"letters that are far, do not":  {30, func(_ int, c *campaign.Copy) { c.Print ^= 0xffff }, "a@bulk.example", ""},
		"held and refused copies count": {9, func(_ int, c *campaign.Copy) { c.State = "rejected" }, "a@bulk.example", campaign.Burst},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.came(t, c.copies, c.change)
			if got := w.finds(t, message(200, c.from, text)); got != c.want {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

// TestBurstOff finds no burst where none is configured.
func TestBurstOff(t *testing.T) {
	w := newWorld()
	w.came(t, 50, nil)
	w.check.Limits = func() campaign.Limits { return campaign.Limits{} }
	if got := w.finds(t, message(200, "a@bulk.example", text)); got != "" {
		t.Error(got)
	}
}

// TestStoreAway says what people said without the store, and that it could not tell otherwise.
func TestStoreAway(t *testing.T) {
	w := newWorld()
	w.store.Fail = func() error { return errors.New("away") }
	if got := w.finds(t, message(1, "a@bulk.example", text)); got != "failure" {
		t.Errorf("found %q", got)
	}
	w.say(t, opinion.Bad)
	if got := w.finds(t, message(1, "a@bulk.example", text)); got != campaign.Bad {
		t.Errorf("found %q", got)
	}
	if got := w.finds(t, message(1, "a@bulk.example", "too few words")); got != "" {
		t.Errorf("found %q", got)
	}
}

func outcome(states ...filter.FateState) (o filter.Outcome) {
	for i, s := range states {
		o.Fates = append(o.Fates, filter.Fate{Recipient: fmt.Sprintf("r%d@example.com", i), State: s})
	}
	return o
}

func TestObserver(t *testing.T) {
	many := make([]filter.FateState, campaign.MaxTo+3)
	for i := range many {
		many[i] = filter.Delivered
	}
	for name, c := range map[string]struct {
		o     filter.Outcome
		state string
		to    int
		more  int
	}{
		"delivered":      {outcome(filter.Delivered), "delivered", 1, 0},
		"owed":           {outcome(filter.InOutbox), "delivered", 1, 0},
		"one of two":     {outcome(filter.Held, filter.Delivered), "delivered", 1, 0},
		"held":           {outcome(filter.Held, filter.Rejected), "held", 2, 0},
		"refused":        {outcome(filter.Rejected), "rejected", 1, 0},
		"to come again":  {outcome(filter.Deferred), "", 0, 0},
		"to nobody":      {outcome(), "", 0, 0},
		"to very many":   {outcome(many...), "delivered", campaign.MaxTo, 3},
		"partly put off": {outcome(filter.Deferred, filter.Delivered), "delivered", 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := &campaigntest.Memory{}
			o := &campaign.Observer{Store: s}
			if err := o.Done(t.Context(), message(5, "a@bulk.example", text), c.o); err != nil {
				t.Fatal(err)
			}
			got := copies(t, s)
			if c.state == "" {
				if len(got) > 0 {
					t.Errorf("remembered %+v", got)
				}
				return
			}
			if len(got) != 1 || got[0].State != c.state || len(got[0].To) != c.to || got[0].More != c.more {
				t.Fatalf("remembered %+v", got)
			}
			got[0].To = nil
			want := campaign.Copy{Print: got[0].Print, ID: "id05", At: now(), From: "a@bulk.example", IP: "198.18.5.7", Source: "198.18.5.0/24", Subject: "Notice", More: c.more, State: c.state}
			if d := cmp.Diff(want, got[0]); d != "" {
				t.Error(d)
			}
		})
	}
}

func copies(t *testing.T, s *campaigntest.Memory) []campaign.Copy {
	t.Helper()
	groups, err := s.Recent(t.Context(), time.Time{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	var prints []simhash.Print
	for _, g := range groups {
		prints = append(prints, g.Print)
	}
	out, err := s.Copies(t.Context(), prints, 10)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestObserverLeavesOut remembers neither what goes out nor what cannot be recognised.
func TestObserverLeavesOut(t *testing.T) {
	s := &campaigntest.Memory{}
	o := &campaign.Observer{Store: s}
	out, before, broken := message(1, "a@b.example", text), message(2, "a@b.example", text), message(3, "a@b.example", text)
	out.Direction, before.Body = filter.Outbound, nil
	broken.Parts = func() (*mime.Tree, error) { return nil, errors.New("gone") }
	for _, m := range []*filter.Message{out, before, broken, message(4, "a@b.example", "short")} {
		if err := o.Done(t.Context(), m, outcome(filter.Delivered)); err != nil {
			t.Fatal(err)
		}
	}
	if got := copies(t, s); len(got) > 0 {
		t.Errorf("%+v", got)
	}
	s.Fail = func() error { return errors.New("full") }
	if err := o.Done(t.Context(), message(5, "a@b.example", text), outcome(filter.Delivered)); err == nil {
		t.Error("a copy is lost, and nobody hears of it")
	}
}

// TestCondemned tells of what a scanner or the own list says.
func TestCondemned(t *testing.T) {
	for symbol, want := range map[string]string{"VIRUS": "VIRUS Win.Test", "OWN_BLOCK": "OWN_BLOCK Win.Test", "SPF_FAIL": ""} {
		var got string
		o := &campaign.Observer{Store: &campaigntest.Memory{}, Condemned: func(c campaign.Copy, why string) {
			if got = why; c.ID != "id01" || c.Author != "bulk.example" {
				t.Errorf("%+v", c)
			}
		}}
		out := outcome(filter.Rejected)
		out.Report.Findings = []filter.Finding{auth("dmarc", "pass", "header", "from", "bulk.example"), {Symbol: symbol, Detail: "Win.Test"}}
		if err := o.Done(t.Context(), message(1, "a@bulk.example", text), out); err != nil || got != want {
			t.Errorf("%s: told %q, %v", symbol, got, err)
		}
	}
}

func TestCluster(t *testing.T) {
	group := func(p simhash.Print, n int, at int, sources ...uint64) campaign.Group {
		g := campaign.Group{Print: p, Messages: n, Delivered: 1, First: now().Add(time.Duration(at) * time.Minute), Last: now().Add(time.Duration(at+5) * time.Minute)}
		for _, s := range sources {
			g.Sources = append(g.Sources, campaign.Source{Hash: s})
		}
		return g
	}
	got := campaign.Cluster([]campaign.Group{group(1, 1, 9, 7), group(0xffffffff, 3, 2, 1), group(0, 2, 0, 7, 8), group(3, 1, -5, 9)})
	want := []campaign.Campaign{
		{Print: 0, Prints: []simhash.Print{0, 3, 1}, First: now().Add(-5 * time.Minute), Last: now().Add(14 * time.Minute), Messages: 4, Delivered: 3, Sources: 3},
		{Print: 0xffffffff, Prints: []simhash.Print{0xffffffff}, First: now().Add(2 * time.Minute), Last: now().Add(7 * time.Minute), Messages: 3, Delivered: 1, Sources: 1},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got := campaign.Cluster(nil); len(got) != 0 {
		t.Error(got)
	}
}
