package trend_test

import (
	"errors"
	"iter"
	"testing"
	"time"

	"postern/internal/entity"
	"postern/internal/record/trend"
)

// minutes are some before a time, with a message in each.
func minutes(before time.Time, n int) iter.Seq2[time.Time, trend.Span] {
	return func(yield func(time.Time, trend.Span) bool) {
		for i := range n {
			if !yield(before.Add(time.Duration(i-n)*time.Minute), trend.Counted(message("inbound", "accept", 40, "delivered"))) {
				return
			}
		}
	}
}

// TestPast writes minutes that are over: they are read as those that were counted, and nothing
// that was counted is written over.
func TestPast(t *testing.T) {
	w := newWorld()
	w.now = noon.Truncate(time.Minute)
	b := w.books["mx1"]
	if err := b.Past(t.Context(), minutes(w.now, 24*60-1)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int64{"hour": 59, "day": 24*60 - 5, "week": 24*60 - 1} {
		got, err := b.Look(t.Context(), name, "mx1")
		if err != nil {
			t.Fatal(err)
		}
		if n := got.Total.Fates["in:delivered"]; n < want-1 || n > want+1 {
			t.Errorf("%s: %d, about %d are there", name, n, want)
		}
		if h := got.Total.Delays["total"]; h.Max != 40 || h.N != got.Total.Fates["in:delivered"] {
			t.Errorf("%s: %+v", name, h)
		}
	}
	if err := b.Past(t.Context(), minutes(w.now, 5)); !errors.Is(err, entity.ErrExists) {
		t.Errorf("written over: %v", err)
	}
	if err := w.books["mx2"].Past(t.Context(), minutes(w.now, 5)); err != nil {
		t.Errorf("another node: %v", err)
	}
	if err := w.books["mx2"].Past(t.Context(), minutes(w.now.Add(-72*time.Hour), 48*60+1)); err == nil {
		t.Error("more than two days are taken")
	}
	w.store.away = true
	if err := w.books["mx2"].Past(t.Context(), minutes(w.now.Add(-30*time.Hour), 5)); err == nil {
		t.Error("the store is away and nothing was said")
	}
}
