package campaign_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/filter/campaign"
	"postern/filter/campaign/simhash"
)

// asked counts the questions to a store.
type asked struct {
	campaign.Store
	n atomic.Int64
}

func (a *asked) Near(ctx context.Context, p simhash.Print, bands []simhash.Band) ([]campaign.Group, error) {
	a.n.Add(1)
	return a.Store.Near(ctx, p, bands)
}

// TestLocal asks the store about letters that this node sees again and again, and seldom.
func TestLocal(t *testing.T) {
	w := newWorld()
	store, at := &asked{Store: w.store}, now()
	w.check.Store, w.check.Local, w.check.Now = store, 2, func() time.Time { return at }
	look := func(n int, text string, want int64, why string) {
		t.Helper()
		w.finds(t, message(n, fmt.Sprintf("a@s%d.example", n), text))
		if got := store.n.Load(); got != want {
			t.Fatalf("%s: %d questions, want %d", why, got, want)
		}
	}
	look(1, text, 0, "the first")
	look(2, text, 0, "the second")
	look(3, text, 1, "the third")
	look(4, text, 1, "the fourth, at once")
	at = at.Add(6 * time.Second)
	look(5, text, 2, "a little later")
	for i := range 50 {
		look(6+i, letterOf(i), 2, "letters of other words")
	}
	look(60, text, 2, "the same once more")
	at = at.Add(2 * time.Hour)
	look(61, text, 2, "when the others are long gone")
	look(62, text, 2, "the second after that")
	look(63, text, 3, "the third after that")
}

// letterOf has words that no other number's letter has.
func letterOf(n int) string {
	out := ""
	for i := range 60 {
		out += fmt.Sprintf("w%dx%d ", n*7919+i*104729, i*n)
	}
	return out
}

// TestLocalBurst finds a burst that other nodes saw the most of.
func TestLocalBurst(t *testing.T) {
	w := newWorld()
	w.came(t, 12, nil)
	w.check.Local = 2
	for n, want := range []string{"", "", campaign.Burst, campaign.Burst} {
		if got := w.finds(t, message(40+n, fmt.Sprintf("a@t%d.example", n), text)); got != want {
			t.Errorf("copy %d on this node: %q, want %q", n+1, got, want)
		}
	}
}

// TestLocalRing keeps to its bounds, also when many look at once.
func TestLocalRing(t *testing.T) {
	w := newWorld()
	store := &asked{Store: w.store}
	w.check.Store, w.check.Local = store, 2
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 1200 {
				if _, err := w.check.Check(t.Context(), message(g, "a@b.example", letterOf(g*1200+i))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := store.n.Load(); n > 50 {
		t.Errorf("%d questions about 4800 different letters", n)
	}
}
