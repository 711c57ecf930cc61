package greylist

import (
	"sync"
	"time"
)

// Steps of the wall clock up to small are followed at once; larger ones at slew of the time
// that really passes, so that no step lets everybody in or forgets everybody.
const (
	small = 5 * time.Second
	slew  = 10 // per cent
)

// steady is a clock that does not jump and never runs backwards.
type steady struct {
	wall    func() time.Time
	elapsed func() time.Duration

	mu   sync.Mutex
	at   time.Time
	last time.Duration
}

// newSteady makes the clock. elapsed nil means the monotonic reading of wall.
func newSteady(wall func() time.Time, elapsed func() time.Duration) *steady {
	start := wall()
	if elapsed == nil {
		elapsed = func() time.Duration { return wall().Sub(start) }
	}
	return &steady{wall: wall, elapsed: elapsed, at: start.Round(0).UTC(), last: elapsed()}
}

func (s *steady) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.elapsed()
	passed := max(e-s.last, 0)
	s.last = e
	s.at = s.at.Add(passed)
	off := s.wall().Round(0).Sub(s.at)
	if most := passed / 100 * slew; off > small {
		off = min(off, most)
	} else if off < -small {
		off = max(off, -most)
	}
	s.at = s.at.Add(max(off, -passed)) // passed has been added before: never backwards
	return s.at
}

// shown is a time of this clock as the wall clock would have it.
func (s *steady) shown(t time.Time) time.Time {
	off := s.wall().Round(0).Sub(s.now())
	if off.Abs() <= small {
		return t
	}
	return t.Add(off)
}
