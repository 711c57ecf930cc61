package storetest

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"postern/filter"
	"postern/internal/relay/outbox"
)

// Entry makes an outbox entry for a test.
func Entry(n int, body string) outbox.Entry {
	at := Start.Add(time.Duration(n) * time.Minute)
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
	if next, ok, err := s.Due(ctx); !ok || err != nil || !next.Equal(Start) {
		t.Errorf("Due: %v, %v, %v", next, ok, err)
	}
	if _, _, ok, err := s.Claim(ctx, Start.Add(-time.Second), time.Minute); ok || err != nil {
		t.Errorf("Claim too early: %v, %v", ok, err)
	}
	e := claim(ctx, t, s, Start, Entry(0, "").ID, false)
	if _, _, ok, err := s.Claim(ctx, Start, time.Minute); ok || err != nil {
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
	WantErr(t, "Retry of an old claim", s.Retry(ctx, stale), outbox.ErrLost)
	WantErr(t, "End of an old claim", s.End(ctx, stale), outbox.ErrLost)
	e.Next, e.Attempts, e.LastReply, e.Ambiguous = Start.Add(time.Hour), 1, "451 later", true
	if err := s.Retry(ctx, e); err != nil {
		t.Fatal(err)
	}
	WantErr(t, "Retry of what was given back", s.Retry(ctx, e), outbox.ErrLost)
	got, err := s.Get(ctx, e.ID)
	if err != nil || got.Attempts != 1 || got.LastReply != "451 later" || !got.Ambiguous || !got.Next.Equal(e.Next) {
		t.Errorf("after Retry: %+v, %v", got, err)
	}
	if err := s.Hurry(ctx, e.ID, Start); err != nil {
		t.Fatal(err)
	}
	WantErr(t, "Hurry of nothing", s.Hurry(ctx, "none", Start), outbox.ErrNotFound)
	e = claim(ctx, t, s, Start, e.ID, false)
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
	WantErr(t, "Get after End", err, outbox.ErrNotFound)
	_, err = s.Body(ctx, e.ID)
	WantErr(t, "Body after End", err, outbox.ErrNotFound)
}

// outboxCrashed lets a lease run out.
func outboxCrashed(ctx context.Context, t *testing.T, s outbox.Store) {
	now := Start.Add(time.Minute)
	first := claim(ctx, t, s, now, Entry(1, "").ID, false)
	now = now.Add(61 * time.Second)
	second := claim(ctx, t, s, now, Entry(1, "").ID, true)
	WantErr(t, "Retry after the lease was lost", s.Retry(ctx, first), outbox.ErrLost)
	if err := s.Retry(ctx, second); err != nil {
		t.Error(err)
	}
	claim(ctx, t, s, now, Entry(1, "").ID, false)
	_, _, err := s.ClaimID(ctx, Entry(1, "").ID, now, time.Minute)
	WantErr(t, "ClaimID of what is claimed", err, outbox.ErrLost)
	_, _, err = s.ClaimID(ctx, "none", now, time.Minute)
	WantErr(t, "ClaimID of nothing", err, outbox.ErrNotFound)
	early, crashed, err := s.ClaimID(ctx, Entry(2, "").ID, Start, time.Minute)
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
