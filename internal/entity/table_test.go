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

// odd reads itself, and keeps what it reads.
type odd struct {
	Name string `json:"name"`
}

func (o *odd) UnmarshalJSON(b []byte) error {
	var v struct{ Name string }
	err := json.Unmarshal(b, &v)
	o.Name = v.Name
	return err
}

// A type that reads itself, a record of no fields, and a name of which only the case differs.
func TestOddRecords(t *testing.T) {
	ctx, s := t.Context(), &entities.Memory{}
	for id, raw := range map[string]string{"a": `{"name":"a","more":1}`, "null": "null", "case": `{"name":"case","COUNT":2} `} {
		if err := s.Put(ctx, entity.Record{Kind: "thing", ID: id, Version: 1, Data: []byte(raw)}); err != nil {
			t.Fatal(err)
		}
	}
	data := func(id string) string {
		r, err := s.Get(ctx, "thing", id)
		if err != nil {
			t.Fatal(err)
		}
		return string(r.Data)
	}
	odds := entity.Table[odd]{Store: s, Kind: "thing", ID: func(*odd) string { return "a" }}
	for id, want := range map[string]string{"a": `{"more":1,"name":"b"}`, "null": `{"name":"b"}`} {
		odds.ID = func(*odd) string { return id }
		if _, err := odds.Change(ctx, id, func(v *odd) error { v.Name = "b"; return nil }); err != nil || data(id) != want {
			t.Errorf("%s: %s %v", id, data(id), err)
		}
	}
	if _, err := things(s).Change(ctx, "case", func(v *thing) error { v.Count++; return nil }); err != nil || data("case") != `{"name":"case","count":3}` {
		t.Errorf("%s %v", data("case"), err)
	}
}

// A row in hand is changed without being read again, unless somebody was quicker.
func TestUpdate(t *testing.T) {
	ctx, s := t.Context(), &entities.Memory{}
	table := things(s)
	row, err := table.Create(ctx, thing{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	more := func(v *thing) error { v.Count++; return nil }
	now, err := table.Update(ctx, row, more)
	if err != nil || now.Version != 2 || now.Value.Count != 1 {
		t.Errorf("%+v %v", now, err)
	}
	if now, err = table.Update(ctx, row, more); err != nil || now.Version != 3 || now.Value.Count != 2 { // the row is old
		t.Errorf("%+v %v", now, err)
	}
	if now, err = table.Update(ctx, now, func(*thing) error { return entity.ErrUnchanged }); err != nil || now.Version != 3 {
		t.Errorf("%+v %v", now, err)
	}
	bad := errors.New("bad")
	if _, err = table.Update(ctx, now, func(*thing) error { return bad }); !errors.Is(err, bad) {
		t.Errorf("%v", err)
	}
	if err := table.Remove(ctx, now); err != nil {
		t.Fatal(err)
	}
	if _, err = table.Update(ctx, now, more); !errors.Is(err, entity.ErrNotFound) {
		t.Errorf("%v", err)
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
