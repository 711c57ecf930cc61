// Package desktest holds the suites of what people decide: own lists and account states.
package desktest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"postern/abuse"
	"postern/blocklist"
	"postern/blocklist/paging"
	"postern/internal/store/storetest"
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
	e := blocklist.Entry{Value: "192.0.2.0/24", Scope: "all", Reason: "spam", Author: "me", Created: storetest.Start}
	if err := s.PutListEntry(ctx, e); err != nil {
		t.Fatal(err)
	}
	if rev() <= before {
		t.Error("a new entry did not raise the revision")
	}
	e.Reason = "more spam"
	allow := blocklist.Entry{Allow: true, Value: "192.0.2.0/24", Scope: "all", Created: storetest.Start, Expires: storetest.Start.Add(time.Hour)}
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
	storetest.WantErr(t, "removing nothing", s.RemoveListEntry(ctx, "block nobody all"), blocklist.ErrNotFound)
	if err := s.RemoveListEntry(ctx, e.Key()); err != nil {
		t.Fatal(err)
	}
	if rev() <= before {
		t.Error("a removal did not raise the revision")
	}
	if got, _, err := s.ListEntries(ctx); err != nil || len(got) != 1 {
		t.Errorf("after the removal: %v, %v", got, err)
	}
	storetest.WantErr(t, "removing it again", s.RemoveListEntry(ctx, e.Key()), blocklist.ErrNotFound)
	if err := s.RemoveListEntry(ctx, allow.Key()); err != nil {
		t.Fatal(err)
	}
	manyEntries(t, s)
}

// manyEntries: entries differ by verb, value and scope; an ended one is kept; one that was
// removed may come again; writers at once lose nothing.
func manyEntries(t *testing.T, s blocklist.Store) {
	ctx := t.Context()
	var want []blocklist.Entry
	for _, scope := range []string{"all", "domain:example.com", "recipient:größe@example.com"} {
		for _, value := range []string{"192.0.2.1", "2001:db8::/32", "example.org", "a%b@example.org"} {
			for _, allow := range []bool{true, false} {
				want = append(want, blocklist.Entry{Allow: allow, Value: value, Scope: scope, Reason: "Größe \"<&\u2028>\"", Author: "me", Created: storetest.Start, Expires: storetest.Start.Add(-time.Hour)})
			}
		}
	}
	var wg sync.WaitGroup
	for _, e := range want {
		wg.Go(func() {
			before, err := s.ListRevision(ctx)
			if err = errors.Join(err, s.PutListEntry(ctx, e), s.RemoveListEntry(ctx, e.Key()), s.PutListEntry(ctx, e)); err != nil {
				t.Errorf("%s: %v", e.Key(), err)
			}
			if after, err := s.ListRevision(ctx); err != nil || after <= before {
				t.Errorf("revision %d after %d, %v", after, before, err)
			}
		})
	}
	wg.Wait()
	got, _, err := s.ListEntries(ctx)
	less := func(a, b blocklist.Entry) bool { return a.Key() < b.Key() }
	if d := cmp.Diff(want, got, cmpopts.SortSlices(less)); d != "" || err != nil {
		t.Errorf("many entries: %v\n%s", err, d)
	}
	if !slices.IsSortedFunc(got, func(a, b blocklist.Entry) int { return strings.Compare(a.Key(), b.Key()) }) {
		t.Error("the entries are not in the order of their keys")
	}
	pages(t, s, want)
}

// pages have each entry once.
func pages(t *testing.T, s blocklist.Store, want []blocklist.Entry) {
	t.Helper()
	own := blocklist.NewOwn(blocklist.OwnParts{Store: s})
	var got []blocklist.Entry
	for q := (paging.Query{Limit: 5}); ; {
		p, err := paging.List(t.Context(), own, q)
		if err != nil || p.Total != len(want) || len(p.Entries) > 5 {
			t.Fatalf("%d entries of %d: %v", len(p.Entries), p.Total, err)
		}
		got = append(got, p.Entries...)
		if q.After = p.Next; p.Next == "" {
			break
		}
	}
	less := func(a, b blocklist.Entry) bool { return a.Key() < b.Key() }
	if d := cmp.Diff(want, got, cmpopts.SortSlices(less)); d != "" {
		t.Errorf("the pages:\n%s", d)
	}
}

// Accounts runs the suite of abuse.Store on an empty store.
func Accounts(t *testing.T, s abuse.Store) {
	ctx := t.Context()
	_, err := s.Account(ctx, "a@example.com")
	storetest.WantErr(t, "no account", err, abuse.ErrNotFound)
	before, err := s.AccountRevision(ctx)
	if err != nil {
		t.Fatal(err)
	}
	a := abuse.Account{Name: "a@example.com", State: abuse.Suspended, Reason: "spam", By: "me", At: storetest.Start, Version: 1}
	if err := s.PutAccount(ctx, a); err != nil {
		t.Fatal(err)
	}
	storetest.WantErr(t, "the first record again", s.PutAccount(ctx, a), abuse.ErrConflict)
	skip := a
	skip.Version = 3
	storetest.WantErr(t, "a version left out", s.PutAccount(ctx, skip), abuse.ErrConflict)
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
	if got, err := s.Account(ctx, a.Name); err != nil || got.Version != 3 {
		t.Errorf("after eight writers: %+v, %v", got, err)
	}
	manyAccounts(t, s)
}

// manyAccounts: accounts do not mix, and a conflict changes neither record nor revision.
func manyAccounts(t *testing.T, s abuse.Store) {
	ctx := t.Context()
	want := map[string]abuse.Account{}
	for i, name := range []string{"a", "a@example.org", "größe@example.com", "a b", "a%", "\"'\\"} {
		a := abuse.Account{Name: name, State: abuse.Suspended, Reason: "<\u2028>", By: "me", At: storetest.Start.Add(time.Duration(i) * time.Millisecond), Version: 1}
		if err := s.PutAccount(ctx, a); err != nil {
			t.Fatal(err)
		}
		want[name] = a
	}
	want["@example.net"] = abuse.Account{
		Name: "@example.net", State: abuse.Suspended, Level: abuse.M6, Reason: "spam", By: "me", At: storetest.Start, Until: storetest.Start.Add(time.Hour),
		Case: "A-2026-000042", Measure: "m-1", Messages: 4, Recipients: 10, Version: 1,
	}
	if err := s.PutAccount(ctx, want["@example.net"]); err != nil {
		t.Fatal(err)
	}
	less := want["@example.net"] // what is left out is gone
	less.Level, less.Until, less.Case, less.Measure, less.Messages, less.Recipients, less.Version = abuse.M0, time.Time{}, "", "", 0, 0, 2
	if err := s.PutAccount(ctx, less); err != nil {
		t.Fatal(err)
	}
	want["@example.net"] = less
	before, err := s.AccountRevision(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []uint64{0, 1, 3} {
		err := s.PutAccount(ctx, abuse.Account{Name: "a", State: abuse.Active, Version: version})
		storetest.WantErr(t, "a wrong version", err, abuse.ErrConflict)
	}
	storetest.WantErr(t, "the second record of nobody", s.PutAccount(ctx, abuse.Account{Name: "nobody", State: abuse.Suspended, Version: 2}), abuse.ErrConflict)
	all, rev, err := s.Accounts(ctx)
	if err != nil || rev != before || len(all) != len(want)+1 {
		t.Errorf("%d accounts at %d, was %d, %v", len(all), rev, before, err)
	}
	for _, got := range all {
		if d := cmp.Diff(want[got.Name], got); d != "" && got.Name != "a@example.com" {
			t.Error(d)
		}
	}
}
