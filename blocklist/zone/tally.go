package zone

import (
	"errors"
	"time"
)

// Tally is what a list did since the start. Answers out of our cache count as well.
type Tally struct {
	Asked  int64 `json:"asked"`
	Listed int64 `json:"listed"`
	Failed int64 `json:"failed"` // no answer, or one that says the list is not well
	Millis int64 `json:"ms"`     // all answers together
	Slow   int64 `json:"slow"`   // the slowest, in milliseconds
}

// count notes one question.
func (z *Zone) count(took time.Duration, a Answer, err error) {
	if errors.Is(err, ErrCut) {
		return // it says nothing about the list
	}
	ms := took.Milliseconds()
	z.mu.Lock()
	defer z.mu.Unlock()
	z.tally.Asked++
	z.tally.Millis += ms
	z.tally.Slow = max(z.tally.Slow, ms)
	switch {
	case err != nil:
		z.tally.Failed++
	case len(a.Addrs) > 0:
		z.tally.Listed++
	}
}
