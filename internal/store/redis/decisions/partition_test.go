package decisions_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"pgregory.net/rapid"

	"postern/abuse"
	"postern/blocklist"
	"postern/internal/mailtest/redisd"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/decisions"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/redis/sealed"
)

type tb interface {
	rapid.TB
	Context() context.Context
}

// island is a node that can be cut off.
type island struct {
	*decisions.Decisions
	o    decisions.Options
	away bool
}

func (n *island) open(t tb) {
	t.Helper()
	d, err := decisions.Open(t.Context(), n.o)
	if err != nil {
		t.Fatal(err)
	}
	n.Decisions = d
}

// islands are nodes on one store, with one clock that moves with every question.
func islands(t tb, c *conn.Conn, ring *sealed.Ring, dir string, names ...string) []*island {
	clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := func() time.Time { clock = clock.Add(time.Millisecond); return clock }
	var all []*island
	for _, name := range names {
		n := &island{o: decisions.Options{File: filepath.Join(dir, name), Conn: c, Ring: ring, Node: name, Now: now}}
		n.o.Cut(func() error {
			if n.away {
				return fmt.Errorf("cut off: %w", conn.ErrAway)
			}
			return nil
		})
		n.open(t)
		all = append(all, n)
	}
	return all
}

func (n *island) change(t tb, name string, to abuse.State) error {
	old, err := n.Accounts().Account(t.Context(), name)
	if err != nil && !errors.Is(err, abuse.ErrNotFound) {
		t.Fatal(err)
	}
	return n.Accounts().PutAccount(t.Context(), abuse.Account{Name: name, State: to, Version: old.Version + 1})
}

func must(t tb, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// heal ends the partition and lets every node meet the store twice: once to give, once to take.
func heal(t tb, all []*island) {
	t.Helper()
	for range 2 {
		for _, n := range all {
			n.away = false
			must(t, n.Sync(t.Context()))
		}
	}
	for _, n := range all {
		if n.Dirty() != 0 {
			t.Errorf("%s still owes the store %d records", n.o.Node, n.Dirty())
		}
		if !maps.Equal(n.Texts(), all[0].Texts()) {
			t.Errorf("%s and %s differ:\n%v\n%v", n.o.Node, all[0].o.Node, n.Texts(), all[0].Texts())
		}
	}
}

// TestPartition: both sides decide while they cannot see each other; when they can, all come to
// the same, and no suspension is lost to a decision that was made before it.
func TestPartition(t *testing.T) {
	s := redistest.Server(t)
	all := islands(t, redistest.Empty(t, s), redistest.Ring(t), t.TempDir(), "a", "b", "c")
	a, b, c := all[0], all[1], all[2]
	for _, name := range []string{"both", "a only", "b twice", "restored"} {
		must(t, a.change(t, name, abuse.Active))
	}
	must(t, a.Lists().PutListEntry(t.Context(), block("192.0.2.1")))
	heal(t, all)
	a.away = true
	must(t, b.change(t, "both", abuse.Active))
	must(t, a.change(t, "both", abuse.Suspended)) // the later word at the same version
	must(t, a.change(t, "a only", abuse.Suspended))
	must(t, a.change(t, "b twice", abuse.Active))
	must(t, b.change(t, "b twice", abuse.Active))
	must(t, b.change(t, "b twice", abuse.Suspended))
	must(t, a.change(t, "restored", abuse.Suspended))
	must(t, a.change(t, "restored", abuse.Active))
	must(t, a.change(t, "new", abuse.Suspended))
	must(t, b.Lists().RemoveListEntry(t.Context(), block("192.0.2.1").Key()))
	must(t, a.Lists().PutListEntry(t.Context(), block("192.0.2.2")))
	must(t, a.Close())
	a.open(t)
	heal(t, all)
	for name, want := range map[string]abuse.State{"both": abuse.Suspended, "a only": abuse.Suspended, "b twice": abuse.Suspended, "restored": abuse.Active, "new": abuse.Suspended} {
		for _, n := range all {
			if got, err := n.Accounts().Account(t.Context(), name); err != nil || got.State != want {
				t.Errorf("%s: %q is %q, %v; want %q", n.o.Node, name, got.State, err, want)
			}
		}
	}
	entries, _, err := c.Lists().ListEntries(t.Context())
	if err != nil || len(entries) != 1 || entries[0].Value != "192.0.2.2" {
		t.Errorf("entries: %v, %v", entries, err)
	}
}

// TestModel: three nodes are cut off, restarted, lose their files or the store at random. A
// suspension that nobody answered with a later decision is known to all in the end.
func TestModel(t *testing.T) {
	mini := miniredis.RunT(t)
	c := redistest.Connect(t, conn.Options{Addrs: []string{mini.Addr()}})
	ring := redistest.Ring(t)
	dir := t.TempDir()
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		mini.FlushAll()
		all := islands(rt, c, ring, filepath.Join(dir), fmt.Sprint(run, "-a"), fmt.Sprint(run, "-b"), fmt.Sprint(run, "-c"))
		defer func() {
			for _, n := range all {
				n.Close()
			}
		}()
		pick := func(rt *rapid.T) *island { return rapid.SampledFrom(all).Draw(rt, "node") }
		names := rapid.SampledFrom([]string{"x", "y"})
		best := map[string]abuse.Account{} // the highest version anybody was promised, and the last of it
		entries := rapid.SampledFrom([]blocklist.Entry{block("192.0.2.1"), block("192.0.2.2"), {Allow: true, Value: "192.0.2.1", Scope: "all"}})
		rt.Repeat(map[string]func(*rapid.T){
			"change": func(rt *rapid.T) {
				n, name := pick(rt), names.Draw(rt, "account")
				to := rapid.SampledFrom([]abuse.State{abuse.Active, abuse.Suspended}).Draw(rt, "state")
				err := n.change(rt, name, to)
				if err != nil && !errors.Is(err, abuse.ErrConflict) {
					rt.Fatal(err)
				}
				if have, _ := n.Accounts().Account(rt.Context(), name); err == nil && have.Version >= best[name].Version {
					best[name] = have
				}
			},
			"put": func(rt *rapid.T) { must(rt, pick(rt).Lists().PutListEntry(rt.Context(), entries.Draw(rt, "entry"))) },
			"remove": func(rt *rapid.T) {
				err := pick(rt).Lists().RemoveListEntry(rt.Context(), entries.Draw(rt, "entry").Key())
				if err != nil && !errors.Is(err, blocklist.ErrNotFound) {
					rt.Fatal(err)
				}
			},
			"sync": func(rt *rapid.T) {
				n := pick(rt)
				if err := n.Sync(rt.Context()); err != nil && !n.away {
					rt.Fatal(err)
				}
			},
			"cut":   func(rt *rapid.T) { pick(rt).away = true },
			"join":  func(rt *rapid.T) { pick(rt).away = false },
			"flush": func(*rapid.T) { mini.FlushAll() },
			"restart": func(rt *rapid.T) {
				n := pick(rt)
				must(rt, n.Close())
				n.open(rt)
			},
			"heal": func(rt *rapid.T) { heal(rt, all) },
		})
		heal(rt, all)
		for name, want := range best {
			if got, err := all[0].Accounts().Account(rt.Context(), name); err != nil || !reflect.DeepEqual(got, want) {
				rt.Errorf("%s is %+v, %v; promised was %+v", name, got, err, want)
			}
		}
	})
}

// TestLongAway: removals are remembered for so long and then forgotten everywhere; a node that
// was off for longer brings no entries back, but what it knows of accounts.
func TestLongAway(t *testing.T) {
	s := redistest.Server(t)
	store := redistest.Empty(t, s)
	all := islands(t, store, redistest.Ring(t), t.TempDir(), "a", "b")
	a, b := all[0], all[1]
	start := a.o.Now()
	clock := start
	for _, n := range all {
		must(t, n.Close())
		n.o.Now = func() time.Time { clock = clock.Add(time.Millisecond); return clock }
		n.open(t)
	}
	for i := range 3 {
		must(t, a.Lists().PutListEntry(t.Context(), block(fmt.Sprint("192.0.2.", i))))
	}
	must(t, a.change(t, "x", abuse.Suspended))
	heal(t, all)
	must(t, b.Close()) // and off it is
	must(t, a.Lists().RemoveListEntry(t.Context(), block("192.0.2.1").Key()))
	clock = start.Add(decisions.Keep - time.Hour)
	must(t, a.Sync(t.Context()))
	if n := len(a.Texts()); n != 4 {
		t.Errorf("%d records: the removal was forgotten too soon", n)
	}
	clock = start.Add(decisions.Keep + time.Hour)
	must(t, a.Sync(t.Context()))
	if n := len(a.Texts()); n != 3 {
		t.Errorf("%d records: the removal was not forgotten", n)
	}
	if n, err := redisdLen(t, s); err != nil || n != 3 {
		t.Errorf("%d records in the store, %v", n, err)
	}
	b.away = true
	b.open(t)
	must(t, b.Lists().PutListEntry(t.Context(), block("198.51.100.1"))) // written after it was away
	heal(t, all)
	entries, _, err := b.Lists().ListEntries(t.Context())
	if err != nil || len(entries) != 3 {
		t.Errorf("entries: %v, %v", entries, err)
	}
	if acc, err := b.Accounts().Account(t.Context(), "x"); err != nil || acc.State != abuse.Suspended {
		t.Errorf("x: %+v, %v", acc, err)
	}
	// With a store that knows nothing, what an old node has is better than nothing.
	flush(t, admin(t, s))
	clock = clock.Add(2 * decisions.Keep)
	must(t, a.Close())
	a.open(t)
	heal(t, all)
	if len(a.Texts()) != 4 {
		t.Errorf("%d records after a flush", len(a.Texts()))
	}
}

func redisdLen(t *testing.T, s *redisd.Server) (int64, error) {
	return admin(t, s).HLen(t.Context(), "postern:{dec}:r").Result()
}
