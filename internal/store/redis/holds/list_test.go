package holds_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

// Pages stay what they are while mail comes in and holds end: nothing that was there all the
// time is missed or shown twice.
func TestPagesWhileMailComesIn(t *testing.T) {
	s := empty(t, redistest.Server(t))
	var want []string
	for n := range 30 {
		h := keep(t, s, storetest.Hold(n, "x"), "x")
		if n%3 != 0 {
			want = append(want, h.ID)
		}
	}
	slices.Reverse(want)
	var got []string
	q := quarantine.Query{Limit: 4, To: "@example.com"}
	for n := range 30 {
		page, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range page.Holds {
			if slices.Contains(want, h.ID) {
				got = append(got, h.ID)
			}
		}
		keep(t, s, storetest.Hold(100+n, "x"), "x")
		if n < 10 {
			h, err := s.Get(t.Context(), storetest.Hold(3*n, "").ID)
			if err != nil {
				t.Fatal(err)
			}
			h.State, h.Ended = quarantine.Deleted, &quarantine.Ended{At: storetest.Start}
			if _, err := s.Change(t.Context(), h); err != nil {
				t.Fatal(err)
			}
		}
		if q.After = page.Next; page.Next == "" {
			break
		}
	}
	if !slices.Equal(want, got) {
		t.Errorf("want %v\ngot %v", want, got)
	}
}

// Holds of one millisecond are paged like any others, and an ID will do as a place.
func TestPagesOfOneMoment(t *testing.T) {
	s := empty(t, redistest.Server(t))
	var want []string
	for n := range 20 {
		h := storetest.Hold(n, "x")
		h.At = storetest.Start
		want = append(want, keep(t, s, h, "x").ID)
	}
	slices.Reverse(want)
	for size := 1; size < 8; size++ {
		var got []string
		q := quarantine.Query{Limit: size}
		for range 21 {
			page, err := s.List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range page.Holds {
				got = append(got, h.ID)
			}
			if q.After = page.Next; q.After == "" {
				break
			}
		}
		if !slices.Equal(want, got) {
			t.Errorf("pages of %d: %v", size, got)
		}
	}
	if got := ids(t, s, quarantine.Query{After: want[4], Limit: 3}); !slices.Equal(got, want[5:8]) {
		t.Errorf("after an ID: %v", got)
	}
}

// A search that finds one of many looks at all of them, in rounds.
func TestSearchWithoutAnIndex(t *testing.T) {
	s := filled(t, 2500)
	odd := storetest.Hold(1, "x")
	odd.At, odd.Policy = storetest.Start.AddDate(0, 0, -40), "odd"
	keep(t, s, odd, "x")
	if got := ids(t, s, quarantine.Query{Policy: "odd"}); !slices.Equal(got, []string{odd.ID}) {
		t.Errorf("found %v", got)
	}
	if got := ids(t, s, quarantine.Query{Class: quarantine.Evidence}); len(got) != 0 {
		t.Errorf("found %v", got)
	}
}

// Words that no hold has any more are forgotten, others are not.
func TestVocabulary(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	s := on(t, c)
	for n, subject := range []string{"alpha common", "beta common"} {
		h := storetest.Hold(n, "x")
		h.Subject = subject
		h = keep(t, s, h, "x")
		if n == 0 {
			h.State, h.Ended = quarantine.Deleted, &quarantine.Ended{At: storetest.Start}
			if _, err := s.Change(t.Context(), h); err != nil {
				t.Fatal(err)
			}
		}
	}
	words := func() []string { return c.Client().ZRange(t.Context(), c.Key("ix", "words"), 0, -1).Val() }
	if got := words(); !slices.Equal(got, []string{"alpha", "beta", "common"}) {
		t.Errorf("%v", got)
	}
	if n, err := s.Forget(t.Context(), storetest.Start.Add(time.Hour)); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if got := words(); !slices.Equal(got, []string{"beta", "common"}) {
		t.Errorf("after Forget: %v", got)
	}
}

// A beginning that many words have is no way to lead a search, and is found all the same.
func TestManyBeginnings(t *testing.T) {
	s := empty(t, redistest.Server(t))
	for n := range 260 {
		h := storetest.Hold(n, "x")
		h.Subject = fmt.Sprintf("word%d", n)
		keep(t, s, h, "x")
	}
	page, err := s.List(t.Context(), quarantine.Query{Words: []string{"word*"}, Limit: 1000})
	if err != nil || len(page.Holds) != 260 || page.Next != "" {
		t.Errorf("%d, next %q, %v", len(page.Holds), page.Next, err)
	}
	if got := ids(t, s, quarantine.Query{Words: []string{"word25*"}}); len(got) != 11 {
		t.Errorf("found %v", got)
	}
}
