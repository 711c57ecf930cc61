package external_test

import (
	"slices"
	"testing"
	"time"

	"postern/abuse/external"
	"postern/abuse/external/order"
	"postern/abuse/external/told"
	"postern/internal/entity"
)

// older writes a record as a program did that knew some indexes less.
func (w *world) older(kind entity.Kind, id string, without ...string) {
	w.t.Helper()
	r, err := w.home.Get(w.t.Context(), kind, id)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Keys = slices.DeleteFunc(r.Keys, func(k entity.Key) bool { return slices.Contains(without, k.Index) })
	r.Version++
	if err := w.home.Put(w.t.Context(), r); err != nil {
		w.t.Fatal(err)
	}
}

// TestOldRecordsAreFiled: a source and a notice that an older program wrote are found by their
// state, among the held, and among all notices after some ticks; nothing is written after that.
func TestOldRecordsAreFiled(t *testing.T) {
	w := newWorld(t)
	id, n := w.told()
	b := order.Block{Scope: order.ByIP, Value: w.message.IP.String(), Why: "a trap", By: anna.Name, At: w.now, Until: w.now.Add(72 * time.Hour), Rule: order.WhenQuiet}
	c, err := w.Desk.Block(t.Context(), anna, id, b, "")
	if err != nil {
		t.Fatal(err)
	}
	w.older("external-source", id, "state", "held")
	w.older(told.Kind, n.ID, "all")
	found := func() (out [3]int) {
		t.Helper()
		for i, q := range []external.Query{{State: c.State}, {Held: true}} {
			all, _, err := w.List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			out[i] = len(all)
		}
		if out[2], err = told.Table(w.home).Count(t.Context(), entity.Query{Index: "all"}, 10); err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got := found(); got != [3]int{} {
		t.Fatalf("found before: %v", got)
	}
	for range 2 { // each takes three
		w.settle()
	}
	if got := found(); got != [3]int{1, 1, 1} {
		t.Errorf("found after, by state, held, notices: %v", got)
	}
	before, err := w.home.Revision(t.Context(), told.Kind)
	if err != nil {
		t.Fatal(err)
	}
	w.settle()
	if after, err := w.home.Revision(t.Context(), told.Kind); err != nil || after != before {
		t.Errorf("notices are written again: %d, then %d, %v", before, after, err)
	}
}
