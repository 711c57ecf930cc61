package entities_test

import (
	"errors"
	"fmt"
	"testing"

	"postern/internal/entity"
	"postern/internal/store/redis/redistest"
)

// A change reads nothing of what was read or written just before; what another node wrote
// meanwhile is noticed all the same, and nothing of the one that was too late is found.
func TestAChangeReadsNothingAgain(t *testing.T) {
	c := redistest.Mini(t)
	a, b := store(t, c, 0), store(t, c, 0)
	ctx := t.Context()
	must(t, a.Put(ctx, rec("x", 1, "one", 1)))
	trips := func(f func()) int64 {
		before := c.Status().Trips
		f()
		return c.Status().Trips - before
	}
	change := trips(func() { must(t, a.Put(ctx, rec("x", 2, "two", 1))) })
	fresh := trips(func() { must(t, b.Put(ctx, rec("x", 3, "three", 1))) }) // it has read nothing yet
	if change != fresh-1 {
		t.Errorf("%d round trips, %d where nothing is known", change, fresh)
	}
	if err := a.Put(ctx, rec("x", 3, "late", 9)); !errors.Is(err, entity.ErrConflict) {
		t.Errorf("over what another wrote: %v", err)
	}
	page, err := a.Find(ctx, entity.Query{Kind: "case", Index: "state", Value: "open"})
	if err != nil || len(page.Records) != 1 || string(page.Records[0].Data) != string(rec("x", 3, "three", 1).Data) {
		t.Errorf("%+v, %v", page.Records, err)
	}
	if after := trips(func() { must(t, a.Put(ctx, rec("x", 4, "four", 1))) }); after != change {
		t.Errorf("%d round trips after a page with it, not %d", after, change)
	}
	must(t, b.Remove(ctx, "case", "x", 4))
	if err := a.Put(ctx, rec("x", 5, "late", 1)); !errors.Is(err, entity.ErrConflict) {
		t.Errorf("over what was removed: %v", err)
	}
	must(t, b.Put(ctx, rec("x", 1, "anew", 1)))
	if err := a.Put(ctx, rec("x", 5, "late", 1)); !errors.Is(err, entity.ErrConflict) {
		t.Errorf("over another of its name: %v", err)
	}
}

// What is remembered is bounded, and forgotten by no change but its own.
func TestManyChanges(t *testing.T) {
	s := store(t, redistest.Mini(t), 0)
	for n := range 2500 {
		must(t, s.Put(t.Context(), rec(fmt.Sprint("m", n), 1, "one", int64(n))))
	}
	for n := range 2500 {
		must(t, s.Put(t.Context(), rec(fmt.Sprint("m", n), 2, "two", int64(n))))
	}
	if records, _, err := s.Size(t.Context()); err != nil || records != 2500 {
		t.Errorf("%d records, %v", records, err)
	}
}
