package session

import (
	"sync"
	"time"
)

// sayEvery is how often the failures of one observer are logged at most.
const sayEvery = 10 * time.Second

// said remembers which failures of observers were logged: while a store is away each message
// would be one more line.
type said struct {
	mu     sync.Mutex
	last   map[int]time.Time
	unsaid map[int]int
}

// due reports whether a failure of observer n is to be logged now, and how many were not.
func (s *said) due(n int, now time.Time) (unsaid int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last, s.unsaid = map[int]time.Time{}, map[int]int{}
	}
	if last, before := s.last[n]; before && now.Sub(last).Abs() < sayEvery {
		s.unsaid[n]++
		return 0, false
	}
	unsaid = s.unsaid[n]
	s.last[n], s.unsaid[n] = now, 0
	return unsaid, true
}
