package kept_test

import (
	"fmt"
	"testing"

	"postern/internal/entity"
	"postern/internal/store/redis/entities"
)

// What was looked up before is not taken apart again, and yet all that happens to it is seen.
func TestLooksAgain(t *testing.T) {
	w := start(t)
	a, b := w.node(t), w.node(t)
	ctx := t.Context()
	w.pass(3 * grace)
	must(t, a.Step(ctx)) // the check at the start
	for i := range 6 {
		must(t, a.Put(ctx, rec(fmt.Sprintf("r%d", i), 1)))
	}
	for range 3 {
		must(t, a.Refresh(ctx))
	}
	if st := a.Status(); st.Live != 6 {
		t.Fatalf("%+v", st)
	}
	must(t, b.Put(ctx, rec("r0", 2)))
	must(t, b.Remove(ctx, "case", "r1", 1))
	must(t, a.Put(ctx, rec("r2", 2)))
	must(t, a.Refresh(ctx))
	if st := a.Status(); st.Live != 4 || st.Tombstones != 1 || a.Restoring() {
		t.Errorf("%+v", st)
	}
	must(t, a.Refresh(ctx))
	c := w.server.Client()
	defer c.Close()
	key := a.conn.Key("{e:case:r3}", "r")
	text, err := c.Get(ctx, key).Result()
	must(t, err)
	must(t, c.Set(ctx, key, text[:len(text)-1]+string(text[len(text)-1]^1), 0).Err()) // its last octet alone
	must(t, a.Refresh(ctx))
	if !a.Restoring() {
		t.Error("a damaged record went unseen")
	}
}

// A print is that of just what was found.
func TestUnchanged(t *testing.T) {
	w := start(t)
	a := w.node(t)
	ctx := t.Context()
	names := []entities.Name{{Kind: "case", ID: "one"}, {Kind: "case", ID: "two"}, {Kind: "case", ID: "none"}}
	for _, id := range []string{"one", "two"} {
		must(t, a.Put(ctx, rec(id, 1)))
	}
	prints := make([]uint64, len(names))
	fates, err := a.Look(ctx, names)
	must(t, err)
	for i, f := range fates {
		prints[i] = f.Print
	}
	check := func(want ...bool) {
		t.Helper()
		got, err := a.Unchanged(ctx, names, prints)
		must(t, err)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	check(true, true, false)
	must(t, a.Put(ctx, entity.Record{Kind: "case", ID: "two", Version: 2, Data: rec("two", 1).Data}))
	check(true, false, false)
	must(t, a.Remove(ctx, "case", "one", 1))
	check(false, false, false)
}
