package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/filter"
	"postern/quarantine"
)

// Rated makes holds for lists by score: few scores that many share, both directions, two
// recipients, several states, some words.
func Rated(n int) []quarantine.Hold {
	out := make([]quarantine.Hold, n)
	for i := range out {
		h := Hold(i, fmt.Sprint("body ", i%16))
		h.State, h.Version, h.V = quarantine.Held, 2, quarantine.RecordVersion
		h.Score = filter.Score(i*37%11*100 - 300)
		h.Subject = fmt.Sprintf("word%d Hello", i%3)
		h.To = []string{fmt.Sprintf("u%d@example.com", i%2)}
		if i%97 == 5 {
			h.To = []string{"rare@example.com"}
		}
		if i%41 == 3 {
			h.Direction = "outbound"
		}
		if i%7 == 6 {
			h.State, h.Ended = quarantine.Deleted, &quarantine.Ended{At: h.At.Add(time.Hour)}
		}
		out[i] = h
	}
	return out
}

// ByScore asks a store that has these holds, and no others, for lists in every order, by pages.
func ByScore(t *testing.T, s quarantine.Store, all []quarantine.Hold) {
	t.Helper()
	size := max(len(all)/7, 3)
	if size > quarantine.MaxPage {
		t.Fatalf("%d holds are too many", len(all))
	}
	for name, q := range map[string]quarantine.Query{
		"all": {}, "a state": {States: []quarantine.State{quarantine.Deleted}}, "two states": {States: []quarantine.State{quarantine.Held, quarantine.Deleted}},
		"recipient": {To: "u1@example.com"}, "rare recipient": {To: "rare@example.com"}, "sender": {From: "@example.org", To: "U0@example.com"}, "symbol": {Symbol: "SPF_FAIL"},
		"direction": {Direction: "outbound"}, "the other direction": {Direction: "inbound"}, "score": {AtLeast: score(500)}, "rare": {AtLeast: score(700), Direction: "outbound"},
		"no such score": {AtLeast: score(9900)}, "up to a score": {AtMost: score(-300)}, "between": {AtLeast: score(0), AtMost: score(100), To: "u0@example.com"}, "score of a state": {AtLeast: score(600), States: []quarantine.State{quarantine.Deleted}},
		"word": {Words: []string{"word1"}}, "beginning": {Words: []string{"wor*", "hello"}, To: "u1@example.com"}, "time": {Since: all[len(all)/3].At, Until: all[len(all)/2].At}, "short time": {Since: all[len(all)-4].At, Direction: "inbound"},
		"no such recipient": {To: "nobody@example.com"}, "policy": {Policy: "none"}, "no such word": {Words: []string{"nothing"}},
	} {
		for _, order := range []quarantine.Order{"", quarantine.Newest, quarantine.Oldest, quarantine.Highest, quarantine.Lowest} {
			q.Order, q.Limit, q.After = order, size, ""
			want := sorted(all, q)
			if got := pages(t, s, q); !slices.Equal(got, want) {
				t.Errorf("%s, %q: %d holds, not %d: %.120v, not %.120v", name, order, len(got), len(want), got, want)
			}
		}
		if c, ok := s.(quarantine.Counter); ok {
			n, err := c.Count(t.Context(), q, len(all))
			if want := len(sorted(all, q)); err != nil || n != want {
				t.Errorf("%s: %d counted, not %d, %v", name, n, want, err)
			}
		}
	}
	cursors(t, s)
}

// cursors gives marks to lists of another order, and the ID of a hold, which is a place in each.
func cursors(t *testing.T, s quarantine.Store) {
	t.Helper()
	for _, order := range []quarantine.Order{quarantine.Newest, quarantine.Oldest, quarantine.Highest, quarantine.Lowest} {
		q := quarantine.Query{Order: order, Limit: 2}
		page, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		next, id := q, q
		next.After, id.After = page.Next, page.Holds[1].ID
		after, err := s.List(t.Context(), next)
		behind, errID := s.List(t.Context(), id)
		if err != nil || errID != nil || len(after.Holds) != 2 || after.Holds[0].ID != behind.Holds[0].ID {
			t.Errorf("%s: the ID of the last hold leads elsewhere: %v, %v", order, err, errID)
		}
		if !order.ByScore() {
			continue
		}
		for _, wrong := range []quarantine.Query{{Order: quarantine.Newest, After: page.Next}, {Order: order, After: "nonsense"}, {Order: order, After: "sX.a"}} {
			if _, err := s.List(t.Context(), wrong); !errors.Is(err, quarantine.ErrCursor) {
				t.Errorf("%s after %q: %v", wrong.Order, wrong.After, err)
			}
		}
	}
}

// pages are the IDs of all pages, in order.
func pages(t *testing.T, s quarantine.Store, q quarantine.Query) (ids []string) {
	t.Helper()
	for {
		page, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Holds) > q.Limit {
			t.Fatalf("a page of %d has %d", q.Limit, len(page.Holds))
		}
		for _, h := range page.Holds {
			ids = append(ids, h.ID)
		}
		if q.After = page.Next; q.After == "" {
			return ids
		}
	}
}

// sorted is what a list must show.
func sorted(all []quarantine.Hold, q quarantine.Query) (ids []string) {
	var found []quarantine.Hold
	for _, h := range all {
		if matches(h, q) {
			found = append(found, h)
		}
	}
	slices.SortFunc(found, func(a, b quarantine.Hold) int {
		out := cmp.Or(a.At.Compare(b.At), strings.Compare(a.ID, b.ID))
		if q.Order.ByScore() {
			out = cmp.Or(cmp.Compare(a.Score, b.Score), out)
		}
		if !q.Order.Rising() {
			out = -out
		}
		return out
	})
	for _, h := range found {
		ids = append(ids, h.ID)
	}
	return ids
}

func matches(h quarantine.Hold, q quarantine.Query) bool {
	open := slices.Contains(q.States, h.State) || len(q.States) == 0 && h.State.Open()
	for _, w := range q.Words {
		open = open && strings.Contains(strings.ToLower(h.Subject), strings.TrimSuffix(w, "*"))
	}
	return open && (q.To == "" || strings.EqualFold(h.To[0], q.To)) && (q.Direction == "" || h.Direction == q.Direction) && q.Scored(h.Score) && (q.Policy == "" || h.Policy == q.Policy) &&
		(q.Since.IsZero() || !h.At.Before(q.Since)) && (q.Until.IsZero() || h.At.Before(q.Until))
}

// holdsSorted puts holds as mail does, ends some, and asks for them by score.
func holdsSorted(t *testing.T, s quarantine.Store) {
	all := Rated(60)
	for i, want := range all {
		h := want
		h.Ended = nil
		h = confirmed(t, s, h, fmt.Sprint("body ", i%16))
		if want.Ended != nil {
			h.State, h.Ended = want.State, want.Ended
			change(t, s, h)
		}
	}
	ByScore(t, s, all)
}
