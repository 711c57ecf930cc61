package second_test

import (
	"sync"
	"testing"
	"time"

	"postern/abuse/second"
	"postern/internal/mailtest/entities"
)

func TestPace(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)
	store := &entities.Memory{}
	nodes := []*second.Pace{{Store: store, Now: func() time.Time { return now }}, {Store: store, Now: func() time.Time { return now }}}
	take := func(i int, who string, want bool) {
		t.Helper()
		if got, err := nodes[i%2].Take(t.Context(), who); err != nil || got != want {
			t.Errorf("act %d of %s: %v, %v", i, who, got, err)
		}
	}
	for i := range second.Most {
		take(i, "olga", true)
		now = now.Add(time.Minute)
	}
	take(0, "olga", false)
	take(1, "olga", false)
	take(0, "ivan", true)
	now = now.Add(second.Per - second.Most*time.Minute) // the first is an hour old
	take(0, "olga", true)
	take(0, "olga", false)
	now = now.Add(-3 * time.Hour) // the clock was set back: what lies far ahead does not count
	take(0, "olga", true)
}

func TestPaceAtOnce(t *testing.T) {
	p := &second.Pace{Store: &entities.Memory{}, Now: time.Now}
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range 2 * second.Most {
		wg.Go(func() {
			ok, _ := p.Take(t.Context(), "olga") // a conflict that lasts is no act
			mu.Lock()
			defer mu.Unlock()
			if ok {
				done++
			}
		})
	}
	wg.Wait()
	if done > second.Most || done == 0 {
		t.Errorf("%d acts", done)
	}
}
