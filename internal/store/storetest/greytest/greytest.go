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
	Answers(t, s)
	forgets(t, s)
}

// Answers is the part of the suite for a store whose server forgets known sources by a clock
// of its own.
func Answers(t *testing.T, s greylist.Store) {
	waits(t, s)
	knows(t, s)
	atOnce(t, s)
}

func findWaiting(t testing.TB, s greylist.Store, now time.Time, keys ...string) greylist.Waiting {
	t.Helper()
	found, err := s.Find(t.Context(), keys, nil, now)
	if err != nil || found.Known != nil {
		t.Fatal(found, err)
	}
	if found.Waiting == nil {
		return greylist.Waiting{}
	}
	return *found.Waiting
}

func findKnown(t testing.TB, s greylist.Store, keys ...string) *greylist.Known {
	t.Helper()
	found, err := s.Find(t.Context(), nil, keys, storetest.Start)
	if err != nil || found.Waiting != nil {
		t.Fatal(found, err)
	}
	return found.Known
}

func waits(t *testing.T, s greylist.Store) {
	ctx, now := t.Context(), storetest.Start.Add(time.Minute)
	find := func(now time.Time, keys ...string) string {
		t.Helper()
		return findWaiting(t, s, now, keys...).ID
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
	if d := cmp.Diff(one, findWaiting(t, s, now, "other", "k3", "k2")); d != "" {
		t.Errorf("the oldest of two:\n%s", d)
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
	if k := findKnown(t, s, "a"); k != nil {
		t.Error(k)
	}
	k, longer := sources()
	if err := s.Settle(ctx, "", []string{"a", "b"}, k); err != nil {
		t.Fatal(err)
	}
	if err := s.Settle(ctx, "gone", []string{"c"}, longer); err != nil {
		t.Fatal(err)
	}
	for want, keys := range map[*greylist.Known][]string{&k: {"x", "a", "b"}, &longer: {"a", "c"}} {
		if d := cmp.Diff(want, findKnown(t, s, keys...)); d != "" {
			t.Errorf("%v:\n%s", keys, d)
		}
	}
	if err := s.Settle(ctx, "", []string{"a"}, longer); err != nil {
		t.Fatal(err)
	}
	if got := findKnown(t, s, "a"); got == nil || !got.Until.Equal(longer.Until) {
		t.Error("a source is not renewed:", got)
	}
	if _, err := s.PutOff(ctx, Entry(50, "both"), storetest.Start); err != nil {
		t.Fatal(err)
	}
	found, err := s.Find(ctx, []string{"x", "both"}, []string{"x", "c"}, storetest.Start)
	if err != nil || found.Waiting == nil || found.Waiting.ID != Entry(50).ID || found.Known == nil || found.Known.By != "me" {
		t.Error("both at once:", found, err)
	}
	if found, err := s.Find(ctx, nil, nil, storetest.Start); err != nil || found != (greylist.Found{}) {
		t.Error("nothing to look for:", found, err)
	}
}

// sources are a known source and one that is remembered longer.
func sources() (k, longer greylist.Known) {
	k = greylist.Known{Source: "domain a.example", Last: storetest.Start.UTC(), Until: storetest.Start.Add(time.Hour).UTC()}
	longer = k
	longer.Until, longer.By = k.Until.Add(time.Hour), "me"
	return k, longer
}

// forgets prunes sources: what is over goes, what is not stays.
func forgets(t *testing.T, s greylist.Store) {
	ctx := t.Context()
	k, longer := sources()
	if err := s.Settle(ctx, "", []string{"b"}, k); err != nil {
		t.Fatal(err)
	}
	if err := s.Settle(ctx, "", []string{"c"}, longer); err != nil {
		t.Fatal(err)
	}
	if err := s.Prune(ctx, longer.Until, 1000); err != nil {
		t.Fatal(err)
	}
	if k := findKnown(t, s, "b"); k != nil {
		t.Error("pruning left what expired:", k)
	}
	if k := findKnown(t, s, "c"); k == nil {
		t.Error("pruning took what is not expired:", k)
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
	if w := findWaiting(t, s, storetest.Start, "same"); w.Tries != 16 {
		t.Errorf("%d tries", w.Tries)
	}
}
