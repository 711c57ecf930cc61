package stores_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"postern/internal/entity"
	"postern/internal/entity/refile"
	"postern/internal/store/redis/redistest"
)

type filed struct {
	ID    string `json:"id"`
	State string `json:"state"`
}

// filing is the table of an older program, or that of one which knows one index more.
func filing(s entity.Store, newer bool) entity.Table[filed] {
	return entity.Table[filed]{Store: s, Kind: "filed", ID: func(v *filed) string { return v.ID }, Keys: func(v *filed) []entity.Key {
		keys := []entity.Key{{Index: "state", Value: v.State, At: 1}}
		if newer {
			keys = append(keys, entity.Key{Index: "all", At: 1})
		}
		return keys
	}}
}

// TestRefile has records of before filed anew by each home, while others are written, changed and
// removed: each that is left stands under the new index once, as it is.
func TestRefile(t *testing.T) {
	t.Run("embedded", func(t *testing.T) { refiled(t, embedded(t).Entities()) })
	t.Run("redis", func(t *testing.T) { refiled(t, shared(t, redistest.Server(t)).Entities) })
}

func refiled(t *testing.T, s entity.Store) {
	t.Helper()
	ctx, older, newer := t.Context(), filing(s, false), filing(s, true)
	id := func(i int) string { return fmt.Sprintf("f%03d", i) }
	for i := range 230 {
		_, err := older.Create(ctx, filed{id(i), []string{"new", "old"}[i%2]})
		must(t, err)
	}
	tick := func() error {
		return refile.Tick(ctx, "filed-1", newer, entity.Query{Index: "state", Value: "new"}, entity.Query{Index: "state", Value: "old"})
	}
	must(t, tick())
	if n, err := newer.Count(ctx, entity.Query{Index: "all"}, 1000); err != nil || n != 100 {
		t.Errorf("%d after one tick, %v", n, err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { // the older program goes on beside it, until it is replaced
		for i := range 10 {
			row, err := older.Get(ctx, id(i))
			if err = errors.Join(err, older.Remove(ctx, row)); err != nil && !errors.Is(err, entity.ErrConflict) {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		for i := range 10 {
			if _, err := newer.Change(ctx, id(220+i), func(f *filed) error { f.State = "changed"; return nil }); err != nil {
				t.Error(err)
			}
		}
	})
	for range 5 {
		if err := tick(); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	left := map[string]string{}
	for i := range 230 {
		if row, err := newer.Get(ctx, id(i)); err == nil {
			left[row.Value.ID] = row.Value.State
		} else if !errors.Is(err, entity.ErrNotFound) {
			t.Error(err)
		}
	}
	if len(left) < 220 || left[id(225)] != "changed" {
		t.Errorf("%d are left, %q", len(left), left[id(225)])
	}
	must(t, newer.Each(ctx, entity.Query{Index: "all", Limit: 50}, func(r entity.Row[filed]) error {
		if state, ok := left[r.Value.ID]; !ok || state != r.Value.State {
			t.Errorf("%+v is found twice, or is not there: %q", r.Value, state)
		}
		delete(left, r.Value.ID)
		return nil
	}))
	if len(left) > 0 {
		t.Errorf("not found: %v", left)
	}
	before, err := s.Revision(ctx, "filed")
	must(t, err)
	must(t, tick())
	if after, err := s.Revision(ctx, "filed"); err != nil || after != before {
		t.Errorf("written again when all was done: %d, then %d, %v", before, after, err)
	}
}
