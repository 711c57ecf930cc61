// Package campaigntest holds the suite of what remembers campaigns.
package campaigntest

import (
	"context"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"postern/filter/campaign"
	"postern/filter/campaign/simhash"
)

// Store is a store whose copies can be waited for.
type Store interface {
	campaign.Store
	Sync(ctx context.Context) error
}

// Noon is the time the suite begins at.
func Noon() time.Time { return time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC) }

// Copy is the nth copy of a letter, from a source of its own.
func Copy(p simhash.Print, n int) campaign.Copy {
	return campaign.Copy{
		Print: p, ID: fmt.Sprintf("id%04d", n), At: Noon().Add(time.Duration(n) * time.Second), From: "ann@sender.example", IP: "192.0.2.1",
		Source: fmt.Sprintf("192.0.%d.0/24", n), Subject: "Subject", To: []string{"a@example.com"}, State: campaign.Delivered,
	}
}

// Add adds copies and waits for them.
func Add(t testing.TB, s Store, copies ...campaign.Copy) {
	t.Helper()
	for _, c := range copies {
		if err := s.Add(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Run runs the suite; open makes an empty store.
func Run(t *testing.T, open func(testing.TB) Store) {
	t.Run("near", func(t *testing.T) { near(t, open(t)) })
	t.Run("bounds", func(t *testing.T) { bounds(t, open(t)) })
	t.Run("copies", func(t *testing.T) { copies(t, open(t)) })
	t.Run("model", func(t *testing.T) { model(t, open) })
	t.Run("side by side", func(t *testing.T) { Side(t, open(t)) })
}

const letter simhash.Print = 0x0123456789abcdef

func ask(t testing.TB, s Store, p simhash.Print, bands []simhash.Band) []campaign.Group {
	t.Helper()
	out, err := s.Near(t.Context(), p, bands)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// near finds prints by a shared part, and by one that nearly is one.
func near(t *testing.T, s Store) {
	if got := ask(t, s, letter, letter.Wide()); len(got) != 0 {
		t.Errorf("an empty store has %v", got)
	}
	three, each, far := letter^0b111, letter^0x0001000100010001, letter^0x3ff // 3 bits, one in each part, 10 bits
	Add(t, s, Copy(letter, 1), Copy(three, 2), Copy(each, 3), Copy(far, 4), Copy(^letter, 5))
	prints := func(all []campaign.Group) (out []simhash.Print) {
		for _, g := range all {
			out = append(out, g.Print)
		}
		return out
	}
	if got := prints(ask(t, s, letter, letter.Bands())); !slices.Equal(got, []simhash.Print{letter, three}) {
		t.Errorf("by its parts: %v", got)
	}
	if got := prints(ask(t, s, letter, letter.Wide())); !slices.Equal(got, []simhash.Print{letter, three, each}) {
		t.Errorf("by parts that differ in a bit: %v", got)
	}
}

// bounds counts beyond what is remembered one by one.
func bounds(t *testing.T, s Store) {
	const n = campaign.MaxCopies + 20
	for i := range n {
		c := Copy(letter, i)
		c.Source = fmt.Sprint("s", i%(campaign.MaxSources+6))
		if i%2 == 0 {
			c.State = "held"
		}
		Add(t, s, c)
	}
	got := ask(t, s, letter, letter.Bands())
	if len(got) != 1 || got[0].Messages != n || got[0].Delivered != n/2 || len(got[0].Sources) != campaign.MaxSources || !got[0].First.Equal(Noon()) || !got[0].Last.Equal(Noon().Add((n-1)*time.Second)) {
		t.Errorf("%+v", got)
	}
	last := campaign.Hash(fmt.Sprint("s", (n-1)%(campaign.MaxSources+6)))
	if len(got) == 1 && !slices.ContainsFunc(got[0].Sources, func(s campaign.Source) bool { return s.Hash == last }) {
		t.Error("the latest source is not among those remembered")
	}
	all, err := s.Copies(t.Context(), []simhash.Print{letter}, 1000)
	if err != nil || len(all) != campaign.MaxCopies || all[0].ID != fmt.Sprintf("id%04d", n-1) {
		t.Errorf("%d copies, %v", len(all), err)
	}
}

// copies come back as they were put, the latest first; so do groups.
func copies(t *testing.T, s Store) {
	a, b := Copy(letter, 1), Copy(^letter, 2)
	b.More, b.Author, b.State = 7, "author.example", "rejected"
	Add(t, s, a, b)
	got, err := s.Copies(t.Context(), []simhash.Print{letter, ^letter, 77}, 10)
	if diff := cmp.Diff([]campaign.Copy{b, a}, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if got, err := s.Copies(t.Context(), []simhash.Print{letter, ^letter}, 1); err != nil || len(got) != 1 || got[0].ID != b.ID {
		t.Errorf("one copy: %v, %v", got, err)
	}
	if got, err := s.Copies(t.Context(), nil, 10); err != nil || len(got) != 0 {
		t.Errorf("of nothing: %v, %v", got, err)
	}
	for limit, want := range map[int][]simhash.Print{10: {^letter, letter}, 1: {^letter}} {
		all, err := s.Recent(t.Context(), Noon(), limit)
		var prints []simhash.Print
		for _, g := range all {
			prints = append(prints, g.Print)
		}
		if err != nil || !slices.Equal(prints, want) {
			t.Errorf("at most %d: %v, %v", limit, prints, err)
		}
	}
	if all, err := s.Recent(t.Context(), Noon().Add(2*time.Second), 10); err != nil || len(all) != 1 || all[0].Print != ^letter {
		t.Errorf("since the second: %v, %v", all, err)
	}
	if n, _, err := s.Size(t.Context()); err != nil || n < 1 {
		t.Errorf("%d prints, %v", n, err)
	}
}

// model adds random copies and holds what is near against what was put in.
func model(t *testing.T, open func(testing.TB) Store) {
	s := open(t)
	base := simhash.Print(0)
	rapid.Check(t, func(rt *rapid.T) {
		base = base*6364136223846793005 + 1442695040888963407 // a region of its own for each run
		want := map[simhash.Print]int{}
		for n := range rapid.IntRange(1, 12).Draw(rt, "copies") {
			p := base
			for range rapid.IntRange(0, 9).Draw(rt, "bits") {
				p ^= 1 << rapid.IntRange(0, 63).Draw(rt, "bit")
			}
			want[p]++
			Add(t, s, Copy(p, n))
		}
		got := map[simhash.Print]int{}
		for _, g := range ask(t, s, base, base.Wide()) {
			got[g.Print] = g.Messages
		}
		for p, n := range got {
			if want[p] != n || simhash.Apart(p, base) > simhash.Near {
				rt.Errorf("%s, %d bits away: %d messages, put in %d", p, simhash.Apart(p, base), n, want[p])
			}
		}
		for p, n := range want {
			if bits.OnesCount64(uint64(p^base)) <= 7 && got[p] != n {
				rt.Errorf("%s, %d bits away: %d messages, put in %d", p, simhash.Apart(p, base), got[p], n)
			}
		}
	})
}

// Side adds on several sides at once, on one node or on several: nothing is counted twice or lost.
func Side(t *testing.T, stores ...Store) {
	const writers, each = 4, 50
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			s := stores[w%len(stores)]
			r := rand.New(rand.NewPCG(1, uint64(w)))
			for n := range each {
				c := Copy(letter^1<<r.IntN(4), w*each+n)
				if err := s.Add(t.Context(), c); err != nil {
					t.Error(err)
				}
				if n%10 == 0 {
					if _, err := s.Copies(t.Context(), []simhash.Print{letter ^ 1}, 5); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	for _, s := range stores {
		if err := s.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range stores {
		n := 0
		for _, g := range ask(t, s, letter, letter.Bands()) {
			n += g.Messages
		}
		if n != writers*each {
			t.Errorf("%d of %d copies are counted", n, writers*each)
		}
	}
}
