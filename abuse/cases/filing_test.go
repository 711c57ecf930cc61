package cases_test

import (
	"slices"
	"testing"

	"postern/abuse/cases"
	"postern/abuse/cases/dossier"
	"postern/internal/entity"
)

// TestOldCasesAreFiled: cases that an older program wrote are found by their words after some
// ticks, and not written again after that.
func TestOldCasesAreFiled(t *testing.T) {
	w := filled(t)
	every := w.ids(t, cases.Search{View: "all", Limit: 100})
	for _, id := range every {
		r, err := w.Entities.Get(t.Context(), "case", id)
		if err != nil {
			t.Fatal(err)
		}
		r.Keys = slices.DeleteFunc(r.Keys, func(k entity.Key) bool { return k.Index == dossier.IndexWord })
		r.Version++
		if err := w.Entities.Put(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	found := func() int { return len(w.ids(t, cases.Search{View: "all", Text: "one.example", Limit: 100})) }
	if n := found(); n != 0 {
		t.Fatalf("%d are found before", n)
	}
	for range 3 {
		if err := w.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := found(); n == 0 {
		t.Error("none is found after")
	}
	before, err := w.Entities.Revision(t.Context(), "case")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after, err := w.Entities.Revision(t.Context(), "case"); err != nil || after != before {
		t.Errorf("cases are written again: %d, then %d, %v", before, after, err)
	}
}
