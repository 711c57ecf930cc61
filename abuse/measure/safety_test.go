package measure_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/said"

	"pgregory.net/rapid"

	"postern/abuse"
	"postern/abuse/measure"
	"postern/abuse/measure/shadow"
	"postern/abuse/signal"
)

// Rule 1: what families allow.
func TestFamilies(t *testing.T) {
	for families, want := range map[string]abuse.Level{
		"": 0, "A": 1, "E": 0, "AE": 1, "B": 1, "C": 1, "D": 1, "AB": 2, "AC": 2, "AD": 2, "BE": 2, "BC": 2, "BD": 2, "CE": 2, "ABCDE": 2,
	} {
		if got, why := measure.Wanted(speak("a@x.example", families), false, false); got != want {
			t.Errorf("%q: %s (%s), want %s", families, got, why, want)
		}
	}
	if got, _ := measure.Wanted(speak("a", "BC"), true, false); got != abuse.M3 {
		t.Errorf("loud: %s", got)
	}
	weak := []signal.Signal{{Family: signal.Behaviour, Weight: 25}}
	if got, _ := measure.Wanted(weak, true, false); got != abuse.M0 {
		t.Errorf("one weak signal: %s", got)
	}
}

// Rules 1 and 5, whatever is thrown at them.
func TestNeverAbove(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var all []signal.Signal
		for range rapid.IntRange(0, 12).Draw(rt, "signals") {
			all = append(all, signal.Signal{
				Family: signal.Family(rapid.SampledFrom([]string{"A", "B", "C", "D", "E"}).Draw(rt, "family")), Rule: "r",
				Weight: rapid.IntRange(-50, 100).Draw(rt, "weight"), Votes: rapid.IntRange(0, 1e9).Draw(rt, "votes"), Login: rapid.Bool().Draw(rt, "login"),
			})
		}
		protected := rapid.Bool().Draw(rt, "protected")
		got, _ := measure.Wanted(all, rapid.Bool().Draw(rt, "loud"), protected)
		families := signal.Kinds(all)
		own := slices.ContainsFunc(families, signal.Family.Own)
		switch {
		case got > abuse.M3:
			rt.Fatal("no person asked for it")
		case protected && got > abuse.M1:
			rt.Fatal("a protected account")
		case got > abuse.M1 && (len(families) < 2 || !own):
			rt.Fatalf("%s from %v", got, families)
		}
	})
}

// Rule 4, and scenario 16: a bug of ours makes every message look like spam.
func TestBreaker(t *testing.T) {
	w := newWorld(t)
	for i := range 50 {
		w.propose(fmt.Sprintf("user@tenant%d.example", i), "BC", true)
	}
	stopped := 0
	for i := range 50 {
		if w.Level(fmt.Sprintf("user@tenant%d.example", i)) > abuse.M0 {
			stopped++
		}
	}
	if stopped != 5 || !w.Alerts["breaker:all"] {
		t.Fatalf("%d were stopped, alerts %v", stopped, w.Alerts)
	}
	trips, n, err := w.Desk.Breaker.State(t.Context())
	if err != nil || n != 5 || trips[""].Missed != 45 {
		t.Errorf("%v, %d, %v", trips, n, err)
	}
	if pages := strings.Count(strings.Join(w.Audit, "\n"), "breaker-trip"); pages != 1 {
		t.Errorf("%d trips were logged", pages)
	}
	w.pass(2 * time.Hour) // time alone resets nothing
	if d := w.propose("late@other.example", "BC", true); d.New {
		t.Error("the breaker reset itself")
	}
	if err := w.Desk.Breaker.Reset(t.Context(), "ada", "the rule is fixed"); err != nil {
		t.Fatal(err)
	}
	if d := w.propose("late@other.example", "BC", true); !d.New || w.Alerts["breaker:all"] {
		t.Errorf("%+v %v", d, w.Alerts)
	}
}

func TestBreakerOfATenant(t *testing.T) {
	w := newWorld(t)
	w.active = 10
	if d := w.propose("a@x.example", "BC", false); !d.New {
		t.Fatalf("%+v", d)
	}
	if d := w.propose("a@x.example", "BC", true); !d.New || d.Measure.Level != abuse.M3 {
		t.Errorf("the measure of an account that is counted grows: %+v", d)
	}
	if d := w.propose("b@x.example", "BC", true); d.New || !strings.Contains(d.Why.English, "ten minutes") {
		t.Errorf("%+v", d)
	}
	if d := w.propose("a@y.example", "BC", true); !d.New {
		t.Errorf("another tenant: %+v", d)
	}
	if d := w.propose("b@x.example", "A", true); !d.New || d.Measure.Level != abuse.M1 {
		t.Errorf("a throttle is not bounded: %+v", d)
	}
}

// Rule 5, scenario 17.
func TestProtected(t *testing.T) {
	w := newWorld(t)
	for _, account := range []string{"abuse@example.com", "Postmaster@other.example", "vip@example.com", "anybody@desk.example"} {
		if d := w.propose(account, "ABCDE", true); d.Wanted != abuse.M1 || w.Level(account) != abuse.M1 {
			t.Errorf("%s: %+v", account, d)
		}
	}
	if m := w.apply(measure.Request{Account: "vip@example.com", Level: abuse.M3}); m.State != measure.Active {
		t.Error("a person may")
	}
}

// Rule 7.
func TestShadow(t *testing.T) {
	w := newWorld(t)
	fresh := func(account string) measure.Decision {
		d, err := w.Desk.Propose(t.Context(), measure.Proposal{Account: account, Loud: true, Signals: []signal.Signal{
			{Family: signal.Behaviour, Rule: "newrule", Weight: 60, Account: account}, {Family: signal.Verdicts, Rule: "b", Weight: 50, Account: account},
		}})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := fresh("a@x.example")
	if d.Wanted != abuse.M1 || d.Shadow != abuse.M3 {
		t.Fatalf("%+v", d)
	}
	fresh("a@x.example")
	fresh("b@y.example")
	if _, err := w.Desk.Rules.Enable(t.Context(), "newrule", "ada"); !errors.Is(err, shadow.ErrNotInTime) || !strings.Contains(err.Error(), "2 accounts") {
		t.Error(err)
	}
	for _, m := range must(w.Desk.UndoAll(t.Context(), "b@y.example", "ada", said.Typed("no abuse"), true)) {
		if m.State != measure.Removed {
			t.Error(m.State)
		}
	}
	w.pass(14 * 24 * time.Hour)
	p, err := w.Desk.Rules.Enable(t.Context(), "newrule", "ada")
	if err != nil || p.Hits != 2 || p.Cleared != 1 || p.String() != "in 14 days it would have hit 2 accounts, of them 1 later cleared" {
		t.Fatalf("%v, %v", p, err)
	}
	if d := fresh("c@z.example"); d.Wanted != abuse.M3 {
		t.Errorf("%+v", d)
	}
	if _, err := w.Desk.Rules.Disable(t.Context(), "newrule", "ada"); err != nil {
		t.Fatal(err)
	}
	if d := fresh("d@z.example"); d.Wanted != abuse.M1 {
		t.Errorf("%+v", d)
	}
	if all, err := w.Desk.Rules.List(t.Context()); err != nil || len(all) < 2 {
		t.Error(all, err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Only what a person enabled acts: in shadow mode, or off, nothing does.
func TestModes(t *testing.T) {
	for _, mode := range []measure.Mode{measure.ModeOff, measure.ModeShadow} {
		w := newWorld(t, func(p *measure.Parts) { p.Config.Mode = mode })
		if d := w.propose("a@x.example", "BC", true); d.New || d.Shadow != abuse.M3 || w.Level("a@x.example") != abuse.M0 {
			t.Errorf("%s: %+v", mode, d)
		}
	}
}

// Rule 12, scenario 19: nothing automatic stands on any node, what people asked for does.
func TestSwitch(t *testing.T) {
	for name, press := range map[string]func(*world) error{
		"record": func(w *world) error { return w.Desk.Switch.Set(w.T.Context(), true, "ada", "too much") },
		"file":   func(w *world) error { touch(w.T, w.File); w.Look(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.propose("auto@x.example", "BC", true)
			w.apply(measure.Request{Account: "human@y.example", Level: abuse.M3})
			w.apply(measure.Request{Account: "both@z.example", Level: abuse.M1})
			w.propose("both@z.example", "BC", true)
			if w.Level("auto@x.example") != abuse.M3 || w.Level("both@z.example") != abuse.M3 {
				t.Fatal("it began otherwise")
			}
			other := w.Node()
			other.Automation(w.Desk.Switch.Off)
			if err := press(w); err != nil {
				t.Fatal(err)
			}
			for _, node := range []*abuse.Accounts{w.Accounts, other} {
				for account, want := range map[string]abuse.Level{"auto@x.example": 0, "human@y.example": 3, "both@z.example": 1} {
					if got := node.Force(account).Effective(); got != want {
						t.Errorf("%s: %s, want %s", account, got, want)
					}
				}
			}
			if d := w.propose("new@w.example", "BC", true); d.New || !strings.Contains(d.Why.English, "off") {
				t.Errorf("%+v", d)
			}
			_ = os.Remove(w.File)
			if err := w.Desk.Switch.Set(t.Context(), false, "ada", "again"); err != nil {
				t.Fatal(err)
			}
			w.Look()
			if w.Level("auto@x.example") != abuse.M3 {
				t.Error("what stood before stands again")
			}
			if s, err := w.Desk.Switch.State(t.Context()); err != nil || s.Off || s.By != "ada" {
				t.Error(s, err)
			}
		})
	}
}

// Rule 11: with the store away what is in force stays, and nothing new comes.
func TestFailDirection(t *testing.T) {
	w := newWorld(t)
	w.propose("a@x.example", "BC", true)
	w.Now = w.Now.Add(time.Minute) // nobody could look at the switch meanwhile
	if d := w.propose("b@y.example", "BC", true); d.New {
		t.Errorf("%+v", d)
	}
	w.Store.Fail = func() error { return errBroken }
	if _, err := w.Desk.Propose(t.Context(), measure.Proposal{Account: "c@z.example", Signals: speak("c@z.example", "newly")}); err == nil {
		t.Log("nothing to write, nothing to fail")
	}
	if _, err := w.Desk.Apply(t.Context(), measure.Request{Account: "c@z.example", Level: abuse.M3, Actor: "ada", Reason: "x"}); err == nil {
		t.Error("it cannot have been kept")
	}
	if w.Level("a@x.example") != abuse.M3 {
		t.Error("what was in force stays")
	}
}
