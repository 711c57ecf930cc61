package zone

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// TestTally has each answer counted once, as what it was, and a question that was cut short
// not at all.
func TestTally(t *testing.T) {
	z := &Zone{}
	listed := Answer{Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.2")}}
	for _, c := range []struct {
		name string
		took time.Duration
		a    Answer
		err  error
		want Tally
	}{
		{"not listed", 20 * time.Millisecond, Answer{}, nil, Tally{Asked: 1, Millis: 20, Slow: 20}},
		{"listed", 5 * time.Millisecond, listed, nil, Tally{Asked: 2, Listed: 1, Millis: 25, Slow: 20}},
		{"no answer", 3 * time.Second, Answer{}, errors.New("timeout"), Tally{Asked: 3, Listed: 1, Failed: 1, Millis: 3025, Slow: 3000}},
		{"not well", time.Millisecond, Answer{}, &errList{"lists everything"}, Tally{Asked: 4, Listed: 1, Failed: 2, Millis: 3026, Slow: 3000}},
		{"cut short", time.Hour, Answer{}, fmt.Errorf("list: %w", ErrCut), Tally{Asked: 4, Listed: 1, Failed: 2, Millis: 3026, Slow: 3000}},
		{"out of the cache", 0, listed, nil, Tally{Asked: 5, Listed: 2, Failed: 2, Millis: 3026, Slow: 3000}},
	} {
		z.count(c.took, c.a, c.err)
		if got := z.Health().Tally; got != c.want {
			t.Errorf("%s: %+v, not %+v", c.name, got, c.want)
		}
	}
}
