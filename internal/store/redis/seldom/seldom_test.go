package seldom

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestLine(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	l := Line{Now: func() time.Time { return now }}
	for i, c := range []struct {
		step time.Duration
		want bool
	}{{0, true}, {0, false}, {Every - 1, false}, {1, true}, {time.Second, false}, {-time.Hour, true}, {time.Second, false}, {Every, true}} {
		now = now.Add(c.step)
		if got := l.May(); got != c.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	l := Line{Now: func() time.Time { return now }}
	var wg sync.WaitGroup
	var said atomic.Int64
	for range 50 {
		wg.Go(func() {
			if l.May() {
				said.Add(1)
			}
		})
	}
	if wg.Wait(); said.Load() != 1 {
		t.Errorf("said %d times", said.Load())
	}
}
