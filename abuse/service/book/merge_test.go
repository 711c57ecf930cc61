package book_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"postern/abuse/service/book"
)

// A node counted in the old home, and counts on in the new one.
func TestMergeOfTwoHomes(t *testing.T) {
	from := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	old := book.Day{ID: "d", Date: "2026-11-23", Node: "mx1", From: from, Minutes: map[string]string{"mx": "..x"},
		Delays: map[string]book.Delay{"receive": {Count: 3, Sum: 30, Max: 20}}, Slow: []book.Slow{{At: from}}}
	there := book.Day{ID: "d", Date: "2026-11-23", Node: "mx1", From: from, Minutes: map[string]string{"mx": "   .", "desk": "."},
		Delays: map[string]book.Delay{"receive": {Count: 1, Sum: 50, Max: 50}, "send": {Count: 2}}, Slow: []book.Slow{{At: from.Add(time.Hour)}}}
	both := mergeOf(t, "service-day", old, there)
	var d book.Day
	if err := json.Unmarshal(both, &d); err != nil {
		t.Fatal(err)
	}
	if d.Minutes["mx"] != "..x." || d.Minutes["desk"] != "." || d.Delays["receive"] != (book.Delay{Count: 4, Sum: 80, Max: 50}) || d.Delays["send"].Count != 2 || len(d.Slow) != 2 {
		t.Errorf("%s", both)
	}

	tenants := book.Tenants{ID: "t", Delays: map[string]map[string]book.Delay{"a.example": {"receive": {Count: 2}}}}
	now := book.Tenants{ID: "t", Delays: map[string]map[string]book.Delay{"a.example": {"receive": {Count: 1}}, "b.example": {"send": {Count: 5}}}}
	var x book.Tenants
	if err := json.Unmarshal(mergeOf(t, "service-tenants", tenants, now), &x); err != nil {
		t.Fatal(err)
	}
	if x.Delays["a.example"]["receive"].Count != 3 || x.Delays["b.example"]["send"].Count != 5 {
		t.Errorf("%+v", x)
	}
}

// mergeOf merges twice, as a move does that was broken off, and wants nothing to be counted
// twice by that.
func mergeOf(t *testing.T, kind string, old, there any) []byte {
	t.Helper()
	raw := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for k, merge := range book.Merges() {
		if string(k) != kind {
			continue
		}
		once, err := merge(raw(old), raw(there))
		if err != nil {
			t.Fatal(err)
		}
		twice, err := merge(raw(old), once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("merged again: %s, %v", twice, err)
		}
		for _, bad := range []string{"", "[]", `{"id":5}`} {
			if _, err := merge([]byte(bad), once); err == nil {
				t.Errorf("%q was merged", bad)
			}
			if _, err := merge(once, []byte(bad)); err == nil {
				t.Errorf("%q was merged into", bad)
			}
		}
		return once
	}
	t.Fatalf("nobody merges %s", kind)
	return nil
}
