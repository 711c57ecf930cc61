// Package reportstest holds the suite of report.Store.
package reportstest

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/internal/report"
	"postern/internal/report/aggregate"
	"postern/internal/store/storetest"
)

func row(day, domain, ip string, n int64) report.Row {
	from := "list.example"
	return report.Row{Day: day, Domain: domain, DMARC: "v=DMARC1; p=none", Record: aggregate.Record{
		Row:  aggregate.Row{Source: ip, Count: n, Evaluated: aggregate.Evaluated{Disposition: "none", DKIM: "pass", SPF: "fail"}},
		IDs:  aggregate.Identifiers{HeaderFrom: domain, EnvelopeFrom: &from},
		Auth: aggregate.AuthResults{DKIM: []aggregate.DKIM{{Domain: domain, Selector: "s", Result: "pass"}}},
	}}
}

// Counts runs the suite of what is counted and sent, on an empty store.
func Counts(t *testing.T, s report.Store) {
	ctx := t.Context()
	must(t, s.Count(ctx, row("2026-11-20", "a.example", "192.0.2.1", 1), row("2026-11-20", "a.example", "192.0.2.2", 5)))
	must(t, s.Count(ctx, row("2026-11-20", "a.example", "192.0.2.1", 2), row("2026-11-21", "a.example", "192.0.2.1", 1), row("2026-11-20", "b.example", "192.0.2.1", 1)))
	must(t, s.Count(ctx))
	var wg sync.WaitGroup
	for range 8 { // counts of several at once are not lost
		wg.Go(func() { must(t, s.Count(ctx, row("2026-11-19", "c.example", "192.0.2.1", 1))) })
	}
	wg.Wait()

	days := func(before string, limit int) (out []string) {
		all, err := s.Domains(ctx, before, limit)
		must(t, err)
		for _, d := range all {
			out = append(out, d.Day+" "+d.Domain)
		}
		return out
	}
	same(t, "due", days("2026-11-21", 10), []string{"2026-11-19 c.example", "2026-11-20 a.example", "2026-11-20 b.example"})
	same(t, "due, two", days("2026-11-21", 2), []string{"2026-11-19 c.example", "2026-11-20 a.example"})

	got, err := s.Rows(ctx, "2026-11-20", "a.example", 10)
	must(t, err)
	same(t, "rows", got, []report.Row{row("2026-11-20", "a.example", "192.0.2.2", 5), row("2026-11-20", "a.example", "192.0.2.1", 3)})
	got, err = s.Rows(ctx, "2026-11-19", "c.example", 1)
	must(t, err)
	same(t, "rows of many at once", got, []report.Row{row("2026-11-19", "c.example", "192.0.2.1", 8)})

	a := report.Sent{Day: "2026-11-20", Domain: "a.example", At: storetest.Start, ID: "1", To: []string{"d@a.example"}, Messages: 8}
	b := report.Sent{Day: "2026-11-19", Domain: "c.example", At: storetest.Start.Add(time.Minute), Note: "nobody asks"}
	must(t, s.Done(ctx, report.Sent{Day: a.Day, Domain: a.Domain, At: storetest.Start.Add(-time.Hour), Note: "an earlier note"}))
	must(t, s.Done(ctx, a))
	must(t, s.Done(ctx, b))
	same(t, "due after", days("2026-11-22", 10), []string{"2026-11-20 b.example", "2026-11-21 a.example"})
	sent, err := s.Sent(ctx, "", 10)
	must(t, err)
	same(t, "sent", sent, []report.Sent{b, a})
	sent, err = s.Sent(ctx, "a.example", 10)
	must(t, err)
	same(t, "sent of one", sent, []report.Sent{a})

	must(t, s.Prune(ctx, time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)))
	same(t, "due after pruning", days("2026-11-22", 10), []string{"2026-11-20 b.example", "2026-11-21 a.example"})
	sent, err = s.Sent(ctx, "", 10)
	must(t, err)
	same(t, "sent after pruning", sent, []report.Sent{a})
}

func received(n int, kind, domain string) report.Received {
	end := storetest.Start.Add(time.Duration(n) * time.Hour)
	r := report.Received{
		Key: fmt.Sprintf("%04d", n), Kind: kind, At: end.Add(time.Hour), Message: "m", From: "d@x.example", Proven: true, Org: "X", ID: fmt.Sprint(n),
		Domain: domain, Begin: end.Add(-24 * time.Hour), End: end, Messages: 7, Failed: 2,
	}
	if kind == report.KindDMARC {
		r.DMARC = &aggregate.Feedback{Meta: aggregate.Metadata{ID: fmt.Sprint(n)}, Records: []aggregate.Record{row("", domain, "192.0.2.1", 7).Record}}
	} else {
		r.TLS = json.RawMessage(`{"report-id":"x"}`)
	}
	return r
}

// Received runs the suite of what others sent, on an empty store.
func Received(t *testing.T, s report.Store) {
	ctx := t.Context()
	for n := range 6 {
		kind, domain := report.KindDMARC, "a.example"
		if n%3 == 2 {
			kind, domain = report.KindTLS, "b.example"
		}
		for again := range 2 {
			added, err := s.Add(ctx, received(n, kind, domain))
			must(t, err)
			if added != (again == 0) {
				t.Errorf("report %d, time %d: added %v", n, again, added)
			}
		}
	}
	keys := func(q report.Query) (out []string) {
		all, err := s.Received(ctx, q)
		must(t, err)
		for _, r := range all {
			if r.DMARC != nil || r.TLS != nil || r.Messages != 7 || r.Failed != 2 {
				t.Errorf("a list holds %+v", r)
			}
			out = append(out, r.Key)
		}
		return out
	}
	same(t, "all", keys(report.Query{}), []string{"0005", "0004", "0003", "0002", "0001", "0000"})
	same(t, "page", keys(report.Query{After: "0004", Limit: 2}), []string{"0003", "0002"})
	same(t, "kind", keys(report.Query{Kind: report.KindTLS}), []string{"0005", "0002"})
	same(t, "domain", keys(report.Query{Domain: "a.example", Since: storetest.Start.Add(3 * time.Hour)}), []string{"0004", "0003"})

	want := received(2, report.KindTLS, "b.example")
	got, ok, err := s.Report(ctx, "0002")
	must(t, err)
	if !ok {
		t.Fatal("the report is not there")
	}
	same(t, "whole", got, want)
	if _, ok, err := s.Report(ctx, "none"); ok || err != nil {
		t.Errorf("%v %v", ok, err)
	}
	must(t, s.Prune(ctx, storetest.Start.Add(3*time.Hour)))
	same(t, "after pruning", keys(report.Query{}), []string{"0005", "0004", "0003", "0002"})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s:\n%s", what, d)
	}
}
