// Package seldom keeps a line that could be said a thousand times a second to one in a while.
package seldom

import (
	"sync"
	"time"
)

// Every is how often a line is said at most.
const Every = 10 * time.Second

// Line is a line of the log. It is safe for concurrent use.
type Line struct {
	Now func() time.Time

	mu   sync.Mutex
	last time.Time
}

// May reports whether it is time to say the line, and takes it as said. A clock that was set
// back is no reason to be silent.
func (l *Line) May() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.Now()
	if !l.last.IsZero() && !now.Before(l.last) && now.Sub(l.last) < Every {
		return false
	}
	l.last = now
	return true
}
