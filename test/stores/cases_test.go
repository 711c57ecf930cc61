package stores_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse/calendar"
	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/internal/entity"
	"postern/internal/store/redis/redistest"
)

// TestCases lists, filters, searches and pages thousands of cases on both homes: nothing is
// missed and nothing comes twice. The log says how long each took.
func TestCases(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		manyCases(t, embedded(t).Entities())
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		manyCases(t, shared(t, redistest.Server(t)).Entities)
	})
}

// queue is a desk with many cases on a home.
type queue struct {
	*cases.Desk
	n   int
	ids []string
}

func newQueue(t *testing.T, home entity.Home, n int) *queue {
	t.Helper()
	set, err := calendar.Open("", nil)
	must(t, err)
	quiet := func(context.Context, string, string, string, any, any, string) error { return nil }
	q := &queue{n: n, Desk: &cases.Desk{
		Entities:  home,
		Now:       time.Now,
		Log:       slog.New(slog.DiscardHandler),
		Calendars: func() *calendar.Set { return set },
		Audit:     quiet,
		Alarm:     func(context.Context, cases.Alarm) {},
	}}
	start := time.Now()
	for i := range n {
		c, err := q.Attach(t.Context(), cases.Complaint{
			Report:   fmt.Sprintf("r%d", i),
			At:       time.Now().Add(-time.Duration(i) * time.Second),
			Raw:      strings.Repeat("a", 64),
			Grade:    2 + i%3,
			Sentence: "DKIM d=example.com s=one verified; sent by an account of ours",
			Account:  fmt.Sprintf("user%d@d%d.example", i, i%50),
			Serial:   fmt.Sprintf("serial%d", i),
			Copy:     fmt.Sprintf("copy%d", i),
			Accepted: 1,
			Votes:    100,
			Client:   netip.MustParseAddrPort("203.0.113.7:51514"),
			SentAt:   time.Now().Add(-time.Hour),
			Trust:    1,
			Person:   true,
			Reporter: fmt.Sprintf("r%d@isp.example", i),
		})
		must(t, err)
		q.ids = append(q.ids, c.ID)
	}
	t.Logf("%d cases were opened in %s", n, time.Since(start).Round(time.Millisecond))
	return q
}

// took runs f some times and says how long it took.
func took(t *testing.T, what string, f func()) {
	t.Helper()
	var all []time.Duration
	for range pick(50, 3) {
		start := time.Now()
		f()
		all = append(all, time.Since(start))
	}
	slices.Sort(all)
	t.Logf("%-40s median %s, p95 %s", what, all[len(all)/2].Round(10*time.Microsecond), all[len(all)*95/100].Round(10*time.Microsecond))
}

// every reads all pages of a search.
func (q *queue) every(t *testing.T, s cases.Search) (out []string) {
	t.Helper()
	for range q.n + 2 {
		all, next, err := q.Find(t.Context(), s)
		must(t, err)
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

func manyCases(t *testing.T, home entity.Home) {
	q := newQueue(t, home, pick(10_000, 200))
	who := cases.Actor{Name: "olga", Role: flow.Agent}
	took(t, "one case to another owner", func() {
		owner := "olga"
		if c, err := q.Get(t.Context(), q.ids[7]); err == nil && c.Owner == owner {
			owner = "petr"
		}
		_, err := q.Assign(t.Context(), who, q.ids[7], owner)
		must(t, err)
	})
	bulk := q.ids[:min(500, q.n/2)]
	start := time.Now()
	for _, id := range bulk {
		_, err := q.Assign(t.Context(), who, id, "bulk")
		must(t, err)
	}
	t.Logf("%d cases changed hands in %s", len(bulk), time.Since(start).Round(time.Millisecond))
	for name, s := range map[string]cases.Search{
		"queue, a page of 50":             {Limit: 50},
		"the youngest first":              {Order: "new", Limit: 50},
		"mine":                            {View: "mine", Owner: "bulk", Limit: 50},
		"a grade":                         {Grade: "P4", Limit: 50},
		"a grade of mine":                 {View: "mine", Owner: "bulk", Grade: "P3", Limit: 50},
		"due today":                       {View: "today", Limit: 50},
		"an account":                      {Account: "user7@d7.example", Limit: 50},
		"a domain":                        {Domains: []string{"d7.example"}, Limit: 50},
		"ten domains":                     {Domains: []string{"d0.example", "d1.example", "d2.example", "d3.example", "d4.example", "d5.example", "d6.example", "d7.example", "d8.example", "d9.example"}, Limit: 50},
		"a word that many have":           {Text: "verified", Limit: 50},
		"a word that one has":             {Text: fmt.Sprintf("user%d@", q.n-1), Limit: 50},
		"a word that nobody has (worst)":  {Text: "nowhere", Limit: 50},
		"all, of one domain by its words": {View: "all", Text: "@d7.example", Limit: 50},
	} {
		took(t, name, func() {
			_, _, err := q.Find(t.Context(), s)
			must(t, err)
		})
	}
	took(t, "how many a view has, up to 1000", func() {
		_, err := q.Count(t.Context(), cases.Search{}, 1000)
		must(t, err)
	})
	for name, c := range map[string]struct {
		s    cases.Search
		want int
	}{
		"all":      {cases.Search{View: "all", Limit: 73}, q.n},
		"queue":    {cases.Search{Limit: 73}, q.n},
		"bulk":     {cases.Search{Owner: "bulk", Limit: 73}, len(bulk)},
		"a domain": {cases.Search{Domains: []string{"d3.example"}, Limit: 1}, q.n / 50},
		"two":      {cases.Search{Domains: []string{"d3.example", "d4.example"}, Limit: 3}, q.n / 25},
		"words":    {cases.Search{Text: "@d3.example", Limit: 3}, q.n / 50},
	} {
		got := q.every(t, c.s)
		slices.Sort(got)
		if once := len(slices.Compact(slices.Clone(got))); len(got) != c.want || once != len(got) {
			t.Errorf("%s: %d found, %d of them once, not %d", name, len(got), once, c.want)
		}
	}
}
