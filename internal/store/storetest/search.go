package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/filter"
	"postern/quarantine"
)

// holdsSearch asks each field of a query for exactly the holds it should find.
func holdsSearch(t *testing.T, s quarantine.Store) {
	edit := []func(*quarantine.Hold){
		func(h *quarantine.Hold) { h.Subject = "Ihre Rechnung über 12 Ärgernisse" },
		func(h *quarantine.Hold) { h.From, h.Subject = "", "Undelivered" },
		func(h *quarantine.Hold) {
			h.To, h.Subject = []string{"Sales@Other.example"}, "東京の請求書 INVOICE"
		},
		func(h *quarantine.Hold) {
			h.Reasons = append(h.Reasons, quarantine.Reason{Symbol: "VIRUS"}, quarantine.Reason{Symbol: "VIRUS"})
		},
		func(h *quarantine.Hold) { h.Class, h.Policy, h.Subject = quarantine.Evidence, "sales", "" },
		func(h *quarantine.Hold) { h.From, h.Direction, h.Score = "x@sub.example.org", "outbound", -50 },
	}
	for n, f := range edit {
		h := Hold(n, "x")
		f(&h)
		h = confirmed(t, s, h, "x")
		if n == 5 {
			h.State, h.Ended = quarantine.Deleted, &quarantine.Ended{At: Start}
			change(t, s, h)
		}
	}
	put(t, s, Hold(9, "x"), "x") // provisional: never found
	all := []quarantine.State{quarantine.Held, quarantine.Deleted, quarantine.Provisional}
	for _, c := range []struct {
		name string
		q    quarantine.Query
		want []int
	}{
		{"all open", quarantine.Query{}, []int{4, 3, 2, 1, 0}},
		{"all", quarantine.Query{States: all}, []int{5, 4, 3, 2, 1, 0}},
		{"only provisional", quarantine.Query{States: all[2:]}, nil},
		{"deleted", quarantine.Query{States: all[1:2]}, []int{5}},
		{"sender", quarantine.Query{From: "SENDER@example.ORG"}, []int{4, 3, 2, 0}},
		{"null sender", quarantine.Query{From: "<>"}, []int{1}},
		{"sender domain", quarantine.Query{From: "@example.org", States: all}, []int{4, 3, 2, 0}},
		{"recipient", quarantine.Query{To: "sales@other.example"}, []int{2}},
		{"recipient domain", quarantine.Query{To: "@example.com"}, []int{4, 3, 1, 0}},
		{"no such recipient", quarantine.Query{To: "example.com"}, nil},
		{"symbol", quarantine.Query{Symbol: "VIRUS"}, []int{3}},
		{"class", quarantine.Query{Class: quarantine.Evidence}, []int{4}},
		{"policy", quarantine.Query{Policy: "sales"}, []int{4}},
		{"word", quarantine.Query{Words: []string{"rechnung"}}, []int{0}},
		{"words", quarantine.Query{Words: []string{"RECHNUNG", "ärgernisse"}}, []int{0}},
		{"word without its accent", quarantine.Query{Words: []string{"argernisse"}}, []int{0}},
		{"one word of two is missing", quarantine.Query{Words: []string{"rechnung", "hello"}}, nil},
		{"beginning of a word", quarantine.Query{Words: []string{"rech*"}}, []int{0}},
		{"beginning without a star", quarantine.Query{Words: []string{"rech"}}, nil},
		{"CJK", quarantine.Query{Words: []string{"請求書"}}, []int{2}},
		{"one CJK character, the last of its run", quarantine.Query{Words: []string{"書"}}, []int{2}},
		{"one CJK character inside", quarantine.Query{Words: []string{"京"}}, []int{2}},
		{"CJK in another order", quarantine.Query{Words: []string{"書請"}}, nil},
		{"quotes and operators", quarantine.Query{Words: []string{`"hello" OR NEAR(`}}, nil},
		{"only punctuation", quarantine.Query{Words: []string{`"*-`}}, nil},
		{"time", quarantine.Query{Since: Start.Add(time.Second), Until: Start.Add(3 * time.Second)}, []int{2, 1}},
		{"direction", quarantine.Query{Direction: "outbound", States: all}, []int{5}},
		{"the other direction", quarantine.Query{Direction: "inbound", From: "@example.org"}, []int{4, 3, 2, 0}},
		{"score from", quarantine.Query{AtLeast: score(0), States: all}, []int{4, 3, 2, 1, 0}},
		{"score up to", quarantine.Query{AtMost: score(0), States: all}, []int{5}},
		{"score between", quarantine.Query{AtLeast: score(-50), AtMost: score(-50), States: all, From: "@sub.example.org"}, []int{5}},
		{"no such score", quarantine.Query{AtLeast: score(100_000)}, nil},
		{"oldest first", quarantine.Query{Order: quarantine.Oldest, States: all}, []int{0, 1, 2, 3, 4, 5}},
		{"oldest of a sender", quarantine.Query{Order: quarantine.Oldest, From: "@example.org", Limit: 50}, []int{0, 2, 3, 4}},
		{"oldest with a word", quarantine.Query{Order: quarantine.Oldest, Words: []string{"hello"}, To: "@example.com", States: all}, []int{3, 5}},
		{"several at once", quarantine.Query{From: "@example.org", To: "@example.com", Words: []string{"hello"}, Symbol: "SPF_FAIL"}, []int{3}},
	} {
		page, err := s.List(t.Context(), c.q)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got, want []string
		for _, h := range page.Holds {
			got = append(got, h.ID)
		}
		for _, n := range c.want {
			want = append(want, Hold(n, "").ID)
		}
		if d := cmp.Diff(want, got); d != "" || page.Next != "" {
			t.Errorf("%s: -want +got\n%s next %q", c.name, d, page.Next)
		}
		if counter, ok := s.(quarantine.Counter); ok {
			n, err := counter.Count(t.Context(), c.q, 3)
			if err != nil || n != min(len(want), 3) {
				t.Errorf("%s: %d of at most 3 counted, not %d, %v", c.name, n, len(want), err)
			}
		} else {
			t.Error("a store that does not count")
		}
	}
}

func score(hundredths filter.Score) *filter.Score { return &hundredths }

func holdsPages(t *testing.T, s quarantine.Store) {
	const n = 7
	for i := range n {
		h := Hold(i, "x")
		h.To = []string{fmt.Sprintf("u%d@example.com", i), "both@example.com"}
		confirmed(t, s, h, "x")
	}
	for size := range 2*n + 2 {
		var got []string
		q := quarantine.Query{Limit: size/2 + 1, To: "@example.com", Order: []quarantine.Order{quarantine.Newest, quarantine.Oldest}[size%2]}
		size := q.Limit
		for range n + 1 {
			page, err := s.List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Holds) > size {
				t.Fatalf("a page of %d has %d", size, len(page.Holds))
			}
			for _, h := range page.Holds {
				got = append(got, h.ID)
			}
			if q.After = page.Next; page.Next == "" {
				break
			}
		}
		var want []string
		for i := n - 1; i >= 0; i-- {
			want = append(want, Hold(i, "").ID)
		}
		if q.Order == quarantine.Oldest {
			slices.Reverse(want)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("pages of %d: -want +got\n%s", size, d)
		}
	}
}
