// Package recordtest holds the suites of traffic rows and the audit.
package recordtest

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/internal/record"
	"postern/internal/store/storetest"
)

// Audit runs the suite of record.AuditStore on an empty store.
func Audit(t *testing.T, s record.AuditStore) {
	ctx := t.Context()
	if last, err := record.Verify(ctx, s); err != nil || last.Seq != 0 {
		t.Errorf("an empty audit: %+v, %v", last, err)
	}
	const n = 40
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			e := record.Entry{Time: storetest.Start, Actor: "me\xff\u2028<b>", Action: "suspend", Object: fmt.Sprint(i), Before: json.RawMessage(`{ "a": "<\u2028>", "b" : 1.0 }`)}
			if _, err := s.Append(ctx, e); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	last, err := record.Verify(ctx, s)
	if err != nil || last.Seq != n {
		t.Errorf("Verify: entry %d, %v", last.Seq, err)
	}
	got, err := s.Entries(ctx, 10, 5)
	if err != nil || len(got) != 5 || got[0].Seq != 11 {
		t.Errorf("Entries: %d, %v", len(got), err)
	}
	if _, err := s.Append(ctx, record.Entry{Before: json.RawMessage("{")}); err == nil {
		t.Error("an entry that is no JSON was taken")
	}
}

// Traffic runs the suite of record.Traffic on an empty store.
func Traffic(t *testing.T, s record.Traffic) {
	rows := make([]record.Row, 6)
	for i := range rows {
		rows[i] = record.Row{
			ID: fmt.Sprintf("01jd9x%020d", i), Time: storetest.Start.Add(time.Duration(i) * time.Minute), Direction: "inbound", Listener: "mx",
			Client: record.Client{IP: "192.0.2.1"}, From: "S@Example.org", To: []record.Fate{{Address: "u@example.com", State: "delivered"}},
			Subject: "Hello world", MessageID: fmt.Sprintf("m%d@example.org", i%3), Action: "accept", Symbols: []string{},
		}
	}
	rows[1].From, rows[2].Client.IP, rows[3].Client.IP = "", "2001:db8::1", ""
	rows[4].To = []record.Fate{{Address: "a@x.example"}, {Address: "b@x.example"}}
	rows[5].Subject = "Größe"
	for _, r := range rows {
		if !s.Add(r) {
			t.Fatal("a row was dropped")
		}
	}
	if !s.Add(rows[5]) {
		t.Fatal("the same row again was dropped")
	}
	for _, c := range []struct {
		name string
		q    record.Trace
		want []int
	}{
		{"all", record.Trace{}, []int{5, 4, 3, 2, 1, 0}},
		{"id", record.Trace{ID: rows[2].ID}, []int{2}},
		{"id of a hold", record.Trace{ID: rows[2].ID + "-01"}, []int{2}},
		{"from", record.Trace{From: "s@example.org"}, []int{5, 4, 3, 2, 0}},
		{"null sender", record.Trace{From: "<>"}, []int{1}},
		{"domain", record.Trace{From: "@EXAMPLE.org"}, []int{5, 4, 3, 2, 0}},
		{"to", record.Trace{To: "b@x.example"}, []int{4}},
		{"two recipients of one domain are one row", record.Trace{To: "@x.example"}, []int{4}},
		{"message-id", record.Trace{MessageID: "<m1@example.org>"}, []int{4, 1}},
		{"subject", record.Trace{Subject: "WORLD hello"}, []int{4, 3, 2, 1, 0}},
		{"folded subject", record.Trace{Subject: "grosse"}, []int{5}},
		{"ip", record.Trace{IP: netip.MustParsePrefix("192.0.2.1/32")}, []int{5, 4, 1, 0}},
		{"network", record.Trace{IP: netip.MustParsePrefix("192.0.0.0/14")}, []int{5, 4, 1, 0}},
		{"another network", record.Trace{IP: netip.MustParsePrefix("192.0.3.0/24")}, nil},
		{"ipv6 network", record.Trace{IP: netip.MustParsePrefix("2001:db8::/32")}, []int{2}},
		{"time", record.Trace{Since: storetest.Start.Add(time.Minute), Until: storetest.Start.Add(3 * time.Minute)}, []int{2, 1}},
		{"page", record.Trace{Limit: 2, After: rows[4].ID}, []int{3, 2}},
	} {
		page, err := s.Find(t.Context(), c.q)
		var want []record.Row
		for _, i := range c.want {
			want = append(want, rows[i])
		}
		if d := cmp.Diff(want, page.Rows); d != "" || err != nil {
			t.Errorf("%s: %v\n%s", c.name, err, d)
		}
		if (page.Next != "") != (c.name == "page") {
			t.Errorf("%s: next %q", c.name, page.Next)
		}
	}
	if n, err := s.Prune(t.Context(), storetest.Start.Add(2*time.Minute)); err != nil || n != 2 {
		t.Errorf("Prune: %d, %v", n, err)
	}
	if page, err := s.Find(t.Context(), record.Trace{Subject: "world"}); err != nil || len(page.Rows) != 3 {
		t.Errorf("after Prune: %d, %v", len(page.Rows), err)
	}
}
