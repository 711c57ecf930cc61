package engine_test

import (
	"fmt"
	"testing"
	"time"

	"postern/abuse"
	"postern/abuse/behaviour"
	"postern/abuse/measure"
	"postern/abuse/signal"
)

func stranger(n int) func(int) string {
	return func(i int) string { return fmt.Sprintf("s%d.%d@victim.example", n, i) }
}

// friends is four weeks of a quiet account.
func (w *world) friends(account string) {
	for d := range 28 {
		w.send(w.Now.AddDate(0, 0, d-28).Add(-12*time.Hour), account, 1, 3, func(i int) string { return fmt.Sprintf("friend%d@friends.example", i) }, false, nil)
	}
	w.step()
}

// Scenario 14: four hundred an hour to strangers from four countries, judged to be spam.
func TestScenario14(t *testing.T) {
	w := newWorld(t)
	const account = "ann@x.example"
	w.friends(account)
	var met time.Time
	for i := range 400 {
		w.Now = w.Now.Add(9 * time.Second)
		w.send(w.Now, account, 1+i%4, 1, stranger(i), i%2 == 0, nil)
		if i == 40 {
			met = w.Now // by now volume, verdict and countries all speak
		}
		if i%2 == 1 {
			w.step()
		}
		if w.Level(account) == abuse.M3 {
			break
		}
	}
	if w.Level(account) != abuse.M3 || !met.IsZero() && w.Now.Sub(met) > time.Minute {
		t.Fatalf("%s at %s after %s", w.Level(account), w.Now, met)
	}
	acc := w.Accounts.Force(account)
	found := w.cases.found[account]
	if len(found) == 0 || acc.Case != "A-2030-"+account || found[len(found)-1].Score < 50 {
		t.Errorf("%+v, %+v", acc, found)
	}
	j, err := w.engine.Judge(t.Context(), account)
	if err != nil || j.Score == 0 || len(j.Signals) < 2 {
		t.Errorf("%+v, %v", j, err)
	}
}

// Scenario 15: five dead addresses of five.
func TestScenario15(t *testing.T) {
	w := newWorld(t)
	w.friends("ann@x.example")
	w.send(w.Now, "ann@x.example", 1, 5, stranger(1), false, func(int) bool { return true })
	if w.step(); w.Level("ann@x.example") != abuse.M0 || len(w.cases.found) != 0 || w.Accounts.Force("ann@x.example").Measure != "" {
		t.Errorf("%+v", w.Accounts.Force("ann@x.example"))
	}
}

// Scenarios 12 and 13 where they meet measures: what is not proved has no vote, and complaints
// alone, however many are proved, never do more than throttle.
func TestComplaintsAlone(t *testing.T) {
	w := newWorld(t)
	const news = "news@x.example"
	for d := range 28 {
		w.send(w.Now.AddDate(0, 0, d-28).Add(9*time.Hour), news, 1, 1000, func(i int) string { return fmt.Sprintf("reader%d@p.example", i) }, false, nil)
	}
	w.step()
	day := w.Now.AddDate(0, 0, -1).Add(9 * time.Hour)
	complain := func(n, votes int, account string) {
		for i := range n {
			weight, _ := signal.Weigh("abuse", votes)
			s := signal.Signal{ID: fmt.Sprintf("%s-%d-%d", account, votes, i), Family: signal.Complaints, Rule: "complaint", Account: account, At: w.Now, SentAt: day, Votes: votes, Weight: weight, Provider: "p.example", Copy: fmt.Sprint(i % 60)}
			if err := w.signals.Add(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
	}
	complain(1000, 0, news)
	if r := w.step(); r.Measures != 0 || w.Level(news) != abuse.M0 {
		t.Fatalf("%+v %s", r, w.Level(news))
	}
	complain(600, 100, news)
	if w.step(); w.Level(news) != abuse.M1 {
		t.Errorf("60 votes of 1000: %s", w.Level(news))
	}
	j, err := w.engine.Judge(t.Context(), news)
	if err != nil || len(j.Signals) != 1 || j.Signals[0].Detail != "60.00 votes for 1000 copies that p.example took on 2030-03-03" {
		t.Errorf("%+v, %v", j, err)
	}
	w.send(day, "small@y.example", 1, 100, func(i int) string { return fmt.Sprintf("r%d@p.example", i) }, false, nil)
	complain(90, 100, "small@y.example")
	if w.step(); w.Level("small@y.example") != abuse.M0 {
		t.Error("too few deliveries for a rate")
	}
}

// Scenario 16 through the engine, 26 as far as measures go: a trap hit and a vote.
func TestTrap(t *testing.T) {
	w := newWorld(t)
	w.friends("ann@x.example")
	add := func(s signal.Signal) {
		s.Account, s.At = "ann@x.example", w.Now
		if err := w.signals.Add(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		w.step()
	}
	add(signal.Signal{ID: "t1", Family: signal.Traps, Rule: "trap", Weight: 40, Detail: "wrote to a trap"})
	if w.Level("ann@x.example") != abuse.M1 {
		t.Errorf("a trap alone: %s", w.Level("ann@x.example"))
	}
	add(signal.Signal{ID: "l1", Family: signal.Listings, Rule: "listing", Weight: 15, Detail: "listed"})
	if w.Level("ann@x.example") != abuse.M2 {
		t.Errorf("a trap and a listing: %s", w.Level("ann@x.example"))
	}
	w.Now = w.Now.AddDate(0, 0, 8) // nothing of it counts any more
	if j, err := w.engine.Judge(t.Context(), "ann@x.example"); err != nil || j.Score != 0 {
		t.Errorf("%+v, %v", j, err)
	}
}

// After a restart the profiles are made again from the send log, and say the same; what was
// done is not done again.
func TestRestart(t *testing.T) {
	w := newWorld(t)
	w.friends("ann@x.example")
	for i := range 60 {
		w.Now = w.Now.Add(5 * time.Second)
		w.send(w.Now, "ann@x.example", 1+i%4, 1, stranger(i), true, nil)
	}
	w.step()
	before := w.profiles.Judge("ann@x.example", w.Now)
	w.restart()
	r := w.step()
	after := w.profiles.Judge("ann@x.example", w.Now)
	if len(before) == 0 || fmt.Sprint(before) != fmt.Sprint(after) || r.Measures != 0 || w.Level("ann@x.example") != abuse.M3 {
		t.Errorf("%v\n%v\n%+v", before, after, r)
	}
}

func TestSwitchedOff(t *testing.T) {
	w := newWorld(t, func(p *measure.Parts) { p.Config.Mode = measure.ModeShadow })
	w.friends("ann@x.example")
	for i := range 60 {
		w.send(w.Now, "ann@x.example", 1+i%4, 1, stranger(i), true, nil)
	}
	if r := w.step(); r.Measures != 0 || r.Cases != 1 || w.Level("ann@x.example") != abuse.M0 {
		t.Errorf("%+v", r)
	}
}

// A rule that a person enables acts on what it saw before as well, also where the account has
// fallen silent; one that acts already makes nobody be looked at again.
func TestEnabledRuleLooksAgain(t *testing.T) {
	for _, restart := range []bool{false, true} {
		w := newWorld(t)
		for _, rule := range append(behaviour.Rules(), "trap") {
			w.Rule(rule, false)
		}
		w.friends("ann@x.example")
		for i := range 60 {
			w.send(w.Now, "ann@x.example", 1+i%4, 1, stranger(i), true, nil)
		}
		if err := w.signals.Add(t.Context(), signal.Signal{ID: "t1", Family: signal.Traps, Rule: "trap", Weight: 40, Account: "bob@y.example", At: w.Now, Detail: "wrote to a trap"}); err != nil {
			t.Fatal(err)
		}
		if r := w.step(); r.Measures != 0 {
			t.Fatalf("in shadow: %+v", r)
		}
		w.Now = w.Now.Add(5 * time.Minute)
		if r := w.step(); r.Judged != 0 {
			t.Errorf("nothing is new: %+v", r)
		}
		if restart {
			w.restart()
		}
		for _, rule := range append(behaviour.Rules(), "trap") {
			if _, err := w.Desk.Rules.Enable(t.Context(), rule, "anna"); err != nil {
				t.Fatal(err)
			}
		}
		if r := w.step(); r.Measures != 2 || w.Level("ann@x.example") != abuse.M3 || w.Level("bob@y.example") != abuse.M1 {
			t.Errorf("restart %v: %+v, %s, %s", restart, r, w.Level("ann@x.example"), w.Level("bob@y.example"))
		}
		if r := w.step(); r.Judged != 0 {
			t.Errorf("looked at again without a reason: %+v", r)
		}
		if _, err := w.Desk.Rules.Disable(t.Context(), "trap", "anna"); err != nil {
			t.Fatal(err)
		}
		if r := w.step(); r.Judged != 0 {
			t.Errorf("a rule that is put back into shadow: %+v", r)
		}
	}
}
