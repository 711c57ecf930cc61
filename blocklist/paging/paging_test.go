package paging_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/blocklist"
	"postern/blocklist/paging"
)

// memory is a Store.
type memory struct {
	mu      sync.Mutex
	entries map[string]blocklist.Entry
	rev     uint64
	fails   error
}

func newMemory() *memory { return &memory{entries: map[string]blocklist.Entry{}} }

func (s *memory) ListRevision(context.Context) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rev, s.fails
}

func (s *memory) ListEntries(context.Context) ([]blocklist.Entry, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.entries)), s.rev, s.fails
}

func (s *memory) PutListEntry(_ context.Context, e blocklist.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rev++
	s.entries[e.Key()] = e
	return s.fails
}

func (s *memory) RemoveListEntry(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rev++
	delete(s.entries, key)
	return s.fails
}

func listed(t *testing.T, s *memory, o *blocklist.Own, all ...blocklist.Entry) {
	t.Helper()
	for _, e := range all {
		if err := s.PutListEntry(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func values(p paging.Page) string {
	var out []string
	for _, e := range p.Entries {
		out = append(out, e.Value)
	}
	return strings.Join(out, " ")
}

// TestPages of the own lists have each entry once, the youngest first, while others come and go.
func TestPages(t *testing.T) {
	s := newMemory()
	now := time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)
	o := blocklist.NewOwn(blocklist.OwnParts{Store: s, Now: func() time.Time { return now }})
	var all []blocklist.Entry
	for i := range 250 {
		e := blocklist.Entry{Value: fmt.Sprintf("192.0.2.%d", i), Scope: "all", Created: now.Add(-time.Duration(i/7) * time.Minute)}
		if i == 249 {
			e.Created = time.Time{} // of before entries had a time
		}
		all = append(all, e)
	}
	listed(t, s, o, all...)
	var got []string
	q := paging.Query{Limit: 17}
	for n := 0; ; n++ {
		p, err := paging.List(t.Context(), o, q)
		if err != nil || p.Total != 250+min(n, 1) || len(p.Entries) > 17 {
			t.Fatalf("page %d: %d of %d, %v", n, len(p.Entries), p.Total, err)
		}
		got = append(got, strings.Fields(values(p))...)
		if n == 0 { // a younger one is on no later page, and nothing is shifted by it
			if err := s.PutListEntry(t.Context(), blocklist.Entry{Value: "198.51.100.1", Scope: "all", Created: now.Add(time.Hour)}); err != nil {
				t.Fatal(err)
			}
		}
		if q.After = p.Next; p.Next == "" {
			break
		}
	}
	slices.Sort(got)
	if want := len(slices.Compact(slices.Clone(got))); len(got) != 250 || want != 250 {
		t.Errorf("%d entries, %d of them different", len(got), want)
	}
	if p, err := paging.List(t.Context(), o, paging.Query{}); err != nil || len(p.Entries) != 100 || p.Entries[0].Value != "198.51.100.1" {
		t.Errorf("what was added elsewhere: %d, %v", len(p.Entries), err)
	}
}

func TestQueries(t *testing.T) {
	s := newMemory()
	now := time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)
	o := blocklist.NewOwn(blocklist.OwnParts{Store: s, Now: func() time.Time { return now }})
	at := func(n int) time.Time { return now.Add(-time.Duration(n) * time.Minute) }
	listed(t, s, o,
		blocklist.Entry{Value: "192.0.2.7", Scope: "all", Reason: "Größe", Author: "case E-1: olga", Created: at(1)},
		blocklist.Entry{Value: "192.0.2.0/24", Scope: "all", Author: "list cn: job", Created: at(2)},
		blocklist.Entry{Value: "crook.example", Scope: "domain:example.com", Author: "Olga", Created: at(3), Expires: at(1)},
		blocklist.Entry{Value: "a@sub.crook.example", Scope: "recipient:ada@example.com", Author: "olga", Created: at(4)},
		blocklist.Entry{Allow: true, Value: "friend.example", Scope: "recipient:bob@example.org", Author: "case of beer", Created: at(5)},
		blocklist.Entry{Value: "2001:db8::/32", Scope: "domain:example.org", Created: at(6)},
	)
	for _, c := range []struct {
		q    paging.Query
		want string
	}{
		{paging.Query{}, "192.0.2.7 192.0.2.0/24 crook.example a@sub.crook.example friend.example 2001:db8::/32"},
		{paging.Query{Live: true}, "192.0.2.7 192.0.2.0/24 a@sub.crook.example friend.example 2001:db8::/32"},
		{paging.Query{Kind: "allow"}, "friend.example"},
		{paging.Query{Kind: "block", Text: "OLGA"}, "192.0.2.7 crook.example a@sub.crook.example"},
		{paging.Query{Text: "gröSSE"}, ""}, {paging.Query{Text: "GRÖßE"}, "192.0.2.7"}, {paging.Query{Text: "recipient:"}, "a@sub.crook.example friend.example"},
		{paging.Query{Origin: "case"}, "192.0.2.7"}, {paging.Query{Origin: "list"}, "192.0.2.0/24"}, {paging.Query{Origin: "hand"}, "crook.example a@sub.crook.example friend.example 2001:db8::/32"},
		{paging.Query{About: []string{"192.0.2.7"}}, "192.0.2.7 192.0.2.0/24"}, {paging.Query{About: []string{"192.0.2.0/24"}}, "192.0.2.0/24"}, {paging.Query{About: []string{"2001:db8::1"}}, "2001:db8::/32"},
		{paging.Query{About: []string{"A@Sub.crook.example", "::ffff:192.0.2.7", "192.0.2.9", ""}}, "192.0.2.7 192.0.2.0/24 crook.example a@sub.crook.example"},
		{paging.Query{About: []string{"nobody.example", "%%"}}, ""}, {paging.Query{About: []string{"b@crook.example"}, Live: true}, ""},
		{paging.Query{Within: []string{"example.com"}}, "crook.example a@sub.crook.example"}, {paging.Query{Within: []string{"bob@example.org"}}, "friend.example"}, {paging.Query{Within: []string{"ample.com"}}, ""},
	} {
		p, err := paging.List(t.Context(), o, c.q)
		if err != nil || values(p) != c.want || p.Total != len(strings.Fields(c.want)) || p.Next != "" {
			t.Errorf("%+v: %q of %d, %v; want %q", c.q, values(p), p.Total, err, c.want)
		}
	}
	for _, q := range []paging.Query{{Kind: "x"}, {Origin: "x"}, {After: "x"}, {After: "1.x block a all"}, {After: "1.2"}} {
		if _, err := paging.List(t.Context(), o, q); !errors.Is(err, paging.ErrQuery) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	s.fails = errors.New("disk")
	if _, err := paging.List(t.Context(), o, paging.Query{}); err == nil || errors.Is(err, paging.ErrQuery) {
		t.Errorf("a store that fails: %v", err)
	}
}

// BenchmarkList has pages of 100,000 entries asked for.
func BenchmarkList(b *testing.B) {
	s := newMemory()
	now := time.Now()
	for i := range 100_000 {
		e := blocklist.Entry{Value: fmt.Sprintf("h%d.example", i), Scope: "all", Reason: "seen", Author: "olga", Created: now.Add(-time.Duration(i) * time.Second)}
		s.entries[e.Key()] = e
	}
	o := blocklist.NewOwn(blocklist.OwnParts{Store: s})
	if err := o.Load(context.Background()); err != nil {
		b.Fatal(err)
	}
	for name, q := range map[string]paging.Query{"first": {}, "search": {Text: "h99999."}, "about": {About: []string{"a@x.h77.example"}}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := paging.List(b.Context(), o, q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
