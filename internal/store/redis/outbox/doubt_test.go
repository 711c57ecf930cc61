package outbox_test

import (
	"strings"
	"testing"
	"time"

	"postern/internal/store/redis/outbox"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest"
)

// An entry whose answer was lost on the way is there; the node that added it finds it without
// looking through the whole store.
func TestAddWithoutAnswerIsClaimed(t *testing.T) {
	server := redistest.Server(t)
	for at := range int64(3) {
		c := redistest.Empty(t, server)
		hook := &cut{after: true}
		c.Client().AddHook(hook)
		s := outbox.New(options(t, c))
		hook.at.Store(1 << 40)
		if _, err := s.Count(t.Context()); err != nil { // logs in
			t.Fatal(err)
		}
		hook.at.Store(hook.calls.Load() + at + 1)
		e := storetest.Entry(0, "x")
		_, err := s.Add(t.Context(), e, strings.NewReader("x"))
		hook.at.Store(1 << 40)
		there, lerr := s.Look(t.Context(), []string{e.ID})
		if lerr != nil {
			t.Fatal(lerr)
		}
		_, _, ok, cerr := s.Claim(t.Context(), e.Next, time.Minute)
		if cerr != nil || ok != (there[0].ID != "") {
			t.Errorf("call %d: Add says %v, the entry is there %v, claimed %v, %v", at, err, there[0].ID != "", ok, cerr)
		}
	}
}

// What this process has claimed since it began is not the claim of an earlier one.
func TestVoidLeavesOwnClaims(t *testing.T) {
	c := redistest.Mini(t)
	s, other := outbox.New(options(t, c)), outbox.New(options(t, c))
	add(t, s, 0)
	now := storetest.Entry(0, "").Next
	e, _, ok, err := s.Claim(t.Context(), now, time.Minute)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if n, err := s.Void(t.Context(), "a"); n != 0 || err != nil {
		t.Errorf("%d claims void, %v", n, err)
	}
	if err := s.Retry(t.Context(), e); err != nil {
		t.Errorf("the claim was taken away: %v", err)
	}
	if _, _, ok, err = s.Claim(t.Context(), now, time.Minute); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if n, err := other.Void(t.Context(), "a"); n != 1 || err != nil {
		t.Errorf("%d claims of an earlier life void, %v", n, err)
	}
}

// Somebody else's data under the name of one entry keeps nobody from the others.
func TestWrongTypeIsOneEntry(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	s := outbox.New(options(t, c))
	ctx, r := t.Context(), c.Client()
	bad, good := add(t, s, 0), add(t, s, 1)
	if err := r.Del(ctx, entityOf(c, bad)).Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.RPush(ctx, entityOf(c, bad), "x").Err(); err != nil {
		t.Fatal(err)
	}
	now := storetest.Entry(1, "").Next
	e, _, ok, err := s.Claim(ctx, now, time.Minute)
	if err != nil || !ok || e.ID != good {
		t.Errorf("claimed %q, %v, %v", e.ID, ok, err)
	}
	repaired(t, s, bad, "body ")
}
