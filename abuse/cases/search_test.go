package cases_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/cases/seek"
)

// filled has cases of several accounts and domains, a minute apart.
func filled(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	for i := range 24 {
		at := monday.Add(time.Duration(i) * time.Minute)
		w.at(at)
		c := proven(fmt.Sprint("r", i), fmt.Sprintf("user%d@%s.example", i, []string{"one", "two", "three"}[i%3]), fmt.Sprint("copy", i))
		c.At, c.Grade = at, i%5
		if c.Grade < 2 {
			c.Account, c.Votes = "", 0
		}
		w.attach(t, c)
	}
	return w
}

// ids reads all pages of a search.
func (w *world) ids(t *testing.T, s cases.Search) (out []string) {
	t.Helper()
	for range 100 {
		all, next, err := w.Find(context.Background(), s)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			out = append(out, c.ID)
		}
		if next == "" {
			return out
		}
		s.After = next
	}
	t.Fatal("the pages do not end")
	return nil
}

func TestSearches(t *testing.T) {
	w := filled(t)
	ctx := context.Background()
	every := w.ids(t, cases.Search{View: "all", Limit: 7})
	if len(every) != 24 {
		t.Fatalf("%d cases", len(every))
	}
	first := w.ids(t, cases.Search{Grade: "p4"})
	if len(first) != 4 {
		t.Fatal(first)
	}
	if _, err := w.Assign(ctx, anna, first[0], "anna"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		s    cases.Search
		want func(cases.Case) bool
	}{
		"grade and domain":    {cases.Search{View: "all", Grade: "P4", Domains: []string{"one.example"}}, func(c cases.Case) bool { return c.Grade == 4 && strings.HasSuffix(c.Account, "@one.example") }},
		"two domains":         {cases.Search{Domains: []string{"one.example", "two.example"}, View: "all"}, func(c cases.Case) bool { return c.Account != "" && !strings.HasSuffix(c.Account, "@three.example") }},
		"text":                {cases.Search{Text: "USER4@ two"}, func(c cases.Case) bool { return c.Account == "user4@two.example" }},
		"owner and priority":  {cases.Search{Owner: "anna", Priority: "u3"}, func(c cases.Case) bool { return c.Owner == "anna" && c.Priority == 3 }},
		"mine, another grade": {cases.Search{View: "mine", Owner: "anna", Grade: "P3"}, func(cases.Case) bool { return false }},
		"nobody's in triage":  {cases.Search{View: "unowned", State: "triage"}, func(c cases.Case) bool { return c.Owner == "" && c.State == flow.Triage }},
		"kind":                {cases.Search{Kind: "external"}, func(cases.Case) bool { return false }},
		"young first":         {cases.Search{Order: "new", Text: "one.example"}, func(c cases.Case) bool { return strings.HasSuffix(c.Account, "@one.example") }},
	} {
		for _, limit := range []int{1, 3, 100} {
			c.s.Limit = limit
			got := w.ids(t, c.s)
			var want []string
			for _, id := range every {
				if c.want(w.get(t, id)) {
					want = append(want, id)
				}
			}
			slices.Sort(want)
			if sorted := slices.Sorted(slices.Values(got)); !slices.Equal(sorted, want) {
				t.Errorf("%s, %d a page: %v, not %v", name, limit, got, want)
			}
		}
	}
	if got := w.ids(t, cases.Search{View: "all", Domains: []string{"three.example", "one.example"}, Limit: 2}); !slices.IsSortedFunc(got, func(a, b string) int { return strings.Compare(b, a) }) {
		t.Errorf("several domains are one list, the youngest first: %v", got)
	}
}

func TestViewsOfDays(t *testing.T) {
	w := filled(t)
	w.at(monday.Add(-24 * time.Hour))
	for view, want := range map[string]bool{"today": false, "breach": false, "queue": true} {
		if got := w.ids(t, cases.Search{View: view, Text: "user2@three.example"}); (len(got) > 0) != want {
			t.Errorf("%s: %v", view, got)
		}
	}
	w.at(monday.Add(24 * time.Hour).Add(-30 * time.Minute))
	for _, view := range []string{"today", "breach"} {
		if got := w.ids(t, cases.Search{View: view, Text: "user2@three.example"}); len(got) != 1 {
			t.Errorf("%s of the next day: %v", view, got)
		}
	}
}

func TestSearchesThatCannotBe(t *testing.T) {
	w := newWorld(t)
	for name, s := range map[string]cases.Search{
		"view": {View: "blue"}, "order": {Order: "votes"}, "mine of nobody": {View: "mine"}, "long": {Text: strings.Repeat("x", seek.MaxSearch+1)},
		"page": {Limit: 100_000}, "owner of unowned": {View: "unowned", Owner: "anna"}, "domains": {Domains: make([]string, seek.MaxDomains+1)},
	} {
		if _, _, err := w.Find(context.Background(), s); err == nil {
			t.Error(name)
		}
	}
}
