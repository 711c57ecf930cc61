package outboxtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"postern/filter"
	"postern/internal/relay/outbox"
)

// Entry makes an entry for n recipients that is due at the given time, and its body.
func Entry(n int, at time.Time) (outbox.Entry, string) {
	const body = "Subject: left over\r\n\r\nbody\r\n"
	sum := sha256.Sum256([]byte(body))
	e := outbox.Entry{
		MessageID: "01hf7yat00zzzzzzzzzzzzzzzz", Direction: filter.Outbound, Listener: "mx", Backend: "mail", From: "a@sender.example", SMTPUTF8: true,
		Client: filter.Client{IP: netip.MustParseAddr("192.0.2.7"), Port: 25, Name: "n.example", Helo: "h", TLS: filter.TLSInfo{Version: "v", Cipher: "c"}}, Account: "joe",
		Verdict: filter.Verdict{Action: filter.Tag, Policy: "p", Score: 42, Reasons: []filter.Reason{{Symbol: "S", Score: 42, Describe: "d", Detail: "\x00\xff"}}},
		Block:   []byte("X: \xff\r\n"), Size: int64(len(body)), SHA256: hex.EncodeToString(sum[:]), Received: at.Add(-time.Second), Added: at, Next: at,
		Expires: at.Add(5 * 24 * time.Hour), Attempts: 1, LastReply: "451 4.0.0 later", Origin: outbox.OriginRelay,
	}
	for i := range n {
		e.To = append(e.To, filter.Recipient{Address: string(rune('a'+i)) + "@example.com", Policy: "p", Backend: "mail"})
	}
	return e, body
}

// Conformance runs the suite. open gives an empty store; reopen, when not nil, closes it and
// opens the same home again as after a crash.
func Conformance(t *testing.T, open func(t *testing.T) outbox.Store, reopen func(t *testing.T, s outbox.Store) outbox.Store) {
	for name, f := range map[string]func(t *testing.T, s outbox.Store){
		"keeps what it was given": keepsAll, "claims the oldest due first": oldestFirst, "one claim at a time": oneClaim,
		"a lost claim writes nothing": lostClaim, "retry and end": retryAndEnd, "hurry": hurry, "a wrong digest": wrongDigest, "side by side": sideBySide,
	} {
		t.Run(name, func(t *testing.T) { f(t, open(t)) })
	}
	if reopen != nil {
		t.Run("after a crash", func(t *testing.T) { afterCrash(t, open(t), reopen) })
	}
}

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const lease = 10 * time.Minute

func add(t *testing.T, s outbox.Store, n int, at time.Time) string {
	t.Helper()
	e, body := Entry(n, at)
	id, err := s.Add(t.Context(), e, strings.NewReader(body))
	if err != nil || id == "" {
		t.Fatalf("add: %q %v", id, err)
	}
	return id
}

func claim(t *testing.T, s outbox.Store, now time.Time) (outbox.Entry, bool) {
	t.Helper()
	e, crashed, ok, err := s.Claim(t.Context(), now, lease)
	if err != nil || !ok {
		t.Fatalf("nothing to claim: %v", err)
	}
	return e, crashed
}

func nothing(t *testing.T, s outbox.Store, now time.Time) {
	t.Helper()
	if e, _, ok, err := s.Claim(t.Context(), now, lease); ok || err != nil {
		t.Fatalf("claimed %q %v", e.ID, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func keepsAll(t *testing.T, s outbox.Store) {
	want, body := Entry(2, start)
	want.ID = "chosen"
	id, err := s.Add(t.Context(), want, strings.NewReader(body))
	if err != nil || id != "chosen" {
		t.Fatalf("%q %v", id, err)
	}
	got, err := s.Get(t.Context(), id)
	must(t, err)
	ignore := cmpopts.IgnoreFields(outbox.Entry{}, "Version")
	opts := cmp.Options{ignore, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()}
	want.Verdict.Reasons[0].Detail = got.Verdict.Reasons[0].Detail // JSON may replace what is no UTF-8
	if d := cmp.Diff(want, got, opts); d != "" {
		t.Error(d)
	}
	b, err := s.Body(t.Context(), id)
	must(t, err)
	defer b.Close()
	if text, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size())); string(text) != body || err != nil {
		t.Errorf("body %q %v", text, err)
	}
	list, err := s.List(t.Context(), "", 10)
	if err != nil || len(list) != 1 || list[0].ID != id {
		t.Errorf("list %v %v", list, err)
	}
	if list, err := s.List(t.Context(), id, 10); err != nil || len(list) != 0 {
		t.Errorf("list after the last %v %v", list, err)
	}
	if _, err := s.Get(t.Context(), "none"); !errors.Is(err, outbox.ErrNotFound) {
		t.Errorf("get of none: %v", err)
	}
	if _, err := s.Body(t.Context(), "none"); !errors.Is(err, outbox.ErrNotFound) {
		t.Errorf("body of none: %v", err)
	}
}

func oldestFirst(t *testing.T, s outbox.Store) {
	late, early := add(t, s, 1, start.Add(2*time.Minute)), add(t, s, 1, start.Add(time.Minute))
	nothing(t, s, start)
	if next, ok, err := s.Due(t.Context()); err != nil || !ok || !next.Equal(start.Add(time.Minute)) {
		t.Errorf("due %v %v %v", next, ok, err)
	}
	now := start.Add(2 * time.Minute)
	if e, _ := claim(t, s, now); e.ID != early {
		t.Errorf("claimed %q", e.ID)
	}
	if e, _ := claim(t, s, now); e.ID != late {
		t.Errorf("claimed %q", e.ID)
	}
	if next, ok, err := s.Due(t.Context()); !ok || err != nil || !next.Equal(now.Add(lease)) {
		t.Errorf("due with all claimed: %v %v %v", next, ok, err)
	}
}

func oneClaim(t *testing.T, s outbox.Store) {
	id := add(t, s, 1, start)
	if _, crashed := claim(t, s, start); crashed {
		t.Error("the first claim is no crash")
	}
	nothing(t, s, start.Add(lease-time.Second))
	if _, _, err := s.ClaimID(t.Context(), id, start, lease); !errors.Is(err, outbox.ErrLost) {
		t.Errorf("claim of a claimed entry: %v", err)
	}
	if _, crashed := claim(t, s, start.Add(lease+time.Second)); !crashed {
		t.Error("a claim that ran out is not told")
	}
	if _, _, err := s.ClaimID(t.Context(), "none", start, lease); !errors.Is(err, outbox.ErrNotFound) {
		t.Errorf("claim of none: %v", err)
	}
}

func lostClaim(t *testing.T, s outbox.Store) {
	id := add(t, s, 2, start)
	old, _ := claim(t, s, start)
	fresh, _ := claim(t, s, start.Add(2*lease))
	old.To = nil
	if err := s.Retry(t.Context(), old); !errors.Is(err, outbox.ErrLost) {
		t.Errorf("retry: %v", err)
	}
	if err := s.End(t.Context(), old); !errors.Is(err, outbox.ErrLost) {
		t.Errorf("end: %v", err)
	}
	if e, err := s.Get(t.Context(), id); err != nil || len(e.To) != 2 {
		t.Errorf("%v %v", e.To, err)
	}
	must(t, s.End(t.Context(), fresh))
	if err := s.End(t.Context(), fresh); err == nil {
		t.Error("ended twice")
	}
}

func retryAndEnd(t *testing.T, s outbox.Store) {
	id := add(t, s, 2, start)
	e, _ := claim(t, s, start)
	e.To, e.Next, e.Attempts, e.Ambiguous, e.LastReply = e.To[1:], start.Add(time.Hour), 7, true, "450 4.2.0 again"
	must(t, s.Retry(t.Context(), e))
	nothing(t, s, start.Add(time.Minute))
	got, crashed := claim(t, s, start.Add(time.Hour))
	if crashed || got.ID != id || len(got.To) != 1 || got.To[0].Address != "b@example.com" || got.Attempts != 7 || !got.Ambiguous || got.LastReply != "450 4.2.0 again" {
		t.Errorf("%+v", got)
	}
	must(t, s.End(t.Context(), got))
	if _, err := s.Get(t.Context(), id); !errors.Is(err, outbox.ErrNotFound) {
		t.Errorf("ended entry: %v", err)
	}
	if _, err := s.Body(t.Context(), id); !errors.Is(err, outbox.ErrNotFound) {
		t.Errorf("ended body: %v", err)
	}
	if _, ok, err := s.Due(t.Context()); ok || err != nil {
		t.Errorf("due %v %v", ok, err)
	}
}

func hurry(t *testing.T, s outbox.Store) {
	id := add(t, s, 1, start.Add(time.Hour))
	must(t, s.Hurry(t.Context(), id, start))
	claim(t, s, start)
	must(t, s.Hurry(t.Context(), id, start.Add(time.Minute)))
	nothing(t, s, start.Add(time.Minute))
	if err := s.Hurry(t.Context(), "none", start); !errors.Is(err, outbox.ErrNotFound) {
		t.Errorf("hurry of none: %v", err)
	}
}

func wrongDigest(t *testing.T, s outbox.Store) {
	e, body := Entry(1, start)
	if _, err := s.Add(t.Context(), e, strings.NewReader(body+"x")); err == nil {
		t.Error("a body that is not the one judged was taken")
	}
	if _, err := s.Add(t.Context(), e, io.MultiReader(strings.NewReader(body), broken{})); err == nil {
		t.Error("half a body was taken")
	}
	nothing(t, s, start)
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("disk") }

func sideBySide(t *testing.T, s outbox.Store) {
	const n = 20
	for range n {
		add(t, s, 1, start)
	}
	var mu sync.Mutex
	seen := map[string]int{}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				e, _, ok, err := s.Claim(context.WithoutCancel(t.Context()), start, lease)
				if err != nil || !ok {
					if err != nil {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				seen[e.ID]++
				mu.Unlock()
				if err := s.End(t.Context(), e); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if len(seen) != n {
		t.Errorf("%d entries claimed, want %d", len(seen), n)
	}
	for id, k := range seen {
		if k != 1 {
			t.Errorf("%s was claimed %d times", id, k)
		}
	}
}

func afterCrash(t *testing.T, s outbox.Store, reopen func(t *testing.T, s outbox.Store) outbox.Store) {
	id := add(t, s, 2, start)
	claim(t, s, start)
	s = reopen(t, s)
	e, crashed := claim(t, s, start)
	if !crashed || e.ID != id {
		t.Errorf("after a crash %q is claimed, crashed %v", e.ID, crashed)
	}
	b, err := s.Body(t.Context(), id)
	must(t, err)
	must(t, b.Close())
	must(t, s.End(t.Context(), e))
}
