package owed_test

import (
	"strings"
	"testing"
	"time"

	"postern/filter"
	"postern/internal/relay/outbox"
	"postern/internal/store/storetest"
)

// What this node knows to have been sent is not sent again, though the shared store shows it as it
// was before and nobody noticed.
func TestSentIsNotSentAgain(t *testing.T) {
	f := newFleet(t, 1)
	a := f.nodes[0]
	ended, partly := a.add(1), a.add(2)
	e := a.claim(ended)
	if err := a.store.End(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	e = a.claim(partly)
	e.To, e.Attempts, e.Next = e.To[:1], 1, f.now
	if err := a.store.Retry(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	f.far.flush()
	for n, id := range []string{1: ended, 2: partly} {
		if id == "" {
			continue
		}
		old := storetest.Entry(n, "body")
		old.To = append(old.To, filter.Recipient{Address: "v@example.com", Backend: "mail"})
		if got, err := f.far.mem.Add(t.Context(), old, strings.NewReader("body")); err != nil || got != id {
			t.Fatal(got, err)
		}
	}
	_, _, err := a.store.ClaimID(t.Context(), ended, f.now, time.Minute)
	wantErr(t, "claiming what has ended", err, outbox.ErrNotFound)
	f.want(ended, false, 0, false)
	got, _, ok, err := a.store.Claim(t.Context(), f.now.Add(time.Hour), time.Minute)
	if err != nil || !ok || got.ID != partly || len(got.To) != 1 || got.Attempts != 1 {
		t.Errorf("claimed %s for %d, %d attempts, %v, %v", got.ID, len(got.To), got.Attempts, ok, err)
	}
	if _, _, ok, err := a.store.Claim(t.Context(), f.now.Add(time.Hour), time.Minute); ok || err != nil {
		t.Error(ok, err)
	}
}
