package quarantine_test

import (
	"errors"
	"testing"
	"time"

	"postern/quarantine"
)

const day = 24 * time.Hour

// days lets days pass with a round of expiry every six hours, and adds the rounds up.
func (w *world) days(n float64) (sum quarantine.Round) {
	for range int(n * 4) {
		w.pass(6 * time.Hour)
		r := w.expire()
		sum.Holds += r.Holds
		sum.Provisional += r.Provisional
		sum.Records += r.Records
		sum.Corrected += r.Corrected
	}
	return sum
}

func TestExpiry(t *testing.T) {
	w := newWorld(t)
	held, beside, evidence := w.keep("a", quarantine.ByVerdict), w.keep("b", quarantine.RejectedBeside), w.keep("c", quarantine.Evidence)
	if _, err := w.Provisional(t.Context(), request(message("d", "x@example.com"), 0, quarantine.ByVerdict)); err != nil {
		t.Fatal(err)
	}
	if r := w.days(2.75); r != (quarantine.Round{}) {
		t.Errorf("before anything is over: %+v", r)
	}
	if r := w.days(0.25); r.Holds != 1 || w.state(beside) != quarantine.Expired {
		t.Errorf("after 3 days: %+v", r)
	}
	if r := w.days(2.25); r.Provisional != 1 {
		t.Errorf("after 5 days: %+v", r)
	}
	if w.days(24.75); w.state(held) != quarantine.Expired {
		t.Errorf("after 30 days: %s", w.state(held))
	}
	if w.days(60); w.state(evidence) != quarantine.Expired {
		t.Errorf("after 90 days: %s", w.state(evidence))
	}
	for _, want := range []string{"postern expire " + beside, "postern expire " + held, "postern expire " + evidence} {
		if len(w.audit) == 0 || w.audit[0] != want {
			t.Fatalf("audit: %v, want %s", w.audit, want)
		}
		w.audit = w.audit[1:]
	}
	if w.days(91); true {
		_, err := w.Show(t.Context(), evidence)
		wantErr(t, "a record 90 days after its end", err, quarantine.ErrNotFound)
	}
}

// TestClockJumps: a clock that is set ends nothing early.
func TestClockJumps(t *testing.T) {
	for _, to := range []time.Time{start.Add(13 * time.Hour), start.AddDate(0, 0, 40), start.AddDate(10, 0, 0), time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC)} {
		w := newWorld(t)
		id := w.keep("a", quarantine.RejectedBeside)
		w.expire()
		w.set(to)
		for range 10 {
			w.expire()
		}
		if w.state(id) != quarantine.Held || w.jumped != 1 {
			t.Errorf("%v: %s, said %d times", to, w.state(id), w.jumped)
		}
		w.set(start.Add(time.Hour)) // and corrected
		if r := w.expire(); r.Holds != 0 || w.state(id) != quarantine.Held {
			t.Errorf("%v corrected: %s", to, w.state(id))
		}
		if w.days(3); w.state(id) != quarantine.Expired {
			t.Errorf("%v: in its time: %s", to, w.state(id))
		}
	}
}

// TestMachineSlept: a machine that was off for a month is told from a clock that was set by
// waiting a day.
func TestMachineSlept(t *testing.T) {
	w := newWorld(t)
	id := w.keep("a", quarantine.ByVerdict)
	w.expire()
	w.set(start.Add(40 * day))
	if w.expire(); w.state(id) != quarantine.Held {
		t.Fatal("believed at once")
	}
	w.pass(23 * time.Hour)
	if w.expire(); w.state(id) != quarantine.Held {
		t.Error("believed after 23 h")
	}
	w.pass(time.Hour)
	if w.expire(); w.state(id) != quarantine.Expired {
		t.Error("not believed after a day")
	}
	w.set(w.clock().Add(30 * day))
	if w.expire(); w.jumped != 2 {
		t.Errorf("a second jump was said %d times", w.jumped-1)
	}
}

func TestSmallSteps(t *testing.T) {
	for _, step := range []time.Duration{-time.Hour, time.Hour, -10 * 365 * day} {
		w := newWorld(t)
		id := w.keep("a", quarantine.RejectedBeside)
		w.expire()
		w.set(start.Add(step))
		if r := w.expire(); r.Holds != 0 || w.state(id) != quarantine.Held || w.jumped != 0 {
			t.Errorf("%v: %+v, %s, said %d", step, r, w.state(id), w.jumped)
		}
	}
}

// TestHoldsFromTheFuture: what came while the clock was ten years ahead is not kept for ten
// years more.
func TestHoldsFromTheFuture(t *testing.T) {
	w := newWorld(t)
	w.expire()
	w.set(start.AddDate(10, 0, 0))
	id := w.keep("a", quarantine.ByVerdict)
	w.set(start.Add(time.Hour))
	if r := w.expire(); r.Corrected != 1 {
		t.Errorf("%+v", r)
	}
	if r := w.expire(); r.Corrected != 0 {
		t.Errorf("corrected again: %+v", r)
	}
	if w.days(29); w.state(id) != quarantine.Held {
		t.Errorf("after 29 days: %s", w.state(id))
	}
	if w.days(2); w.state(id) != quarantine.Expired {
		t.Errorf("after 31 days: %s", w.state(id))
	}
}

// TestManyDue: one round ends a bounded number, the next goes on.
func TestManyDue(t *testing.T) {
	w := newWorld(t)
	for n := range 60 {
		w.keep(string(rune('A'+n)), quarantine.RejectedBeside)
	}
	w.days(2.75)
	w.pass(6 * time.Hour)
	first, second := w.expire().Holds, w.expire().Holds
	if first+second != 60 || first != 50 {
		t.Errorf("%d, then %d", first, second)
	}
}

func TestExpiryNeedsAudit(t *testing.T) {
	w := newWorld(t)
	id := w.keep("a", quarantine.RejectedBeside)
	w.days(2.75)
	w.auditErr = errors.New("no audit")
	w.pass(6 * time.Hour)
	if _, err := w.ExpireDue(t.Context()); !errors.Is(err, w.auditErr) || w.state(id) != quarantine.Held {
		t.Errorf("%s, %v", w.state(id), err)
	}
}
