// Package recordtest holds the suites of traffic rows and the audit.
package recordtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"postern/filter"
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
	auditEntries(t, s, last)
}

// auditEntries: an entry is read back as Append returned it, numbered after the last whatever
// number it came with.
func auditEntries(t *testing.T, s record.AuditStore, last record.Entry) {
	ctx := t.Context()
	e := record.Entry{
		Seq: 7, Prev: "x", Hash: "y", Time: storetest.Start.Add(123456789), Actor: "größe", Action: "list-add", Object: "block \"a\" all",
		Before: json.RawMessage(`{"n": 12345678901234567890, "s": "\u003c\ud83d\ude00"}`), After: json.RawMessage(` [1 , 2.50, null ] `), Note: "a\tb\u2028<&>\x00",
	}
	wrote, err := s.Append(ctx, e)
	if err != nil || wrote.Seq != last.Seq+1 || wrote.Prev != last.Hash || wrote.Hash == "" {
		t.Errorf("Append: %+v, %v", wrote, err)
	}
	got, err := s.Entries(ctx, last.Seq, 5)
	if d := cmp.Diff([]record.Entry{wrote}, got); d != "" || err != nil {
		t.Errorf("Entries: %v\n%s", err, d)
	}
	if got, err := s.Entries(ctx, wrote.Seq, 5); err != nil || len(got) != 0 {
		t.Errorf("after the last: %d entries, %v", len(got), err)
	}
	if got, err := s.Entries(ctx, 0, 1); err != nil || len(got) != 1 || got[0].Seq != 1 || got[0].Prev != "" {
		t.Errorf("the first: %+v, %v", got, err)
	}
	if end, err := record.Verify(ctx, s); err != nil || end.Hash != wrote.Hash {
		t.Errorf("Verify: entry %d, %v", end.Seq, err)
	}
}

// rows are one a minute, but for the first two of three hours before.
func rows(t *testing.T) []record.Row {
	t.Helper()
	out := make([]record.Row, 8)
	for i := range out {
		at := storetest.Start.Add(time.Duration(i) * time.Minute)
		if i < 2 {
			at = at.Add(-3 * time.Hour)
		}
		id, err := filter.NewID(at, bytes.NewReader(bytes.Repeat([]byte{byte(i)}, 10)))
		if err != nil {
			t.Fatal(err)
		}
		out[i] = record.Row{
			ID: id, Time: at, Direction: "inbound", Listener: "mx",
			Client: record.Client{IP: "192.0.2.1"}, From: "S@Example.org", To: []record.Fate{{Address: "u@example.com", State: "delivered"}},
			Subject: "Hello world", MessageID: fmt.Sprintf("m%d@example.org", i%3), Action: "accept", Symbols: []string{},
		}
	}
	out[1].From, out[2].Client.IP, out[3].Client.IP = "", "2001:db8::1", ""
	out[4].To = []record.Fate{{Address: "a@x.example"}, {Address: "B@x.example"}}
	out[5].Subject, out[6].Subject, out[7].Subject = "Größe", "東京の請求書 2026", "wörter <b>"
	out[6].MessageID, out[7].To = "", nil
	out[3].Direction, out[3].Account, out[3].Reply = "outbound", "Ann@example.com", "250 2.0.0 held for review, id 01m82baay26sphsrhx6z78gxxs-00"
	out[3].To[0].State = "held"
	out[2].Account, out[2].To[0].Reply = "ann@example.com", "250 2.0.0 Ok: queued as 4bXyZ12abc"
	return out
}

// Traffic runs the suite of record.Traffic on an empty store.
func Traffic(t *testing.T, s record.Traffic) {
	rows := rows(t)
	for _, r := range rows {
		if !s.Add(r) {
			t.Fatal("a row was dropped")
		}
	}
	if !s.Add(rows[5]) {
		t.Fatal("the same row again was dropped")
	}
	all := []int{7, 6, 5, 4, 3, 2, 1, 0}
	at := func(n int) time.Time { return storetest.Start.Add(time.Duration(n) * time.Minute) }
	for _, c := range []struct {
		name string
		q    record.Trace
		want []int
	}{
		{"all", record.Trace{}, all},
		{"id", record.Trace{ID: rows[2].ID}, []int{2}},
		{"id of a hold", record.Trace{ID: rows[2].ID + "-01"}, []int{2}},
		{"id that is none", record.Trace{ID: "x"}, nil},
		{"id and another sender", record.Trace{ID: rows[2].ID, From: "<>"}, nil},
		{"from", record.Trace{From: "s@example.org"}, []int{7, 6, 5, 4, 3, 2, 0}},
		{"null sender", record.Trace{From: "<>"}, []int{1}},
		{"domain", record.Trace{From: "@EXAMPLE.org"}, []int{7, 6, 5, 4, 3, 2, 0}},
		{"part of a domain", record.Trace{From: "@ample.org"}, nil},
		{"to", record.Trace{To: "b@x.example"}, []int{4}},
		{"two recipients of one domain are one row", record.Trace{To: "@x.example"}, []int{4}},
		{"from and to", record.Trace{From: "<>", To: "@example.com"}, []int{1}},
		{"message-id", record.Trace{MessageID: "<m1@example.org>"}, []int{7, 4, 1}},
		{"message-id in another case", record.Trace{MessageID: "M1@example.org"}, nil},
		{"no message-id", record.Trace{MessageID: "<>"}, []int{6}},
		{"subject", record.Trace{Subject: "WORLD hello"}, []int{4, 3, 2, 1, 0}},
		{"folded subject", record.Trace{Subject: "grosse"}, []int{5}},
		{"beginning of a word", record.Trace{Subject: "wor*"}, []int{7, 4, 3, 2, 1, 0}},
		{"short beginning of a word", record.Trace{Subject: "w*"}, []int{7, 4, 3, 2, 1, 0}},
		{"signs alone", record.Trace{Subject: "<>"}, nil},
		{"pair of signs", record.Trace{Subject: "請求"}, []int{6}},
		{"one sign", record.Trace{Subject: "京"}, []int{6}},
		{"ip", record.Trace{IP: netip.MustParsePrefix("192.0.2.1/32")}, []int{7, 6, 5, 4, 1, 0}},
		{"network", record.Trace{IP: netip.MustParsePrefix("192.0.0.0/14")}, []int{7, 6, 5, 4, 1, 0}},
		{"smaller network", record.Trace{IP: netip.MustParsePrefix("192.0.2.0/30")}, []int{7, 6, 5, 4, 1, 0}},
		{"network with bits of a host", record.Trace{IP: netip.MustParsePrefix("192.0.2.77/24")}, []int{7, 6, 5, 4, 1, 0}},
		{"another network", record.Trace{IP: netip.MustParsePrefix("192.0.3.0/24")}, nil},
		{"ipv6 network", record.Trace{IP: netip.MustParsePrefix("2001:db8::/32")}, []int{2}},
		{"large ipv6 network", record.Trace{IP: netip.MustParsePrefix("2000::/3")}, []int{2}},
		{"all of ipv6, with ipv4 in it", record.Trace{IP: netip.MustParsePrefix("::/0")}, []int{7, 6, 5, 4, 2, 1, 0}},
		{"ipv4 as ipv6", record.Trace{IP: netip.MustParsePrefix("::/64")}, []int{7, 6, 5, 4, 1, 0}},
		{"account", record.Trace{Account: "ANN@example.com"}, []int{3, 2}},
		{"another account", record.Trace{Account: "bob@example.com"}, nil},
		{"direction", record.Trace{Direction: "outbound"}, []int{3}},
		{"direction and sender", record.Trace{Direction: "inbound", From: "<>"}, []int{1}},
		{"state", record.Trace{State: "held"}, []int{3}},
		{"state and recipient", record.Trace{State: "delivered", To: "u@example.com"}, []int{6, 5, 2, 1, 0}},
		{"state that none is in", record.Trace{State: "aborted"}, nil},
		{"what the server behind called it", record.Trace{Reply: "4BXYZ12abc"}, []int{2}},
		{"what we called it", record.Trace{Reply: "01m82baay26sphsrhx6z78gxxs-00"}, []int{3}},
		{"no word of a reply", record.Trace{Reply: "2.0"}, nil},
		{"a word and an account", record.Trace{Reply: "4bxyz12abc", Account: "ann@example.com", To: "u@example.com"}, []int{2}},
		{"a word of another", record.Trace{Reply: "4bxyz12abc", Account: "bob@example.com"}, nil},
		{"time", record.Trace{Since: at(3), Until: at(5)}, []int{4, 3}},
		{"since", record.Trace{Since: at(6)}, []int{7, 6}},
		{"until", record.Trace{Until: at(2)}, []int{1, 0}},
		{"after", record.Trace{After: rows[2].ID}, []int{1, 0}},
		{"page", record.Trace{Limit: 2, After: rows[5].ID}, []int{4, 3}},
	} {
		page, err := s.Find(t.Context(), c.q)
		var want []record.Row
		for _, i := range c.want {
			want = append(want, rows[i])
		}
		if d := cmp.Diff(want, page.Rows, cmpopts.EquateEmpty()); d != "" || err != nil {
			t.Errorf("%s: %v\n%s", c.name, err, d)
		}
		if (page.Next != "") != (c.name == "page") {
			t.Errorf("%s: next %q", c.name, page.Next)
		}
	}
	for _, size := range []int{1, 3} {
		pages(t, s, rows, size)
	}
	if n, err := s.Prune(t.Context(), storetest.Start); err != nil || n != 2 {
		t.Errorf("Prune: %d, %v", n, err)
	}
	if page, err := s.Find(t.Context(), record.Trace{Subject: "world"}); err != nil || len(page.Rows) != 3 {
		t.Errorf("after Prune: %d, %v", len(page.Rows), err)
	}
}

// pages turns all pages and wants every row once, newest first.
func pages(t *testing.T, s record.Traffic, rows []record.Row, size int) {
	t.Helper()
	q, i := record.Trace{Limit: size}, len(rows)
	for n := 0; n == 0 || q.After != ""; n++ {
		page, err := s.Find(t.Context(), q)
		if err != nil || n > len(rows) {
			t.Fatalf("page %d of %d rows: %v", n, size, err)
		}
		for _, r := range page.Rows {
			if i--; i < 0 || r.ID != rows[i].ID {
				t.Fatalf("page %d of %d rows: %s", n, size, r.ID)
			}
		}
		q.After = page.Next
	}
	if i != 0 {
		t.Errorf("pages of %d rows: %d are missing", size, i)
	}
}
