package localtest_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"

	"postern/internal/entity"
	"postern/internal/store/local"
	"postern/internal/store/local/localtest"
)

// TestFillRecords: what was filled in is found, counted and changed as if it had been put.
func TestFillRecords(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	var all []entity.Record
	for i := range 30 {
		all = append(all, entity.Record{Kind: "thing", ID: fmt.Sprint("n", i), Version: 1, Data: []byte(`{}`), Keys: []entity.Key{{Index: "at", At: int64(i)}, {Index: "at", At: int64(i)}}})
	}
	if err := localtest.FillRecords(t.Context(), dir, all); err != nil {
		t.Fatal(err)
	}
	h, err := local.Open(t.Context(), local.Options{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	page, err := h.Entities().Find(t.Context(), entity.Query{Kind: "thing", Index: "at", Limit: 7})
	if err != nil || len(page.Records) != 7 || page.Records[0].ID != "n29" || page.Next == "" {
		t.Errorf("%+v %v", page, err)
	}
	if n, _, err := h.Entities().Size(t.Context()); n != 30 || err != nil {
		t.Errorf("%d records, %v", n, err)
	}
	r := all[3]
	r.Version, r.Keys = 2, nil
	if err := h.Entities().Put(t.Context(), r); err != nil {
		t.Error(err)
	}
	if n, err := h.Entities().Count(t.Context(), entity.Query{Kind: "thing", Index: "at"}, 100); n != 29 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}
