package book_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"postern/abuse/service/book"
	"postern/internal/entity"
	"postern/internal/mailtest/entities"
)

var noon = time.Date(2026, 6, 8, 4, 0, 0, 0, time.UTC) // in Shanghai

func zone(t *testing.T) *time.Location {
	t.Helper()
	z, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func open(t *testing.T, s entity.Store, node string, now *time.Time) *book.Book {
	t.Helper()
	z := zone(t)
	return &book.Book{Store: s, Node: node, Zone: func() *time.Location { return z }, Now: func() time.Time { return *now }}
}

func day(t *testing.T, b *book.Book, id string) book.Day {
	t.Helper()
	row, err := b.Days().Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return row.Value
}

// What is seen is added to what was written, by the day of the zone; a failed minute stays one.
func TestDays(t *testing.T) {
	s, now := &entities.Memory{}, noon
	b := open(t, s, "mx1.example", &now)
	for i, err := range []error{nil, errors.New("no\ranswer"), nil} {
		b.Probed("smtp-in", noon.Add(time.Duration(i)*time.Minute), err)
	}
	b.Probed("smtp-in", noon.Add(time.Minute+time.Second), nil)
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.Probed("smtp-in", noon.Add(3*time.Minute), nil)
	b.Probed("smtp-in", noon.Add(13*time.Hour), nil) // the next day there
	b.Delayed(book.Receive, "a.example", "m1", noon, 2*time.Second)
	b.Delayed(book.Receive, "a.example", "m2", noon, 4*time.Second)
	b.Delayed(book.Send, "b.example", "m3", noon, 2*time.Hour)
	b.Held(book.Receive, "a.example", noon)
	b.Sample("signatures", noon, time.Hour, "1")
	b.Sample("signatures", noon, 30*time.Minute, "2")
	for range 2 { // the second has nothing to write
		if err := b.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	d := day(t, b, "2026-06-08:mx1.example")
	if got := d.Minutes["smtp-in"]; len(got) != 12*60+4 || got[12*60:] != ".x.." || strings.TrimSpace(got[:12*60]) != "" {
		t.Errorf("%q", got)
	}
	if d.From != time.Date(2026, 6, 7, 16, 0, 0, 0, time.UTC) || d.Zone != "Asia/Shanghai" || len(d.Failures) != 1 || d.Failures[0].Why != "no answer" {
		t.Errorf("%+v", d)
	}
	if got := d.Delays[book.Receive]; got != (book.Delay{Count: 2, Sum: 6000, Max: 4000, Held: 1}) {
		t.Errorf("%+v", got)
	}
	if len(d.Slow) != 1 || d.Slow[0].Message != "m3" || d.Delays[book.Send].Over != 1 {
		t.Errorf("%+v", d.Slow)
	}
	if a := d.Ages["signatures"]; a.Count != 2 || a.Max != 3600 || a.Last != 1800 || a.Note != "2" || a.Sum != 5400 {
		t.Errorf("%+v", a)
	}
	if got := day(t, b, "2026-06-09:mx1.example").Minutes["smtp-in"]; len(got) != 61 {
		t.Errorf("%q", got)
	}
	rows, _, err := b.Domains().Find(t.Context(), entity.Query{Index: "day"})
	if err != nil || len(rows) == 0 {
		t.Fatal(err)
	}
	all := map[string]book.Delay{}
	for _, r := range rows {
		for domain, ways := range r.Value.Delays {
			for _, d := range ways {
				all[domain] = all[domain].Plus(d)
			}
		}
	}
	if all["a.example"].Count != 2 || all["b.example"].Over != 1 {
		t.Errorf("%+v", all)
	}
}

// What a store does not take waits, and nothing is counted twice.
func TestStoreAway(t *testing.T) {
	odd := errors.New("away")
	s, now := &entities.Memory{}, noon
	b := open(t, s, "mx1.example", &now)
	s.Fail = func() error { return odd }
	b.Delayed(book.Receive, "a.example", "m1", noon, time.Second)
	b.Fault("store", "away", noon, false)
	if err := b.Flush(t.Context()); !errors.Is(err, odd) {
		t.Fatal(err)
	}
	b.Delayed(book.Receive, "a.example", "m2", noon, time.Second)
	b.Fault("store", "", noon.Add(time.Minute), true)
	if err := b.Flush(t.Context()); !errors.Is(err, odd) {
		t.Fatal(err)
	}
	s.Fail = nil
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := day(t, b, "2026-06-08:mx1.example").Delays[book.Receive]; got.Count != 2 {
		t.Errorf("%+v", got)
	}
	all, err := b.Between(t.Context(), noon.Add(-time.Hour), noon.Add(time.Hour))
	if err != nil || len(all) != 1 || all[0].Until() != noon.Add(time.Minute) || all[0].Lost {
		t.Errorf("%+v %v", all, err)
	}
}

// A fault that a process left behind ends when it last stood for sure.
func TestFaultsLeftBehind(t *testing.T) {
	s, now := &entities.Memory{}, noon
	b := open(t, s, "mx1.example", &now)
	b.Fault("clamav:down", "no scanner", noon, false)
	b.Fault("clamav:down", "no scanner", noon.Add(time.Minute), false) // it goes on
	b.Fault("other", "never began", noon, true)
	now = noon.Add(10 * time.Minute)
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := open(t, s, "mx2.example", &now)
	if err := other.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	now = noon.Add(time.Hour)
	if all, _ := b.Between(t.Context(), noon, noon.Add(time.Hour)); len(all) != 1 || !all[0].End.IsZero() {
		t.Fatalf("%+v", all)
	}
	after := open(t, s, "mx1.example", &now)
	if err := after.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := after.Between(t.Context(), noon, noon.Add(time.Hour))
	if err != nil || len(all) != 1 || all[0].End != noon.Add(10*time.Minute) || !all[0].Lost {
		t.Errorf("%+v %v", all, err)
	}
	if all, _ := after.Between(t.Context(), noon.Add(11*time.Minute), noon.Add(time.Hour)); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

// Whatever strangers bring, a record stays one.
func TestBounds(t *testing.T) {
	s, now := &entities.Memory{}, noon
	b := open(t, s, "a node of odd name", &now)
	for i := range 60000 {
		b.Delayed(book.Receive, fmt.Sprintf("%d.example.%s", i, strings.Repeat("x", 100)), strings.Repeat("m", 26), noon, 2*time.Hour)
	}
	for i := range 3000 {
		b.Fault(fmt.Sprintf("key %d", i), strings.Repeat("s", 5000), noon, false)
		b.Probed("smtp-in", noon.Add(time.Duration(i)*time.Second), errors.New(strings.Repeat("e", 10000)))
	}
	for i := range 30 {
		b.Sample("signatures", noon.AddDate(0, 0, i), time.Hour, "")
	}
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var n int64
	err := b.Domains().Each(t.Context(), entity.Query{Index: "day"}, func(r entity.Row[book.Tenants]) error {
		for _, ways := range r.Value.Delays {
			n += ways[book.Receive].Count
		}
		return nil
	})
	if err != nil || n != 60000 {
		t.Errorf("%d of 60000 are counted: %v", n, err)
	}
	now = noon.Add(book.Keep + 48*time.Hour)
	for range 10 {
		if err := b.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if left, _ := b.Between(t.Context(), noon.Add(-time.Hour), noon.Add(time.Hour)); len(left) > 0 {
		t.Errorf("%d faults are left", len(left))
	}
}
