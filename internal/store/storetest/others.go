package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"postern/abuse"
	"postern/blocklist"
	"postern/filter"
	"postern/internal/record"
	"postern/internal/relay/outbox"
)

// Lists runs the suite of blocklist.Store on an empty store.
func Lists(t *testing.T, s blocklist.Store) {
	ctx := t.Context()
	rev := func() uint64 {
		n, err := s.ListRevision(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := rev()
	e := blocklist.Entry{Value: "192.0.2.0/24", Scope: "all", Reason: "spam", Author: "me", Created: start}
	if err := s.PutListEntry(ctx, e); err != nil {
		t.Fatal(err)
	}
	if rev() <= before {
		t.Error("a new entry did not raise the revision")
	}
	e.Reason = "more spam"
	allow := blocklist.Entry{Allow: true, Value: "192.0.2.0/24", Scope: "all", Created: start, Expires: start.Add(time.Hour)}
	for _, e := range []blocklist.Entry{e, allow} {
		if err := s.PutListEntry(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	got, at, err := s.ListEntries(ctx)
	less := cmpopts.SortSlices(func(a, b blocklist.Entry) bool { return a.Key() < b.Key() })
	if d := cmp.Diff([]blocklist.Entry{allow, e}, got, less); d != "" || err != nil || at != rev() {
		t.Errorf("entries at %d: %v\n%s", at, err, d)
	}
	before = rev()
	wantErr(t, "removing nothing", s.RemoveListEntry(ctx, "block nobody all"), blocklist.ErrNotFound)
	if err := s.RemoveListEntry(ctx, e.Key()); err != nil {
		t.Fatal(err)
	}
	if rev() <= before {
		t.Error("a removal did not raise the revision")
	}
	if got, _, err := s.ListEntries(ctx); err != nil || len(got) != 1 {
		t.Errorf("after the removal: %v, %v", got, err)
	}
}

// Accounts runs the suite of abuse.Store on an empty store.
func Accounts(t *testing.T, s abuse.Store) {
	ctx := t.Context()
	_, err := s.Account(ctx, "a@example.com")
	wantErr(t, "no account", err, abuse.ErrNotFound)
	before, err := s.AccountRevision(ctx)
	if err != nil {
		t.Fatal(err)
	}
	a := abuse.Account{Name: "a@example.com", State: abuse.Suspended, Reason: "spam", By: "me", At: start, Version: 1}
	if err := s.PutAccount(ctx, a); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "the first record again", s.PutAccount(ctx, a), abuse.ErrConflict)
	skip := a
	skip.Version = 3
	wantErr(t, "a version left out", s.PutAccount(ctx, skip), abuse.ErrConflict)
	a.Version, a.State = 2, abuse.Active
	if err := s.PutAccount(ctx, a); err != nil {
		t.Fatal(err)
	}
	got, err := s.Account(ctx, a.Name)
	if d := cmp.Diff(a, got); d != "" || err != nil {
		t.Errorf("Account: %v\n%s", err, d)
	}
	all, rev, err := s.Accounts(ctx)
	if err != nil || len(all) != 1 || rev <= before {
		t.Errorf("Accounts: %d at %d after %d, %v", len(all), rev, before, err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 8 {
		wg.Go(func() {
			b := a
			b.Version, b.Reason = 3, fmt.Sprint(i)
			err := s.PutAccount(ctx, b)
			if err != nil && !errors.Is(err, abuse.ErrConflict) {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d of 8 writers of one version won", won)
	}
}

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
			e := record.Entry{Time: start, Actor: "me\xff\u2028<b>", Action: "suspend", Object: fmt.Sprint(i), Before: json.RawMessage(`{ "a": "<\u2028>", "b" : 1.0 }`)}
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
			ID: fmt.Sprintf("01jd9x%020d", i), Time: start.Add(time.Duration(i) * time.Minute), Direction: "inbound", Listener: "mx",
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
		{"time", record.Trace{Since: start.Add(time.Minute), Until: start.Add(3 * time.Minute)}, []int{2, 1}},
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
	if n, err := s.Prune(t.Context(), start.Add(2*time.Minute)); err != nil || n != 2 {
		t.Errorf("Prune: %d, %v", n, err)
	}
	if page, err := s.Find(t.Context(), record.Trace{Subject: "world"}); err != nil || len(page.Rows) != 3 {
		t.Errorf("after Prune: %d, %v", len(page.Rows), err)
	}
}

// Entry makes an outbox entry for a test.
func Entry(n int, body string) outbox.Entry {
	at := start.Add(time.Duration(n) * time.Minute)
	return outbox.Entry{
		ID: fmt.Sprintf("01jd9x%020d-o", n), MessageID: fmt.Sprintf("01jd9x%020d", n), Backend: "mail", From: "s@example.org",
		To: []filter.Recipient{{Address: "u@example.com", Policy: "default", Backend: "mail"}}, Block: []byte("X: y\r\n"),
		Size: int64(len(body)), SHA256: SHA(body), Received: at, Added: at, Next: at, Expires: at.Add(5 * 24 * time.Hour), Origin: outbox.OriginRelay,
	}
}

// Outbox runs the suite of outbox.Store on an empty store.
func Outbox(t *testing.T, s outbox.Store) {
	ctx := t.Context()
	if _, ok, err := s.Due(ctx); ok || err != nil {
		t.Errorf("Due of nothing: %v, %v", ok, err)
	}
	_, err := s.Add(ctx, Entry(0, "body"), strings.NewReader("BODY"))
	if err == nil {
		t.Error("a body that does not hash was taken")
	}
	for n := range 3 {
		if id, err := s.Add(ctx, Entry(2-n, "body"), strings.NewReader("body")); err != nil || id != Entry(2-n, "").ID {
			t.Fatalf("Add: %q, %v", id, err)
		}
	}
	if next, ok, err := s.Due(ctx); !ok || err != nil || !next.Equal(start) {
		t.Errorf("Due: %v, %v, %v", next, ok, err)
	}
	if _, _, ok, err := s.Claim(ctx, start.Add(-time.Second), time.Minute); ok || err != nil {
		t.Errorf("Claim too early: %v, %v", ok, err)
	}
	e := claim(ctx, t, s, start, Entry(0, "").ID, false)
	if _, _, ok, err := s.Claim(ctx, start, time.Minute); ok || err != nil {
		t.Errorf("Claim of what is claimed: %v, %v", ok, err)
	}
	want := Entry(0, "body")
	want.Version = e.Version
	if d := cmp.Diff(want, e, cmpopts.EquateComparable(netip.Addr{})); d != "" {
		t.Errorf("Claim: -want +got\n%s", d)
	}
	outboxRetry(ctx, t, s, e)
	outboxCrashed(ctx, t, s)
}

func claim(ctx context.Context, t *testing.T, s outbox.Store, now time.Time, id string, crashed bool) outbox.Entry {
	t.Helper()
	e, was, ok, err := s.Claim(ctx, now, time.Minute)
	if err != nil || !ok || e.ID != id || was != crashed {
		t.Fatalf("Claim at %v: %s crashed %v ok %v, %v; want %s crashed %v", now, e.ID, was, ok, err, id, crashed)
	}
	return e
}

func outboxRetry(ctx context.Context, t *testing.T, s outbox.Store, e outbox.Entry) {
	stale := e
	stale.Version--
	wantErr(t, "Retry of an old claim", s.Retry(ctx, stale), outbox.ErrLost)
	wantErr(t, "End of an old claim", s.End(ctx, stale), outbox.ErrLost)
	e.Next, e.Attempts, e.LastReply, e.Ambiguous = start.Add(time.Hour), 1, "451 later", true
	if err := s.Retry(ctx, e); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "Retry of what was given back", s.Retry(ctx, e), outbox.ErrLost)
	got, err := s.Get(ctx, e.ID)
	if err != nil || got.Attempts != 1 || got.LastReply != "451 later" || !got.Ambiguous || !got.Next.Equal(e.Next) {
		t.Errorf("after Retry: %+v, %v", got, err)
	}
	if err := s.Hurry(ctx, e.ID, start); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "Hurry of nothing", s.Hurry(ctx, "none", start), outbox.ErrNotFound)
	e = claim(ctx, t, s, start, e.ID, false)
	b, err := s.Body(ctx, e.ID)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size())); string(text) != "body" || err != nil {
		t.Errorf("Body: %q, %v", text, err)
	}
	b.Close()
	if err := s.End(ctx, e); err != nil {
		t.Fatal(err)
	}
	_, err = s.Get(ctx, e.ID)
	wantErr(t, "Get after End", err, outbox.ErrNotFound)
	_, err = s.Body(ctx, e.ID)
	wantErr(t, "Body after End", err, outbox.ErrNotFound)
}

// outboxCrashed lets a lease run out.
func outboxCrashed(ctx context.Context, t *testing.T, s outbox.Store) {
	now := start.Add(time.Minute)
	first := claim(ctx, t, s, now, Entry(1, "").ID, false)
	now = now.Add(61 * time.Second)
	second := claim(ctx, t, s, now, Entry(1, "").ID, true)
	wantErr(t, "Retry after the lease was lost", s.Retry(ctx, first), outbox.ErrLost)
	if err := s.Retry(ctx, second); err != nil {
		t.Error(err)
	}
	claim(ctx, t, s, now, Entry(1, "").ID, false)
	_, _, err := s.ClaimID(ctx, Entry(1, "").ID, now, time.Minute)
	wantErr(t, "ClaimID of what is claimed", err, outbox.ErrLost)
	_, _, err = s.ClaimID(ctx, "none", now, time.Minute)
	wantErr(t, "ClaimID of nothing", err, outbox.ErrNotFound)
	early, crashed, err := s.ClaimID(ctx, Entry(2, "").ID, start, time.Minute)
	if err != nil || crashed || early.ID != Entry(2, "").ID {
		t.Errorf("ClaimID before it is due: %s, %v, %v", early.ID, crashed, err)
	}
	list, err := s.List(ctx, Entry(1, "").ID, 10)
	if err != nil || len(list) != 1 || list[0].ID != Entry(2, "").ID {
		t.Errorf("List: %d, %v", len(list), err)
	}
	id, err := s.Add(ctx, outbox.Entry{SHA256: SHA("x")}, strings.NewReader("x"))
	if err != nil || id == "" {
		t.Errorf("Add without an ID: %q, %v", id, err)
	}
}
