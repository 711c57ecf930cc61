package mailtest

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
)

// attempts is how often Steady begins anew: the last time with 32 times the first times.
const attempts = 6

// Steady runs a test of real time so that a machine that stands still does not fail it. Where f
// fails and the process stood still for longer than allowed times scale, f is run again with
// twice the scale, which it multiplies all its times by. One run must pass whole: what fails
// without that excuse, or every time, fails the test. Below zero everything but the longest times
// is excused, for times so short that a busy machine passes over one goroutine for that long. F
// takes care that runs do not meet.
func Steady(t testing.TB, allowed time.Duration, f func(t testing.TB, scale time.Duration)) {
	t.Helper()
	for n := range attempts {
		scale := time.Duration(1) << n
		a := &attempt{TB: t}
		gap := a.run(func() { f(a, scale) })
		if len(a.said) == 0 {
			return
		}
		excused := (allowed < 0 || gap > allowed*scale) && n < attempts-1
		for _, what := range a.said {
			if excused {
				t.Logf("not counted, the machine stood still for %v: %s", gap, what)
				continue
			}
			t.Error(what)
		}
		if !excused {
			t.Logf("the machine stood still for %v at most", gap)
			return
		}
	}
}

// attempt is a test whose failure is not yet one.
type attempt struct {
	testing.TB
	mu      sync.Mutex
	said    []string
	cleanup []func()
}

// run returns the longest time that nothing ran while f did.
func (a *attempt) run(f func()) (gap time.Duration) {
	done, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		const step = time.Millisecond
		for last := time.Now(); ; {
			select {
			case <-done:
				return
			case <-time.After(step):
			}
			now := time.Now()
			gap, last = max(gap, now.Sub(last)-step), now
		}
	}()
	ended := make(chan struct{})
	go func() { // so that Fatal can end it
		defer close(ended)
		f()
	}()
	<-ended
	for i := len(a.cleanup) - 1; i >= 0; i-- {
		a.cleanup[i]()
	}
	close(done)
	<-watched
	return gap
}

func (a *attempt) say(what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.said = append(a.said, what)
}

// Cleanup ends with the attempt.
func (a *attempt) Cleanup(f func()) { a.cleanup = append(a.cleanup, f) }

func (a *attempt) Error(args ...any)                 { a.say(fmt.Sprint(args...)) }
func (a *attempt) Errorf(format string, args ...any) { a.say(fmt.Sprintf(format, args...)) }
func (a *attempt) Fail()                             { a.say("failed") }
func (a *attempt) FailNow()                          { a.Fail(); runtime.Goexit() }
func (a *attempt) Fatal(args ...any)                 { a.Error(args...); runtime.Goexit() }
func (a *attempt) Fatalf(format string, args ...any) { a.Errorf(format, args...); runtime.Goexit() }

// Failed tells of this attempt alone.
func (a *attempt) Failed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.said) > 0 || a.TB.Failed()
}
