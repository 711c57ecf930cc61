package refile_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"postern/internal/entity"
	"postern/internal/entity/refile"
	"postern/internal/mailtest/entities"
)

type thing struct {
	ID    string `json:"id"`
	State string `json:"state"`
}

// table is that of an older program, or that of one which knows one index more.
func table(store entity.Store, newer bool) entity.Table[thing] {
	return entity.Table[thing]{Store: store, Kind: "thing", ID: func(v *thing) string { return v.ID }, Keys: func(v *thing) []entity.Key {
		keys := []entity.Key{{Index: "state", Value: v.State, At: 1}}
		if newer {
			keys = append(keys, entity.Key{Index: "all", At: 1})
		}
		return keys
	}}
}

func TestTick(t *testing.T) {
	ctx, home := t.Context(), &entities.Memory{}
	for i := range 250 {
		if _, err := table(home, false).Create(ctx, thing{fmt.Sprintf("t%03d", i), []string{"new", "old", "lost"}[i%3]}); err != nil {
			t.Fatal(err)
		}
	}
	newer := table(home, true)
	count := func() int {
		n, err := newer.Count(ctx, entity.Query{Index: "all"}, 1000)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	tick := func() {
		t.Helper()
		before := count()
		if err := refile.Tick(ctx, "things-1", newer, entity.Query{Index: "state", Value: "new"}, entity.Query{Index: "state", Value: "old"}); err != nil {
			t.Fatal(err)
		}
		if n := count() - before; n > 100 {
			t.Errorf("%d in one tick", n)
		}
	}
	for range 5 {
		tick()
	}
	if n := count(); n != 167 {
		t.Errorf("%d are found, not the 84 new and the 83 old", n)
	}
	before, err := home.Revision(ctx, "thing")
	if err != nil {
		t.Fatal(err)
	}
	tick()
	if after, err := home.Revision(ctx, "thing"); err != nil || after != before {
		t.Errorf("written again when all was done: %d, then %d, %v", before, after, err)
	}
}

// What cannot be written is tried again, and what has nothing to find is done.
func TestTickGoesOnAfterAFailure(t *testing.T) {
	ctx, home := t.Context(), &entities.Memory{}
	if _, err := table(home, false).Create(ctx, thing{"one", "new"}); err != nil {
		t.Fatal(err)
	}
	broken := failing{home, errors.New("the disk is full")}
	state := entity.Query{Index: "state", Value: "new"}
	if err := refile.Tick(ctx, "things-1", table(broken, true), state); !errors.Is(err, broken.err) {
		t.Fatal(err)
	}
	if err := refile.Tick(ctx, "things-1", table(home, true), state); err != nil {
		t.Fatal(err)
	}
	if n, err := table(home, true).Count(ctx, entity.Query{Index: "all"}, 10); n != 1 || err != nil {
		t.Error(n, err)
	}
	for range 2 {
		if err := refile.Tick(ctx, "nothing", table(home, true)); err != nil {
			t.Error(err)
		}
	}
}

// failing cannot write things.
type failing struct {
	*entities.Memory
	err error
}

func (f failing) Put(ctx context.Context, r entity.Record) error {
	if r.Kind == "thing" {
		return f.err
	}
	return f.Memory.Put(ctx, r)
}
