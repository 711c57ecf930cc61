package conn

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// clock is a time that moves only when told to.
type clock struct{ t time.Time }

func (c *clock) now() time.Time      { return c.t }
func (c *clock) add(d time.Duration) { c.t = c.t.Add(d) }

type said struct {
	*trouble
	*clock
	log *bytes.Buffer
}

func newSaid() said {
	c, log := &clock{time.Unix(1_800_000_000, 0)}, &bytes.Buffer{}
	return said{newTrouble(slog.New(slog.NewTextHandler(log, nil)), c.now), c, log}
}

func (s said) lines(text string) int { return strings.Count(s.log.String(), text) }

// replied is what a server said.
type replied string

func (r replied) Error() string { return string(r) }

// RedisError makes it one.
func (r replied) RedisError() {}

var full = &Fault{Reason: "out of memory", Err: errors.New("OOM")}

func TestTroubleIsSaidOnceInAWhile(t *testing.T) {
	s := newSaid()
	for range 10_000 {
		s.failed(Write, full)
		s.add(time.Millisecond)
	}
	if s.lines("redis is away") != 1 {
		t.Fatal(s.log)
	}
	s.failed(Write, full)
	if s.lines("redis is away") != 2 || s.lines("failures_not_said=9999") != 1 {
		t.Error(s.log)
	}
	if st := s.status(); st.Up || st.Faults["out of memory"] != 10_001 || !st.Since.Equal(time.Unix(1_800_000_000, 0)) {
		t.Errorf("%+v", st)
	}
}

func TestTheEndIsSaidOnce(t *testing.T) {
	s := newSaid()
	s.worked(Write)
	s.failed(Write, full)
	s.worked(Lookup)
	if st := s.status(); st.Up {
		t.Error("lookups that work say that writes do")
	}
	s.add(time.Second)
	s.worked(Write)
	if st := s.status(); !st.Up || st.Reason != "" || !st.Since.Equal(s.t) {
		t.Errorf("%+v", st)
	}
	if s.lines("redis is back") != 0 {
		t.Error("said before it settled")
	}
	s.add(settle)
	for range 100 {
		s.worked(Write)
		s.add(time.Minute)
	}
	if s.lines("redis is back") != 1 {
		t.Error(s.log)
	}
}

func TestFlappingIsDamped(t *testing.T) {
	s := newSaid()
	for range 600 { // ten minutes, every second one way or the other
		s.failed(Lookup, full)
		s.add(500 * time.Millisecond)
		s.worked(Lookup)
		s.add(500 * time.Millisecond)
	}
	if n := s.lines("msg="); n > 60 {
		t.Errorf("%d lines in ten minutes", n)
	}
	s = newSaid()
	for range 200 { // ten minutes, three seconds away and then well
		s.failed(Lookup, full)
		s.worked(Lookup)
		s.add(settle)
		s.worked(Lookup)
		s.add(time.Second)
	}
	if away, back := s.lines("redis is away"), s.lines("redis is back"); away > 60 || back > 60 || back == 0 {
		t.Errorf("%d and %d lines in ten minutes", away, back)
	}
}

func TestAKindThatIsNoLongerUsedIsForgotten(t *testing.T) {
	s := newSaid()
	s.failed(Write, full)
	s.add(stale - time.Second)
	s.worked(Background)
	if s.status().Up {
		t.Error("writes failed just now")
	}
	s.add(time.Second)
	s.worked(Background)
	if !s.status().Up {
		t.Error("a write of long ago still counts")
	}
}

// TestNobodyMakesSuchCalls: that the server answers at all ends trouble of calls that nobody
// answered, and no other.
func TestNobodyMakesSuchCalls(t *testing.T) {
	s, gone := newSaid(), &Fault{Reason: "nobody listens", Err: syscall.ECONNREFUSED, rest: true}
	loading := faultOf(replied("LOADING Redis is loading"))
	for _, c := range []struct {
		fault *Fault
		up    bool
	}{{gone, true}, {full, false}, {loading, false}, {NotOurs("another key", errors.New("x")), false}} {
		s.failed(Lookup, c.fault)
		s.failed(Write, gone)
		s.answered(Write, Background)
		if s.status().Up {
			t.Errorf("%s: lookups were not answered yet", c.fault.Reason)
		}
		s.answered(Lookup)
		if s.status().Up != c.up {
			t.Errorf("%s: up is %v", c.fault.Reason, !c.up)
		}
		s.worked(Lookup)
		if !s.status().Up {
			t.Errorf("%s: it works, and is not up", c.fault.Reason)
		}
		s.add(time.Minute)
	}
}

func TestAClockThatGoesBack(t *testing.T) {
	s := newSaid()
	s.failed(Write, full)
	s.add(-time.Hour)
	s.failed(Write, full)
	if s.lines("redis is away") != 2 {
		t.Error("an hour of silence")
	}
	s.worked(Write)
	s.add(settle)
	s.worked(Write)
	if s.lines("redis is back") != 1 {
		t.Error(s.log)
	}
}

func TestTroubleOfMany(t *testing.T) {
	s := newSaid()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				s.failed(Lookup, full)
				s.worked(Lookup)
				s.status()
				s.why()
			}
		})
	}
	wg.Wait()
	if s.lines("msg=") > 2 {
		t.Error(s.log)
	}
}
