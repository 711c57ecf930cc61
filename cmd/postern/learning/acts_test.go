package learning_test

import (
	"context"
	"fmt"
	"testing"

	"postern/cmd/postern/learning"
	"postern/cmd/postern/recipients"
	"postern/filter/bayes"
	"postern/filter/bayes/train"
	"postern/internal/config"
	"postern/internal/config/value"
	"postern/internal/control"
	"postern/internal/people"
	"postern/quarantine"
)

// do makes a call as somebody.
func (w *world) do(t *testing.T, ctx context.Context, name, id string) {
	t.Helper()
	if err := w.calls.Call(ctx, name, map[string]string{"id": id}, nil); err != nil {
		t.Fatal(name, err)
	}
}

func agent(t *testing.T) context.Context {
	return people.With(control.WithActor(t.Context(), "ann"), people.Principal{Name: "ann", Role: people.Agent})
}

func (w *world) learns(t *testing.T, set func(*value.Learning)) {
	t.Helper()
	cfg := *w.cfg.Load()
	set(&cfg.Learning)
	w.cfg.Store(&cfg)
}

func (w *world) known(t *testing.T, ids ...string) []train.Known {
	t.Helper()
	out, err := call[[]train.Known](t, w, "learn.of", learning.Of{IDs: ids})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (w *world) hold(n int, kind string) string {
	id := fmt.Sprint("h", kind, n)
	w.held[id] = "From: a@" + kind + fmt.Sprint(n) + ".example\r\n" + string(letter(kind, n).Body)
	return id
}

// TestActs: what releasing and deleting teach, by whom, and as the configuration says.
func TestActs(t *testing.T) {
	for name, c := range map[string]struct {
		release, remove, call string
		recipient             bool
		want                  string // class and way
	}{
		"a release of the desk":              {"desk", "none", "quarantine.release", false, "ham release"},
		"a release by a recipient":           {"desk", "none", "recipient.release", true, ""},
		"a release by a recipient, all":      {"all", "none", "recipient.release", true, "ham recipient"},
		"an allowance by a recipient":        {"all", "none", "recipient.allow", true, "ham recipient"},
		"a release where nothing is learned": {"none", "none", "quarantine.release", false, ""},
		"a deletion by default":              {"desk", "none", "quarantine.delete", false, ""},
		"a deletion of the desk":             {"desk", "desk", "quarantine.delete", false, "spam delete"},
		"a deletion by a recipient":          {"desk", "desk", "recipient.delete", true, ""},
		"a deletion by a recipient, all":     {"desk", "all", "recipient.delete", true, "spam recipient"},
	} {
		w := open(t)
		w.learns(t, func(l *value.Learning) { l.Release, l.Delete = c.release, c.remove })
		id := w.hold(1, "pills")
		ctx := agent(t)
		if c.recipient {
			ctx = recipients.As(t.Context(), "bob@example.com")
		}
		w.do(t, ctx, c.call, id)
		got := ""
		for _, k := range w.known(t, id) {
			got += k.Class + " " + k.Via
			if k.By == "" || k.Ref != id {
				t.Errorf("%s: %+v", name, k)
			}
		}
		if got != c.want {
			t.Errorf("%s teaches %q, want %q", name, got, c.want)
		}
	}
}

// TestActsThatSayNothing: of some holds a release says nothing of their words.
func TestActsThatSayNothing(t *testing.T) {
	for name, change := range map[string]func(*quarantine.Hold){
		"outbound":       func(h *quarantine.Hold) { h.Direction = "outbound" },
		"measure":        func(h *quarantine.Hold) { h.Class = quarantine.ByMeasure },
		"evidence":       func(h *quarantine.Hold) { h.Class = quarantine.Evidence },
		"infected":       func(h *quarantine.Hold) { h.Reasons = []quarantine.Reason{{Symbol: "VIRUS"}} },
		"released twice": func(h *quarantine.Hold) { h.State = quarantine.Released },
		"refused": func(h *quarantine.Hold) {
			if h.State != quarantine.Held {
				h.State = quarantine.Refused
			}
		},
	} {
		w := open(t)
		w.change = change
		id := w.hold(1, "pills")
		w.do(t, agent(t), "quarantine.release", id)
		if got := w.known(t, id); len(got) != 0 {
			t.Errorf("%s: learned %+v", name, got)
		}
	}
}

// TestUndoOfARelease: what a release taught is taken back by the hold that is held no more.
func TestUndoOfARelease(t *testing.T) {
	w := open(t)
	id := w.hold(1, "pills")
	w.do(t, agent(t), "quarantine.release", id)
	if got := len(w.counts.All()); got == 0 {
		t.Fatal("nothing was learned")
	}
	delete(w.held, id) // its body is gone
	out, err := call[learning.Taught](t, w, "learn.holds", learning.Holds{Class: "undo", IDs: []string{id}})
	if err != nil || out.States["undone"] != 1 {
		t.Errorf("%+v, %v", out, err)
	}
	if got := w.counts.All(); len(got) != 0 {
		t.Errorf("%d counts are left", len(got))
	}
	if got := w.known(t, id); len(got) != 1 || !got[0].Undone || got[0].Class != "none" {
		t.Errorf("%+v", got)
	}
	var refused *control.Error
	if _, err := call[learning.Taught](t, w, "learn.holds", learning.Holds{Class: "undo", IDs: []string{"other"}}); err == nil {
		t.Error("nothing was taken back, without a word", refused)
	}
}

// TestRecipientsWeighLittle: what one recipient releases is one vote of a sender, and changes
// nothing that the desk said.
func TestRecipientsWeighLittle(t *testing.T) {
	w := open(t)
	w.learns(t, func(l *value.Learning) { l.Release, l.Recipient = value.LearnAll, 2 })
	bob := recipients.As(t.Context(), "bob@example.com")
	mine := w.hold(1, "pills")
	if _, err := call[learning.Taught](t, w, "learn.holds", learning.Holds{Class: "spam", IDs: []string{mine}}); err != nil {
		t.Fatal(err)
	}
	for n := 1; n < 8; n++ {
		w.do(t, bob, "recipient.release", w.hold(n, "pills"))
	}
	status, err := call[train.Status](t, w, "learn.status", struct{}{})
	if err != nil || status.Scopes[0].Spam != 1 || status.Scopes[0].Ham != 2 {
		t.Errorf("%+v, %v", status, err)
	}
}

func TestReported(t *testing.T) {
	w := open(t)
	cfg := *w.cfg.Load()
	cfg.Routes = map[string]config.Route{"example.com": {}}
	w.cfg.Store(&cfg)
	text := letter("pills", 1).Body
	for n, step := range []struct {
		on       bool
		reporter string
		want     int
	}{{false, "bob@example.com", 0}, {true, "mallory@else.example", 0}, {true, "bob@example.com", 1}} {
		w.learns(t, func(l *value.Learning) { l.Report = step.on })
		w.Reported(t.Context(), step.reporter, "r1", text)
		got := w.known(t, "r1")
		if len(got) != step.want {
			t.Errorf("step %d: %+v", n, got)
		}
		if len(got) == 1 && (got[0].Class != bayes.Spam.String() || got[0].Via != train.ViaReport) {
			t.Errorf("%+v", got)
		}
	}
}
