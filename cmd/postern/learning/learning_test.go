package learning_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postern/cmd/postern/learning"
	"postern/filter"
	"postern/filter/bayes"
	"postern/filter/bayes/train"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/mailtest/entities"
	"postern/internal/mime"
	"postern/internal/store/storetest/bayestest"
	"postern/quarantine"
)

type world struct {
	*learning.Learning
	counts *bayestest.Memory
	calls  *control.Server
	cfg    atomic.Pointer[config.Config]
	audit  []string
	held   map[string]string
	state  map[string]quarantine.State
	change func(*quarantine.Hold)
}

// Show implements learning.Held.
func (w *world) Show(_ context.Context, id string) (quarantine.Hold, error) {
	text, ok := w.held[id]
	if !ok {
		return quarantine.Hold{}, fmt.Errorf("%s: %w", id, quarantine.ErrNotFound)
	}
	h := quarantine.Hold{ID: id, State: quarantine.Held, Class: quarantine.ByVerdict, Direction: "inbound", To: []string{"bob@example.com"}, Size: int64(len(text))}
	if s := w.state[id]; s != "" {
		h.State = s
	}
	if w.change != nil {
		w.change(&h)
	}
	return h, nil
}

// Raw implements learning.Held.
func (w *world) Raw(_ context.Context, id string) (io.ReadCloser, error) {
	if text, ok := w.held[id]; ok {
		return io.NopCloser(strings.NewReader(text)), nil
	}
	return nil, fmt.Errorf("%s: %w", id, quarantine.ErrNotFound)
}

func (w *world) parts() learning.Parts {
	return learning.Parts{
		Config: &w.cfg, Records: &entities.Memory{}, Counts: w.counts, Home: config.HomeLocal, Key: []byte("a key of this node"), Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Audit: func(_ context.Context, actor, action, object string, _, after any, note string) error {
			w.audit = append(w.audit, fmt.Sprint(actor, " ", action, " ", after, " ", strings.TrimSpace(note)))
			return nil
		},
	}
}

func open(t *testing.T) *world {
	t.Helper()
	w := &world{counts: &bayestest.Memory{}, held: map[string]string{}, state: map[string]quarantine.State{}, calls: control.NewServer()}
	cfg := config.Default()
	cfg.Learning.Domains = []string{"shop.example"}
	cfg.Learning.Aside = 0
	w.cfg.Store(cfg)
	var err error
	if w.Learning, err = learning.New(w.parts()); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]quarantine.State{
		"quarantine.release": quarantine.Released, "quarantine.delete": quarantine.Deleted, "recipient.release": quarantine.Released, "recipient.allow": quarantine.Releasing, "recipient.delete": quarantine.Deleted,
	} {
		control.Handle(w.calls, name, func(_ context.Context, p struct{ ID, Note, Address string }) (string, error) {
			if w.state[p.ID] == "" {
				w.state[p.ID] = to
			}
			return p.ID, nil
		})
	}
	w.Handle(w.calls, w)
	return w
}

func call[R any](t *testing.T, w *world, name string, params any) (R, error) {
	t.Helper()
	var out R
	err := w.calls.As(control.Self(), "").Call(t.Context(), name, params, &out)
	return out, err
}

func letter(kind string, n int) learning.Letter {
	text := map[string]string{
		"pills":    "buy cheap pills without prescription from our discreet pharmacy today, shipped worldwide overnight",
		"meetings": "please find attached the agenda for the meeting about budgets which Bob will chair next quarter",
	}[kind]
	return learning.Letter{Ref: fmt.Sprint(kind, n), Body: fmt.Appendf(nil, "Message-ID: <%d@%s>\nSubject: about %s\n\n%s\n", n, kind, kind, text)}
}

func teach(t *testing.T, w *world, class, domain, kind string, n int) learning.Taught {
	t.Helper()
	p := learning.Messages{Class: class, Domain: domain}
	for i := range n {
		p.All = append(p.All, letter(kind, i))
	}
	out, err := call[learning.Taught](t, w, "learn.messages", p)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func says(t *testing.T, w *world, kind, to string) string {
	t.Helper()
	tree := mime.Bytes(letter(kind, 1000).Body, mime.DefaultLimits())
	found, err := w.Check().Check(t.Context(), &filter.Message{To: []filter.Recipient{{Address: to}}, Parts: func() (*mime.Tree, error) { return tree, nil }})
	if err != nil || len(found) > 1 {
		t.Fatal(found, err)
	}
	if len(found) == 0 {
		return ""
	}
	return found[0].Symbol
}

func TestMessages(t *testing.T) {
	w := open(t)
	spam := teach(t, w, "spam", "", "pills", 40)
	teach(t, w, "ham", "", "meetings", 40)
	if spam.States[train.Learned] != 40 || len(spam.Results) != 40 || !filter.ValidID(spam.Run) {
		t.Errorf("%+v", spam.States)
	}
	if got := says(t, w, "pills", "a@b.example"); got != bayes.Bayes95 {
		t.Errorf("of spam it says %q", got)
	}
	if got := says(t, w, "meetings", "a@b.example"); got != bayes.Bayes05 {
		t.Errorf("of good mail it says %q", got)
	}
	status, err := call[train.Status](t, w, "learn.status", struct{}{})
	if err != nil || len(status.Scopes) != 2 || status.Scopes[0].Spam != 40 || status.Scopes[0].Ham != 40 || status.Scopes[1].Domain != "shop.example" {
		t.Errorf("%+v, %v", status, err)
	}
	back, err := call[learning.Undone](t, w, "learn.undo", train.Back{Run: spam.Run})
	if err != nil || back.Messages != 40 {
		t.Errorf("%+v, %v", back, err)
	}
	if got := says(t, w, "pills", "a@b.example"); got != "" {
		t.Errorf("of what was taken back it says %q", got)
	}
	if len(w.audit) != 3 || !strings.Contains(w.audit[0], "learn map[learned:40] spam") || !strings.Contains(w.audit[2], "learn-undo 40 messages") {
		t.Errorf("audit %q", w.audit)
	}
}

func TestDomain(t *testing.T) {
	w := open(t)
	teach(t, w, "spam", "shop.example", "pills", 30)
	teach(t, w, "ham", "shop.example", "meetings", 30)
	if got := says(t, w, "pills", "a@shop.example"); got != bayes.Bayes95 {
		t.Errorf("to the domain it says %q", got)
	}
	if got := says(t, w, "pills", "a@else.example"); got != "" {
		t.Errorf("to another domain it says %q", got)
	}
}

func TestHolds(t *testing.T) {
	w := open(t)
	w.held["h1"] = string(letter("pills", 1).Body)
	out, err := call[learning.Taught](t, w, "learn.holds", learning.Holds{Class: "spam", IDs: []string{"h1"}})
	if err != nil || out.States[train.Learned] != 1 || out.Results[0].Ref != "h1" {
		t.Errorf("%+v, %v", out, err)
	}
	if out := teach(t, w, "forget", "", "pills", 2); out.States[train.Forgotten] != 1 || out.States[train.Unknown] != 1 {
		t.Errorf("%+v", out.States) // the same message from a file
	}
	var refused *control.Error
	if _, err := call[learning.Taught](t, w, "learn.holds", learning.Holds{Class: "spam", IDs: []string{"h2"}}); !errors.As(err, &refused) || refused.Kind != control.NotFound {
		t.Errorf("a hold that is not there: %v", err)
	}
}

func TestRefused(t *testing.T) {
	w := open(t)
	one := []learning.Letter{letter("x", 1)}
	for what, p := range map[string]learning.Messages{
		"class is spam":     {Class: "junk", All: one},
		"class is":          {Class: "none", All: one},
		"between 1 and 64":  {Class: "spam"},
		"between 1 and":     {Class: "spam", All: make([]learning.Letter, 65)},
		"learning.domains":  {Class: "spam", Domain: "other.example", All: one},
		"none of ours":      {Class: "spam", Run: "x", All: one},
		"between 1 and 671": {Class: "spam", All: []learning.Letter{{Ref: "a"}}},
	} {
		var refused *control.Error
		if _, err := call[learning.Taught](t, w, "learn.messages", p); !errors.As(err, &refused) || refused.Kind != control.Invalid || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for kind, back := range map[control.Kind]train.Back{control.Invalid: {}, control.NotFound: {Run: "x"}} {
		var refused *control.Error
		if _, err := call[learning.Undone](t, w, "learn.undo", back); !errors.As(err, &refused) || refused.Kind != kind {
			t.Errorf("%+v: %v", back, err)
		}
	}
}

func TestKey(t *testing.T) {
	w := open(t)
	file := filepath.Join(t.TempDir(), "key")
	for text, fine := range map[string]bool{
		"# old\n" + strings.Repeat("ab", 32) + "\n": true, "": false, "zz\n": false, "abab\n": false,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg := config.Default()
		cfg.Learning.KeyFile = file
		w.cfg.Store(cfg)
		if _, err := learning.New(w.parts()); (err == nil) != fine {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestRun: what a home lost is counted anew from the journal.
func TestRun(t *testing.T) {
	w := open(t)
	teach(t, w, "spam", "", "pills", 40)
	teach(t, w, "ham", "", "meetings", 40)
	whole := len(w.counts.All())
	if err := w.counts.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	for deadline := time.Now().Add(30 * time.Second); len(w.counts.All()) < whole && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := len(w.counts.All()); got != whole {
		t.Errorf("%d counts, want %d", got, whole)
	}
}
