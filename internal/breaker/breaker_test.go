package breaker

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// clock is a time that moves only when told to.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func (c *clock) add(d time.Duration) { c.t = c.t.Add(d) }

func newBreaker() (*Breaker, *clock) {
	c := &clock{t: time.Unix(1_800_000_000, 0)}
	return New(Config{Failures: 3, Rest: time.Second, MaxRest: 4 * time.Second, Trial: 10 * time.Second}, c.now), c
}

func open(t *testing.T, b *Breaker) {
	t.Helper()
	for range 3 {
		b.Failure()
	}
	if b.State() != Open {
		t.Fatalf("state after 3 failures is %v", b.State())
	}
}

func TestOpensAfterFailuresInARow(t *testing.T) {
	b, _ := newBreaker()
	b.Failure()
	b.Failure()
	b.Success()
	b.Failure()
	if opened := b.Failure(); opened || !b.Allow() {
		t.Fatal("a success between does not start the count anew")
	}
	if !b.Until().IsZero() {
		t.Fatalf("a closed breaker says wait until %v", b.Until())
	}
	if !b.Failure() || b.Allow() {
		t.Fatal("three in a row must open it")
	}
}

func TestOneTrialAfterTheRest(t *testing.T) {
	b, c := newBreaker()
	open(t, b)
	c.add(999 * time.Millisecond)
	if b.Allow() {
		t.Fatal("let through before the rest was over")
	}
	c.add(time.Millisecond)
	if !b.Allow() || b.State() != HalfOpen {
		t.Fatal("no trial after the rest")
	}
	if b.Allow() {
		t.Fatal("two trials at once")
	}
	b.Success()
	if !b.Allow() || b.State() != Closed {
		t.Fatal("a good trial must close it")
	}
}

func TestRestDoublesToItsLimit(t *testing.T) {
	b, c := newBreaker()
	open(t, b)
	for _, want := range []time.Duration{1, 2, 4, 4} {
		if got := b.Until().Sub(c.t); got != want*time.Second {
			t.Fatalf("rest is %v, want %v", got, want*time.Second)
		}
		c.t = b.Until()
		if !b.Allow() {
			t.Fatal("no trial")
		}
		if !b.Failure() {
			t.Fatal("a failed trial must open it again")
		}
	}
	c.t = b.Until()
	b.Allow()
	b.Success()
	open(t, b)
	if got := b.Until().Sub(c.t); got != time.Second {
		t.Fatalf("after a success the first rest is %v", got)
	}
}

func TestLateFailureDoesNotLengthenTheRest(t *testing.T) {
	b, _ := newBreaker()
	open(t, b)
	until := b.Until()
	if b.Failure() || !b.Until().Equal(until) {
		t.Fatal("a failure while resting moved the end of the rest")
	}
}

func TestCancelledTrialMayBeMadeAgain(t *testing.T) {
	b, c := newBreaker()
	open(t, b)
	c.add(time.Second)
	b.Allow()
	b.Cancel()
	if !b.Allow() {
		t.Fatal("the trial was not given back")
	}
	b.Success()
	b.Cancel()
	if b.State() != Closed {
		t.Fatal("cancel on a closed breaker opened it")
	}
}

func TestForgottenTrialEnds(t *testing.T) {
	b, c := newBreaker()
	open(t, b)
	c.add(time.Second)
	b.Allow()
	c.add(10 * time.Second)
	if !b.Allow() {
		t.Fatal("a trial that never reported blocks for ever")
	}
}

func TestOneTrialAmongMany(t *testing.T) {
	b, c := newBreaker()
	open(t, b)
	c.add(time.Second)
	var through atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if b.Allow() {
				through.Add(1)
			}
		})
	}
	wg.Wait()
	if through.Load() != 1 {
		t.Fatalf("%d trials at once", through.Load())
	}
}

func TestDefaultsAndNames(t *testing.T) {
	c := Config{Rest: time.Minute}.filled()
	if c.Failures != 3 || c.MaxRest != time.Minute || c.Trial != time.Minute {
		t.Fatalf("defaults: %+v", c)
	}
	for s, want := range map[State]string{Closed: "up", Open: "resting", HalfOpen: "trial"} {
		if s.String() != want {
			t.Errorf("%d is %q", s, s.String())
		}
	}
}
