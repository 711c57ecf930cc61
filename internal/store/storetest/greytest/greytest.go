// Package greytest holds the suite of greylist.Store.
package greytest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/filter/greylist"
	"postern/internal/store/storetest"
)

// Entry is the waiting entry number n, found by the keys.
func Entry(n int, keys ...string) greylist.Waiting {
	at := storetest.Start.Add(time.Duration(n) * time.Second).UTC()
	return greylist.Waiting{
		ID: fmt.Sprintf("%026d", n), From: "a@sender.example", To: []string{"b@us.example"}, Recipients: 1, Client: "192.0.2.1", Source: "network 192.0.2.0/24",
		First: at, Last: at, NotBefore: at.Add(5 * time.Minute), Expires: at.Add(48 * time.Hour), Tries: 1, Keys: keys, Sources: []string{"s"},
	}
}

// Store runs the suite on an empty store.
func Store(t *testing.T, s greylist.Store) {
	waits(t, s)
	knows(t, s)
	atOnce(t, s)
}

func waits(t *testing.T, s greylist.Store) {
	ctx, now := t.Context(), storetest.Start.Add(time.Minute)
	find := func(now time.Time, keys ...string) string {
		t.Helper()
		w, ok, err := s.FindWaiting(ctx, keys, now)
		if err != nil || ok != (w.ID != "") {
			t.Fatal(w, ok, err)
		}
		return w.ID
	}
	if got := find(now, "k1"); got != "" || find(now) != "" {
		t.Errorf("an empty store finds %s", got)
	}
	one, two := Entry(1, "k1", "k2"), Entry(2, "k3")
	for _, w := range []greylist.Waiting{two, one} {
		got, err := s.PutOff(ctx, w, now)
		if d := cmp.Diff(w, got); d != "" || err != nil {
			t.Fatalf("%v\n%s", err, d)
		}
	}
	got, ok, err := s.FindWaiting(ctx, []string{"other", "k3", "k2"}, now)
	if d := cmp.Diff(one, got); d != "" || !ok || err != nil {
		t.Errorf("the oldest of two: %v %v\n%s", ok, err, d)
	}
	again := Entry(9, "k4", "k1")
	want := one
	want.Tries, want.Last = 2, again.Last
	if got, err := s.PutOff(ctx, again, now); cmp.Diff(want, got) != "" || err != nil {
		t.Errorf("another try: %v\n%s", err, cmp.Diff(want, got))
	}
	if got, err := s.GetWaiting(ctx, one.ID); cmp.Diff(want, got) != "" || err != nil {
		t.Errorf("read back: %v\n%s", err, cmp.Diff(want, got))
	}
	if got := find(now, "k4"); got != "" {
		t.Error("another try gave new keys to", got)
	}
	all, err := s.ListWaiting(ctx, "", 10, now)
	if d := cmp.Diff([]greylist.Waiting{want, two}, all); d != "" || err != nil {
		t.Errorf("list: %v\n%s", err, d)
	}
	if all, err := s.ListWaiting(ctx, one.ID, 1, now); err != nil || len(all) != 1 || all[0].ID != two.ID {
		t.Errorf("second page: %v %v", all, err)
	}
	overIn(t, s, find, two)
	if err := s.Settle(ctx, one.ID, nil, greylist.Known{}); err != nil {
		t.Fatal(err)
	}
	if find(now, "k1", "k2") != "" {
		t.Error("what ended is found")
	}
	_, err = s.GetWaiting(ctx, one.ID)
	storetest.WantErr(t, "what ended", err, greylist.ErrNotFound)
	if err := s.Prune(ctx, two.Expires.Add(time.Hour*24*400), 1000); err != nil {
		t.Fatal(err)
	}
	if all, err := s.ListWaiting(ctx, "", 10, now); err != nil || len(all) != 0 {
		t.Errorf("after pruning: %v %v", all, err)
	}
}

// overIn tries what is over, and what a clock that ran ahead left behind.
func overIn(t *testing.T, s greylist.Store, find func(time.Time, ...string) string, w greylist.Waiting) {
	if find(w.Expires, "k3") != "" || find(w.Expires.Add(-time.Second), "k3") == "" {
		t.Error("an entry is found until it expires and no longer")
	}
	early := w.First.Add(-time.Hour)
	if find(early, "k3") != "" || find(w.First.Add(-time.Minute), "k3") == "" {
		t.Error("an entry from the future is found")
	}
	if all, err := s.ListWaiting(t.Context(), "", 10, early); err != nil || len(all) != 0 {
		t.Errorf("entries from the future are listed: %v %v", all, err)
	}
	fresh := Entry(500_000, "k3")
	if got, err := s.PutOff(t.Context(), fresh, fresh.First); err != nil || got.ID != fresh.ID || find(fresh.First, "k3") != fresh.ID {
		t.Errorf("a try after the end is not a new entry: %s %v", got.ID, err)
	}
}

func knows(t *testing.T, s greylist.Store) {
	ctx := t.Context()
	if _, ok, err := s.FindKnown(ctx, []string{"a"}); ok || err != nil {
		t.Error(ok, err)
	}
	k := greylist.Known{Source: "domain a.example", Last: storetest.Start.UTC(), Until: storetest.Start.Add(time.Hour).UTC()}
	longer := k
	longer.Until, longer.By = k.Until.Add(time.Hour), "me"
	if err := s.Settle(ctx, "", []string{"a", "b"}, k); err != nil {
		t.Fatal(err)
	}
	if err := s.Settle(ctx, "gone", []string{"c"}, longer); err != nil {
		t.Fatal(err)
	}
	for want, keys := range map[*greylist.Known][]string{&k: {"x", "a", "b"}, &longer: {"a", "c"}} {
		got, ok, err := s.FindKnown(ctx, keys)
		if d := cmp.Diff(*want, got); d != "" || !ok || err != nil {
			t.Errorf("%v: %v %v\n%s", keys, ok, err, d)
		}
	}
	if err := s.Settle(ctx, "", []string{"a"}, longer); err != nil {
		t.Fatal(err)
	}
	if got, _, err := s.FindKnown(ctx, []string{"a"}); !got.Until.Equal(longer.Until) || err != nil {
		t.Error("a source is not renewed:", got, err)
	}
	if err := s.Prune(ctx, longer.Until, 1000); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := s.FindKnown(ctx, []string{"b"}); ok || err != nil {
		t.Error("pruning left what expired:", ok, err)
	}
	if _, ok, err := s.FindKnown(ctx, []string{"c"}); !ok || err != nil {
		t.Error("pruning took what is not expired:", ok, err)
	}
}

// atOnce puts one message off from many sessions: there is one entry, and it counts them all.
func atOnce(t *testing.T, s greylist.Store) {
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			if _, err := s.PutOff(t.Context(), Entry(100+i, "same"), storetest.Start); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	w, ok, err := s.FindWaiting(t.Context(), []string{"same"}, storetest.Start)
	if w.Tries != 16 || !ok || err != nil {
		t.Errorf("%d tries, %v %v", w.Tries, ok, err)
	}
}
