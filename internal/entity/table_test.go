package entity_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"postern/internal/entity"
	"postern/internal/mailtest/entities"
)

type thing struct {
	Name  string `json:"name"`
	Count int    `json:"count,omitempty"`
	Note  string `json:"note,omitempty"`
}

func things(s entity.Store) entity.Table[thing] {
	return entity.Table[thing]{Store: s, Kind: "thing", ID: func(t *thing) string { return t.Name }, Keys: func(t *thing) []entity.Key {
		return []entity.Key{{Index: "count", At: int64(t.Count)}}
	}}
}

func TestTable(t *testing.T) {
	ctx, s := t.Context(), &entities.Memory{}
	table := things(s)
	if _, err := table.Get(ctx, "a"); !errors.Is(err, entity.ErrNotFound) {
		t.Errorf("%v", err)
	}
	for i := range 25 {
		if r, err := table.Create(ctx, thing{Name: fmt.Sprintf("n%02d", i), Count: i}); err != nil || r.Version != 1 {
			t.Fatal(err)
		}
	}
	if _, err := table.Create(ctx, thing{Name: "n01"}); !errors.Is(err, entity.ErrExists) {
		t.Errorf("%v", err)
	}
	row, err := table.Change(ctx, "n01", func(t *thing) error { t.Count = 100; return nil })
	if err != nil || row.Version != 2 || row.Value.Count != 100 {
		t.Errorf("%+v %v", row, err)
	}
	if row, err = table.Change(ctx, "n01", func(t *thing) error { t.Count = 7; return entity.ErrUnchanged }); err != nil || row.Version != 2 {
		t.Errorf("%+v %v", row, err)
	}
	odd := errors.New("odd")
	if _, err = table.Change(ctx, "n01", func(*thing) error { return odd }); !errors.Is(err, odd) {
		t.Errorf("%v", err)
	}
	var seen []string
	err = table.Each(ctx, entity.Query{Index: "count", Limit: 4}, func(r entity.Row[thing]) error {
		seen = append(seen, r.Value.Name)
		return nil
	})
	if err != nil || len(seen) != 25 || seen[0] != "n01" || seen[24] != "n00" {
		t.Errorf("%v %v", seen, err)
	}
	if err := table.Each(ctx, entity.Query{Index: "count"}, func(entity.Row[thing]) error { return odd }); !errors.Is(err, odd) {
		t.Errorf("%v", err)
	}
	if n, err := table.Count(ctx, entity.Query{Index: "count", From: 20, To: 200}, 100); n != 6 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	if err := table.Remove(ctx, entity.Row[thing]{Value: thing{Name: "n01"}, Version: 1}); !errors.Is(err, entity.ErrConflict) {
		t.Errorf("%v", err)
	}
	row, _ = table.Get(ctx, "n01")
	if err := table.Remove(ctx, row); err != nil {
		t.Error(err)
	}
}

// A change that meets another one is made again on what that one wrote.
func TestChangesMeet(t *testing.T) {
	ctx, s := t.Context(), &entities.Memory{}
	table := things(s)
	if _, err := table.Create(ctx, thing{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	tries := 0
	row, err := table.Change(ctx, "a", func(v *thing) error {
		if tries++; tries == 1 {
			if _, err := things(s).Change(ctx, "a", func(v *thing) error { v.Note = "theirs"; return nil }); err != nil {
				t.Fatal(err)
			}
		}
		v.Count++
		return nil
	})
	if err != nil || tries != 2 || row.Value != (thing{"a", 1, "theirs"}) {
		t.Errorf("%+v after %d tries: %v", row.Value, tries, err)
	}
	tries = 0
	if _, err = table.Change(ctx, "a", func(v *thing) error {
		tries++
		_, err := things(s).Change(ctx, "a", func(v *thing) error { v.Count++; return nil })
		v.Count = 0
		return err
	}); !errors.Is(err, entity.ErrConflict) || tries != 10 {
		t.Errorf("%d tries: %v", tries, err)
	}
}

func TestFieldsOfANewerProgramSurvive(t *testing.T) {
	ctx, s := t.Context(), &entities.Memory{}
	raw := `{"name":"a","count":3,"note":"old","new":{"deep":[1,2]},"other":null}`
	if err := s.Put(ctx, entity.Record{Kind: "thing", ID: "a", Version: 1, Data: []byte(raw)}); err != nil {
		t.Fatal(err)
	}
	table := things(s)
	if _, err := table.Change(ctx, "a", func(v *thing) error { v.Count, v.Note = 4, ""; return nil }); err != nil {
		t.Fatal(err)
	}
	r, err := s.Get(ctx, "thing", "a")
	var got map[string]any
	if err := errors.Join(err, json.Unmarshal(r.Data, &got)); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got["new"]) != "map[deep:[1 2]]" || got["count"] != 4.0 {
		t.Errorf("%s", r.Data)
	}
	if _, there := got["note"]; there {
		t.Errorf("a field that was emptied stays: %s", r.Data)
	}
	if _, there := got["other"]; !there {
		t.Errorf("a field of a newer program is gone: %s", r.Data)
	}
}

func TestDamagedRecords(t *testing.T) {
	ctx, s := t.Context(), &entities.Memory{}
	if err := s.Put(ctx, entity.Record{Kind: "thing", ID: "a", Version: 1, Data: []byte(`{"name":5}`), Keys: []entity.Key{{Index: "count"}}}); err != nil {
		t.Fatal(err)
	}
	table := things(s)
	if _, err := table.Get(ctx, "a"); err == nil {
		t.Error("a record of another form is read")
	}
	if _, _, err := table.Find(ctx, entity.Query{Index: "count"}); err == nil {
		t.Error("a record of another form is read")
	}
	c, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := table.Create(c, thing{Name: "b"}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
