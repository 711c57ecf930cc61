package measure_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"postern/internal/said"

	"pgregory.net/rapid"

	"postern/abuse"
	"postern/abuse/measure"
)

func TestApplyAndUndo(t *testing.T) {
	w := newWorld(t)
	r := measure.Request{ID: "m-1", Account: "A@x.example", Level: abuse.M3, Case: "A-2030-000001", Actor: "ada", Reason: "spam"}
	m := w.apply(r)
	if again := w.apply(r); again.ID != m.ID || len(w.Audit) != 1 {
		t.Errorf("the same again: %+v, %v", again, w.Audit)
	}
	acc := w.Accounts.Force("a@x.example")
	if acc.State != abuse.Suspended || acc.Measure != "m-1" || acc.Case != r.Case || acc.By != "ada" || m.State != measure.Active || m.Review.IsZero() || !m.Until.IsZero() {
		t.Errorf("%+v %+v", acc, m)
	}
	got, err := w.Desk.Undo(t.Context(), "m-1", "bob", said.Typed("guarantee"), false)
	if err != nil || got.State != measure.Removed || w.Level("a@x.example") != abuse.M0 {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := w.Desk.Undo(t.Context(), "m-1", "bob", said.Typed("guarantee"), false); err != nil {
		t.Error(err)
	}
	if _, err := w.Desk.Apply(t.Context(), r); !errors.Is(err, measure.ErrEnded) {
		t.Error(err)
	}
	if len(w.notes) != 2 {
		t.Errorf("%q", w.notes)
	}
	if open, _, err := w.Desk.List(t.Context(), "a@x.example", true, "", 0); err != nil || len(open) != 0 {
		t.Error(open, err)
	}
	if all, _, err := w.Desk.List(t.Context(), "a@x.example", false, "", 0); err != nil || len(all) != 1 {
		t.Error(all, err)
	}
}

// TestAgainWithinTheSecond has an account suspended, restored and suspended with one reading of
// the clock: twice asked for is once done, asked for after its end is another.
func TestAgainWithinTheSecond(t *testing.T) {
	w := newWorld(t)
	r := measure.Request{Account: "a@x.example", Level: abuse.M3, Actor: "ada", Reason: "spam"}
	first := w.apply(r)
	if again := w.apply(r); again.ID != first.ID {
		t.Errorf("%s and %s", first.ID, again.ID)
	}
	if _, err := w.Desk.Undo(t.Context(), first.ID, "bob", said.Typed("a mistake"), false); err != nil {
		t.Fatal(err)
	}
	second := w.apply(r)
	if second.ID == first.ID || w.Level("a@x.example") != abuse.M3 {
		t.Errorf("%+v, %s", second, w.Level("a@x.example"))
	}
	if again := w.apply(r); again.ID != second.ID {
		t.Errorf("%s and %s", second.ID, again.ID)
	}
}

func TestRefused(t *testing.T) {
	w := newWorld(t)
	for name, r := range map[string]measure.Request{
		"nobody":            {Level: 1, Actor: "a", Reason: "r"},
		"two":               {Account: "a", Domain: "b", Level: 1, Actor: "a", Reason: "r"},
		"no reason":         {Account: "a", Level: 1, Actor: "a"},
		"no author":         {Account: "a", Level: 1, Reason: "r"},
		"no level":          {Account: "a", Level: 8, Actor: "a", Reason: "r"},
		"M6 for an account": {Account: "a", Level: 6, Actor: "a", Reason: "r"},
		"a long reason":     {Account: "a", Level: 1, Actor: "a", Reason: strings.Repeat("x", 2000)},
	} {
		if _, err := w.Desk.Apply(t.Context(), r); !errors.Is(err, measure.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	end := measure.Request{Account: "a", Level: abuse.M7, Actor: "ada", Reason: "strike 2"}
	for _, approver := range []string{"", "ada"} {
		end.Approver = approver
		if _, err := w.Desk.Apply(t.Context(), end); !errors.Is(err, measure.ErrSecond) {
			t.Error(err)
		}
	}
	end.Approver = "bob"
	if m := w.apply(end); m.Level != abuse.M7 || !w.Accounts.LoginOff("a") {
		t.Errorf("%+v", m)
	}
}

// What stood before is restored exactly, in whatever order measures come and go.
func TestUndoRestores(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		const name = "a@x.example"
		if rapid.Bool().Draw(rt, "suspended before") {
			if _, err := w.Accounts.Suspend(t.Context(), name, "by hand", "old"); err != nil {
				rt.Fatal(err)
			}
		}
		before := w.Accounts.Force(name)
		var open []measure.Measure
		for i := range rapid.IntRange(1, 6).Draw(rt, "steps") {
			w.Now = w.Now.Add(time.Minute)
			if len(open) > 0 && rapid.Bool().Draw(rt, "undo") {
				n := rapid.IntRange(0, len(open)-1).Draw(rt, "which")
				if _, err := w.Desk.Undo(t.Context(), open[n].ID, "ada", said.Typed("over"), false); err != nil {
					rt.Fatal(err)
				}
				open = append(open[:n], open[n+1:]...)
			} else {
				level := abuse.Level(rapid.SampledFrom([]int{0, 1, 2, 3, 5}).Draw(rt, "level"))
				open = append(open, w.apply(measure.Request{ID: fmt.Sprintf("m-%d", i), Account: name, Level: level}))
			}
			want := before.Effective()
			for _, m := range open {
				want = max(want, m.Level)
			}
			if got := w.Level(name); got != want {
				rt.Fatalf("%s, want %s of %v", got, want, open)
			}
		}
		for _, m := range open {
			if _, err := w.Desk.Undo(t.Context(), m.ID, "ada", said.Typed("over"), false); err != nil {
				rt.Fatal(err)
			}
		}
		after := w.Accounts.Force(name)
		if before.Name == "" {
			before = abuse.Account{Name: name, State: abuse.Active}
			after.At, after.By, after.Reason = time.Time{}, "", ""
		}
		after.Version, before.Version = 0, 0
		if !reflect.DeepEqual(after, before) {
			rt.Fatalf("%+v, was %+v", after, before)
		}
	})
}

// Rule 6: each automatic measure ends or is reviewed.
func TestTimes(t *testing.T) {
	w := newWorld(t)
	w.propose("one@a.example", "A", false)
	w.propose("three@c.example", "BC", true)
	w.pass(23 * time.Hour)
	if w.Level("one@a.example") != abuse.M1 || len(w.Alerts) != 1 { // the suspension is overdue
		t.Errorf("%s, %v", w.Level("one@a.example"), w.Alerts)
	}
	w.pass(time.Hour)
	if w.Level("one@a.example") != abuse.M0 || w.Level("three@c.example") != abuse.M3 {
		t.Error("M1 ends after a day, M3 stands until it was reviewed")
	}
	all, _, err := w.Desk.List(t.Context(), "three@c.example", true, "", 0)
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	if _, err := w.Desk.Reviewed(t.Context(), all[0].ID, "ada", 0); err != nil || len(w.Alerts) != 0 {
		t.Error(err, w.Alerts)
	}
	w.pass(time.Hour)
	if len(w.Alerts) != 0 {
		t.Error(w.Alerts)
	}
}

// Scenario 18.
func TestAHoldThatNobodyReviewed(t *testing.T) {
	box := &held{spam: map[string]bool{"h3": true}}
	for i := range 30 {
		box.ids = append(box.ids, fmt.Sprintf("h%d", i))
	}
	w := newWorld(t, func(p *measure.Parts) { p.Held = box })
	if d := w.propose("a@x.example", "BD", false); d.Measure.Level != abuse.M2 {
		t.Fatalf("%+v", d)
	}
	w.pass(4*time.Hour - time.Second)
	if len(box.released) != 0 {
		t.Fatal("too soon")
	}
	w.pass(time.Second)
	if w.Level("a@x.example") != abuse.M1 {
		t.Errorf("it is at %s", w.Level("a@x.example"))
	}
	hour := 0
	for range 60 {
		w.pass(time.Minute)
		hour = len(box.released)
	}
	if hour < 15 || hour > 21 {
		t.Errorf("%d went out in an hour", hour)
	}
	for range 120 {
		w.pass(time.Minute)
	}
	if len(box.ids) != 0 || len(box.released) != 29 || len(box.kept) != 1 {
		t.Errorf("%d left, %d released, kept %v", len(box.ids), len(box.released), box.kept)
	}
	text := strings.Join(w.Audit, "\n")
	for _, want := range []string{"its time is over", "held-mail-kept", "held-mail-released", "29 messages"} {
		if !strings.Contains(text, want) {
			t.Errorf("the audit does not say %q", want)
		}
	}
}

// A stricter measure in its place keeps the mail; a person who finds no abuse lets it go.
func TestHeldMailAndPeople(t *testing.T) {
	box := &held{ids: []string{"h1", "h2", "h3", "h4"}}
	w := newWorld(t, func(p *measure.Parts) { p.Held = box })
	d := w.propose("a@x.example", "BD", false)
	strict := w.apply(measure.Request{Account: "a@x.example", Level: abuse.M3})
	w.pass(5 * time.Hour)
	if len(box.released) != 0 || w.Level("a@x.example") != abuse.M3 {
		t.Fatal(box.released)
	}
	if _, err := w.Desk.UndoAll(t.Context(), "a@x.example", "ada", said.Typed("no abuse"), true); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Minute)
	w.pass(8 * time.Hour)
	if len(box.released) != 4 || strict.ID == d.Measure.ID {
		t.Error(box.released)
	}
}

// Scenario 21, and what becomes of it.
func TestConnectors(t *testing.T) {
	c := &connector{can: measure.Capabilities{Levels: []abuse.Level{abuse.M3, abuse.M5}, Required: true, Sessions: true}, state: map[string]string{"a@x.example": "limited"}, lies: true}
	w := newWorld(t, func(p *measure.Parts) { p.Connectors = []measure.Connector{c} })
	m := w.apply(measure.Request{ID: "m-1", Account: "a@x.example", Level: abuse.M3})
	if m.State != measure.PendingActivation || !w.Alerts["measure-connector:m-1"] || w.Level("a@x.example") != abuse.M3 {
		t.Fatalf("%+v, %v", m, w.Alerts)
	}
	c.lies = false
	w.pass(11 * time.Minute)
	m, err := w.Desk.Get(t.Context(), "m-1")
	if err != nil || m.State != measure.Active || w.Alerts["measure-connector:m-1"] || len(c.killed) != 1 {
		t.Fatalf("%+v, %v, %v", m, err, w.Alerts)
	}
	c.state["a@x.example"] = "on" // somebody enabled it by hand
	if n, err := w.Desk.Drift(t.Context()); err != nil || n != 1 || c.state["a@x.example"] != "off" {
		t.Errorf("%d, %v, %v", n, err, c.state)
	}
	c.broken = errBroken
	if m, err = w.Desk.Undo(t.Context(), "m-1", "ada", said.Typed("over"), false); err != nil || m.State != measure.PendingRemoval || w.Level("a@x.example") != abuse.M0 {
		t.Fatalf("%+v, %v", m, err)
	}
	c.broken = nil
	w.pass(11 * time.Minute)
	if m, err = w.Desk.Get(t.Context(), "m-1"); err != nil || m.State != measure.Removed || c.state["a@x.example"] != "limited" {
		t.Errorf("%+v, %v, %v", m, err, c.state)
	}
	if m := w.apply(measure.Request{Account: "a@x.example", Level: abuse.M1}); len(m.Connectors) != 0 {
		t.Error("it cannot carry a throttle")
	}
}

func TestDomain(t *testing.T) {
	w := newWorld(t)
	m := w.apply(measure.Request{Domain: "X.example", Level: abuse.M6})
	if _, yes := w.Accounts.Suspended("any@x.example"); !yes || m.Target != "@x.example" {
		t.Errorf("%+v", m)
	}
	if _, err := w.Desk.Undo(t.Context(), m.ID, "ada", said.Typed("over"), false); err != nil {
		t.Fatal(err)
	}
	if _, yes := w.Accounts.Suspended("any@x.example"); yes {
		t.Error("it is over")
	}
}

// A program of before that restores an account ends its measures.
func TestRestoredByTheVersionBefore(t *testing.T) {
	w := newWorld(t)
	m := w.apply(measure.Request{Account: "a@x.example", Level: abuse.M3})
	if _, err := w.Accounts.Restore(t.Context(), "a@x.example", "clean", "old"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Desk.Drift(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m, err := w.Desk.Get(t.Context(), m.ID); err != nil || m.State != measure.Removed || w.Level("a@x.example") != abuse.M0 {
		t.Errorf("%+v, %v", m, err)
	}
}

// What was suspended while the store of measures was away stays suspended.
func TestSuspendedWithoutAMeasure(t *testing.T) {
	w := newWorld(t)
	w.apply(measure.Request{Account: "a@x.example", Level: abuse.M1})
	if _, err := w.Accounts.Suspend(t.Context(), "a@x.example", "by hand", "ada"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Desk.Drift(t.Context()); err != nil || w.Level("a@x.example") != abuse.M3 {
		t.Errorf("%s, %v", w.Level("a@x.example"), err)
	}
}
