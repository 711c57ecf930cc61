package measure_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse/measure"
	"postern/abuse/measure/guard"
	"postern/abuse/signal"
	"postern/internal/mailtest/measures"
	"postern/internal/said"
)

// connector is a scripted system beside ours.
type connector struct {
	can    measure.Capabilities
	state  map[string]string // by account
	lies   bool              // says yes and does nothing
	broken error
	killed []string
	calls  int
}

func (c *connector) Name() string                       { return "panel" }
func (c *connector) Capabilities() measure.Capabilities { return c.can }
func (c *connector) Apply(_ context.Context, m measure.Measure) (string, error) {
	c.calls++
	if c.broken != nil {
		return "", c.broken
	}
	before := c.state[m.Target]
	if !c.lies {
		c.state[m.Target] = "off"
	}
	return "was " + before, nil
}

func (c *connector) Verify(_ context.Context, m measure.Measure, _ string) (bool, error) {
	return c.state[m.Target] == "off", c.broken
}

func (c *connector) Undo(_ context.Context, m measure.Measure, handle string) error {
	if c.broken == nil {
		c.state[m.Target] = strings.TrimPrefix(handle, "was ")
	}
	return c.broken
}

func (c *connector) KillSessions(_ context.Context, account string) error {
	c.killed = append(c.killed, account)
	return nil
}

// held is mail that measures hold.
type held struct {
	ids      []string
	spam     map[string]bool
	released []string
	kept     []string
}

func (h *held) Held(_ context.Context, _ string, limit int) ([]string, error) {
	return slices.Clone(h.ids[:min(limit, len(h.ids))]), nil
}
func (h *held) Rescan(_ context.Context, id string) (bool, string, error) {
	return !h.spam[id], "it is spam", nil
}
func (h *held) drop(id string) {
	h.ids = slices.DeleteFunc(h.ids, func(x string) bool { return x == id })
}
func (h *held) Release(_ context.Context, id, _ string) error {
	h.drop(id)
	h.released = append(h.released, id)
	return nil
}
func (h *held) Keep(_ context.Context, id, _ string) error {
	h.drop(id)
	h.kept = append(h.kept, id)
	return nil
}

type world struct {
	*measures.World
	notes  []string
	active int // accounts
}

func newWorld(t *testing.T, change ...func(*measure.Parts)) *world {
	w := &world{active: 1000}
	w.World = measures.New(t, time.Date(2030, 3, 4, 9, 0, 0, 0, time.UTC), []string{"a", "b", "c", "d", "e", "login"}, func(_ *measures.World, p *measure.Parts) {
		p.Protected, p.Population = guard.Protect([]string{"vip@example.com", "@desk.example"}), func(string) int { return w.active }
		p.Note = func(_ context.Context, id, action string, text said.Words) error {
			w.notes = append(w.notes, id+" "+action+" "+text.English)
			return nil
		}
		for _, f := range change {
			f(p)
		}
	})
	return w
}

func (w *world) pass(d time.Duration) {
	w.T.Helper()
	w.Now = w.Now.Add(d)
	w.Look()
	if err := w.Desk.Tend(w.T.Context()); err != nil {
		w.T.Fatal(err)
	}
}

// speak makes strong signals of families: "ABC", with a small l for an anomaly of logins.
func speak(account, families string) (out []signal.Signal) {
	for _, f := range families {
		s := signal.Signal{Family: signal.Family(f), Rule: strings.ToLower(string(f)), Account: account, Weight: 50, Detail: "seen"}
		if f == 'l' {
			s.Family, s.Rule, s.Login = signal.Behaviour, "login", true
		}
		out = append(out, s)
	}
	return out
}

func (w *world) propose(account, families string, loud bool) measure.Decision {
	w.T.Helper()
	d, err := w.Desk.Propose(w.T.Context(), measure.Proposal{Account: account, Signals: speak(account, families), Loud: loud, Case: "A-2030-000001"})
	if err != nil {
		w.T.Fatal(err)
	}
	return d
}

func (w *world) apply(r measure.Request) measure.Measure {
	w.T.Helper()
	if r.Actor == "" {
		r.Actor = "ada"
	}
	if r.Reason == "" {
		r.Reason = "spam"
	}
	m, err := w.Desk.Apply(w.T.Context(), r)
	if err != nil {
		w.T.Fatal(err)
	}
	return m
}

var errBroken = errors.New("no route to host")

func touch(t testing.TB, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
