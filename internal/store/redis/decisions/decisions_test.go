package decisions_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/abuse"
	"postern/blocklist"
	"postern/internal/mailtest/redisd"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/decisions"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/redis/sealed"
	"postern/internal/store/storetest/desktest"
)

// node is one node of the tests.
type node struct {
	*decisions.Decisions
	t    *testing.T
	name string
	file string
	addr string // or several of a cluster
	now  func() time.Time
	ring *sealed.Ring

	mu     sync.Mutex
	events []string
	told   []string // kinds that were published
	bus    func(kind string)
}

func newNode(t *testing.T, name, addr string) *node {
	return &node{t: t, name: name, file: filepath.Join(t.TempDir(), "decisions"), addr: addr, now: time.Now, ring: redistest.Ring(t)}
}

// start opens the node, also again after stop.
func (n *node) start() *node {
	n.t.Helper()
	log := slog.New(slog.NewTextHandler(n.t.Output(), nil)).With("node", n.name)
	c := redistest.Connect(n.t, conn.Options{Addrs: strings.Fields(n.addr), User: redistest.User, Password: redisd.Password, Log: log})
	d, err := decisions.Open(n.t.Context(), decisions.Options{File: n.file, Conn: c, Ring: n.ring, Node: n.name, Now: n.now, Log: log, Publish: func(kind string) {
		n.mu.Lock()
		n.told = append(n.told, kind)
		n.mu.Unlock()
		if n.bus != nil {
			n.bus(kind)
		}
	}, Event: func(key, text string, over bool) {
		n.mu.Lock()
		defer n.mu.Unlock()
		if over {
			key = "over " + key
		}
		n.events = append(n.events, key)
	}})
	if err != nil {
		n.t.Fatal(err)
	}
	n.Decisions = d
	n.t.Cleanup(func() { d.Close() })
	return n
}

func (n *node) restart() *node {
	n.t.Helper()
	n.Close()
	return n.start()
}

// sync waits until the node and the store agree; after an outage the connection rests a while.
func (n *node) sync() {
	n.t.Helper()
	var err error
	defer func() {
		if n.t.Failed() {
			n.t.Log(err, n.Dirty())
		}
	}()
	n.eventually("in step with the store", func() bool { err = n.Sync(n.t.Context()); return err == nil && n.Dirty() == 0 })
}

func (n *node) eventually(what string, f func() bool) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 30*time.Second)
	defer cancel()
	for !f() {
		select {
		case <-ctx.Done():
			n.t.Fatalf("%s is not %s", n.name, what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (n *node) set(name string, state abuse.State) abuse.Account {
	n.t.Helper()
	old, err := n.Accounts().Account(n.t.Context(), name)
	if err != nil && !errors.Is(err, abuse.ErrNotFound) {
		n.t.Fatal(err)
	}
	a := abuse.Account{Name: name, State: state, Reason: "by " + n.name, By: "me", At: time.Unix(1, 0).UTC(), Version: old.Version + 1}
	if err := n.Accounts().PutAccount(n.t.Context(), a); err != nil {
		n.t.Fatal(err)
	}
	return a
}

func (n *node) state(name string) abuse.State {
	a, err := n.Accounts().Account(n.t.Context(), name)
	if err != nil {
		return ""
	}
	return a.State
}

func (n *node) wantState(name string, want abuse.State) {
	n.t.Helper()
	if got := n.state(name); got != want {
		n.t.Errorf("%s: %s is %q, want %q", n.name, name, got, want)
	}
}

func block(value string) blocklist.Entry {
	return blocklist.Entry{Value: value, Scope: "all", Reason: "spam", Author: "me", Created: time.Unix(1, 0).UTC()}
}

func (n *node) put(e blocklist.Entry) {
	n.t.Helper()
	if err := n.Lists().PutListEntry(n.t.Context(), e); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) has(e blocklist.Entry) bool {
	n.t.Helper()
	all, _, err := n.Lists().ListEntries(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	for _, have := range all {
		if have.Key() == e.Key() {
			return true
		}
	}
	return false
}

func (n *node) wantHas(e blocklist.Entry, want bool) {
	n.t.Helper()
	if n.has(e) != want {
		n.t.Errorf("%s: %q there: %v", n.name, e.Key(), !want)
	}
}

// admin is somebody who may do everything to the store.
func admin(t *testing.T, s *redisd.Server) *redis.Client {
	c := s.Client()
	t.Cleanup(func() { c.Close() })
	return c
}

func flush(t *testing.T, c *redis.Client) {
	t.Helper()
	if err := c.FlushAll(context.WithoutCancel(t.Context())).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestSuites(t *testing.T) {
	s := redistest.Server(t)
	c := admin(t, s)
	for name, addr := range map[string]string{"redis": s.Addr, "away": "127.0.0.1:1"} {
		t.Run(name, func(t *testing.T) {
			flush(t, c)
			desktest.Lists(t, newNode(t, "a", addr).start().Lists())
			desktest.Accounts(t, newNode(t, "b", addr).start().Accounts())
		})
	}
	t.Run("miniredis", func(t *testing.T) {
		for i, f := range []func(d *decisions.Decisions){
			func(d *decisions.Decisions) { desktest.Lists(t, d.Lists()) },
			func(d *decisions.Decisions) { desktest.Accounts(t, d.Accounts()) },
		} {
			d, err := decisions.Open(t.Context(), decisions.Options{File: filepath.Join(t.TempDir(), fmt.Sprint(i)), Conn: redistest.Mini(t), Ring: redistest.Ring(t), Node: "n"})
			if err != nil {
				t.Fatal(err)
			}
			f(d)
			if err := d.Sync(t.Context()); err != nil || d.Dirty() != 0 {
				t.Errorf("Sync: %v, %d left", err, d.Dirty())
			}
			d.Close()
		}
	})
}

// TestTwoNodes: what one decides counts on the other, told by the bus or found by asking.
func TestTwoNodes(t *testing.T) {
	s := redistest.Server(t)
	for _, told := range []bool{true, false} {
		t.Run(fmt.Sprint("bus ", told), func(t *testing.T) {
			flush(t, admin(t, s))
			a, b := newNode(t, "a", s.Addr).start(), newNode(t, "b", s.Addr).start()
			if told {
				a.bus, b.bus = func(string) { b.Changed() }, func(string) { a.Changed() }
			}
			ctx, cancel := context.WithCancel(t.Context())
			var loops sync.WaitGroup
			defer loops.Wait()
			defer cancel()
			for _, n := range []*node{a, b} {
				for _, run := range n.Loops() {
					loops.Go(func() { _ = run(ctx) })
				}
			}
			before, _ := b.Accounts().AccountRevision(ctx)
			listBefore, _ := b.Lists().ListRevision(ctx)
			a.set("x@example.com", abuse.Suspended)
			a.put(block("192.0.2.1"))
			b.eventually("told of the suspension", func() bool { return b.state("x@example.com") == abuse.Suspended })
			b.eventually("told of the entry", func() bool { return b.has(block("192.0.2.1")) })
			if after, _ := b.Accounts().AccountRevision(ctx); after <= before {
				t.Error("the revision of accounts did not grow")
			}
			if after, _ := b.Lists().ListRevision(ctx); after <= listBefore {
				t.Error("the revision of lists did not grow")
			}
			b.set("x@example.com", abuse.Active)
			if err := b.Lists().RemoveListEntry(ctx, block("192.0.2.1").Key()); err != nil {
				t.Error(err)
			}
			a.eventually("told of both", func() bool { return a.state("x@example.com") == abuse.Active && !a.has(block("192.0.2.1")) })
			a.mu.Lock()
			defer a.mu.Unlock()
			if len(a.told) != 2 || a.told[0] != decisions.KindAccount || a.told[1] != decisions.KindList {
				t.Errorf("published %v", a.told)
			}
		})
	}
}

// TestConflict: of two who change one account at once one is told, and nothing of its write
// stays, neither in memory nor in its file.
func TestConflict(t *testing.T) {
	s := redistest.Server(t)
	a, b := newNode(t, "a", s.Addr).start(), newNode(t, "b", s.Addr).start()
	a.set("x@example.com", abuse.Suspended)
	err := b.Accounts().PutAccount(t.Context(), abuse.Account{Name: "x@example.com", State: abuse.Active, Version: 1})
	if !errors.Is(err, abuse.ErrConflict) {
		t.Errorf("the same version twice: %v", err)
	}
	b.wantState("x@example.com", abuse.Suspended) // it learned of it
	if !maps.Equal(a.Texts(), b.Texts()) {
		t.Error("the nodes differ")
	}
	b.addr = "127.0.0.1:1" // from its file alone
	b.restart().wantState("x@example.com", abuse.Suspended)
}

// TestListEntryOfTwo: of two writers of one entry the last one stands, everywhere.
func TestListEntryOfTwo(t *testing.T) {
	s := redistest.Server(t)
	a, b := newNode(t, "a", s.Addr).start(), newNode(t, "b", s.Addr).start()
	var wg sync.WaitGroup
	for i := range 20 {
		for _, n := range []*node{a, b} {
			wg.Go(func() {
				e := block("192.0.2.1")
				e.Reason = fmt.Sprint(n.name, i)
				for n.Lists().PutListEntry(t.Context(), e) != nil {
				}
			})
		}
	}
	wg.Wait()
	last := block("192.0.2.1")
	last.Reason = "last"
	a.put(last)
	a.sync()
	b.sync()
	for _, n := range []*node{a, b} {
		all, _, _ := n.Lists().ListEntries(t.Context())
		if len(all) != 1 || all[0].Reason != "last" {
			t.Errorf("%s has %v", n.name, all)
		}
	}
	if !maps.Equal(a.Texts(), b.Texts()) {
		t.Error("the nodes differ")
	}
}

// TestWithoutStore: a node starts, rules and decides without the store, over restarts, and
// gives the store everything when it comes.
func TestWithoutStore(t *testing.T) {
	s := redistest.Server(t)
	s.Kill()
	a, b := newNode(t, "a", s.Addr).start(), newNode(t, "b", s.Addr).start()
	a.set("x@example.com", abuse.Suspended)
	a.put(block("192.0.2.1"))
	a.put(block("192.0.2.2"))
	if err := a.Lists().RemoveListEntry(t.Context(), block("192.0.2.2").Key()); err != nil {
		t.Fatal(err)
	}
	a.restart()
	a.wantState("x@example.com", abuse.Suspended)
	a.wantHas(block("192.0.2.1"), true)
	a.wantHas(block("192.0.2.2"), false)
	b.put(block("192.0.2.3"))
	s.Run(t)
	a.sync()
	b.sync()
	b.wantState("x@example.com", abuse.Suspended)
	b.wantHas(block("192.0.2.1"), true)
	a.sync()
	a.wantHas(block("192.0.2.3"), true)
	if !maps.Equal(a.Texts(), b.Texts()) {
		t.Error("the nodes differ")
	}
	c := newNode(t, "new", s.Addr).start() // knows all when Open returns
	c.wantState("x@example.com", abuse.Suspended)
	if !maps.Equal(a.Texts(), c.Texts()) {
		t.Error("the new node differs")
	}
}

// TestHungStore: a decision is not held up by a store that is silent, and counts.
func TestHungStore(t *testing.T) {
	s := redistest.Server(t)
	a, b := newNode(t, "a", s.Addr).start(), newNode(t, "b", s.Addr).start()
	a.set("x@example.com", abuse.Active)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	a.set("x@example.com", abuse.Suspended) // ends although nobody answers
	a.wantState("x@example.com", abuse.Suspended)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Lists().PutListEntry(ctx, block("192.0.2.9")); err == nil || a.has(block("192.0.2.9")) {
		t.Errorf("somebody who gave up: %v", err)
	}
	a.restart()
	a.wantState("x@example.com", abuse.Suspended)
	if err := s.Continue(); err != nil {
		t.Fatal(err)
	}
	a.sync()
	b.sync()
	b.wantState("x@example.com", abuse.Suspended)
}

// TestFlush: an emptied store is filled by those who know, not believed.
func TestFlush(t *testing.T) {
	s := redistest.Server(t)
	c := admin(t, s)
	a, b := newNode(t, "a", s.Addr).start(), newNode(t, "b", s.Addr).start()
	a.set("x@example.com", abuse.Suspended)
	b.set("y@example.com", abuse.Suspended)
	a.put(block("192.0.2.1"))
	a.put(block("192.0.2.2"))
	if err := a.Lists().RemoveListEntry(t.Context(), block("192.0.2.2").Key()); err != nil {
		t.Fatal(err)
	}
	a.sync()
	b.sync()
	want := a.Texts()
	for _, how := range []string{"seen", "unseen", "other writes first", "restarted", "key removed"} {
		t.Run(how, func(t *testing.T) {
			if how == "key removed" {
				if err := c.Del(t.Context(), "postern:{dec}:r").Err(); err != nil {
					t.Fatal(err)
				}
			} else {
				flush(t, c)
			}
			switch how {
			case "unseen": // a new node comes first and starts a new log
				first := newNode(t, "c", s.Addr).start()
				for i := range 40 {
					first.put(block(fmt.Sprint("198.51.100.", i)))
				}
				for i := range 40 {
					if err := first.Lists().RemoveListEntry(t.Context(), block(fmt.Sprint("198.51.100.", i)).Key()); err != nil {
						t.Fatal(err)
					}
				}
				a.sync()
				first.sync()
				first.wantState("x@example.com", abuse.Suspended)
				first.wantHas(block("192.0.2.2"), false)
				want = a.Texts()
			case "other writes first":
				b.set("y@example.com", abuse.Suspended)
				b.sync()
				a.sync()
				want = a.Texts()
			case "restarted":
				a.restart()
				b.restart()
			case "key removed":
				a.restart()
			}
			a.sync()
			b.sync()
			a.sync()
			for _, n := range []*node{a, b} {
				if !maps.Equal(n.Texts(), want) {
					t.Errorf("%s knows something else", n.name)
				}
			}
			if n, err := c.HLen(t.Context(), "postern:{dec}:r").Result(); err != nil || int(n) != len(want) {
				t.Errorf("%d records in the store, %v; want %d", n, err, len(want))
			}
		})
	}
}

// TestOldDump: a store that was set back is brought up to date, whether or not its log shows it.
func TestOldDump(t *testing.T) {
	s := redistest.Server(t)
	c := admin(t, s)
	ctx := t.Context()
	a, b := newNode(t, "a", s.Addr).start(), newNode(t, "b", s.Addr).start()
	a.set("x@example.com", abuse.Active)
	a.put(block("192.0.2.1"))
	a.put(block("192.0.2.2"))
	a.sync()
	b.sync()
	keys := []string{"postern:{dec}:r", "postern:{dec}:meta", "postern:{dec}:log", "postern:{dec}:marks"}
	dump := map[string]string{}
	for _, key := range keys {
		text, err := c.Dump(ctx, key).Result()
		if err != nil {
			t.Fatal(err)
		}
		dump[key] = text
	}
	a.set("x@example.com", abuse.Suspended)
	a.put(block("192.0.2.3"))
	if err := a.Lists().RemoveListEntry(ctx, block("192.0.2.1").Key()); err != nil {
		t.Fatal(err)
	}
	restore := func(keys ...string) {
		for _, key := range keys {
			if err := c.RestoreReplace(ctx, key, 0, dump[key]).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(what string, n *node) {
		t.Helper()
		if n.state("x@example.com") != abuse.Suspended || n.has(block("192.0.2.1")) || !n.has(block("192.0.2.3")) {
			t.Errorf("%s: %s lost something", what, n.name)
		}
	}
	restore(keys...)
	b.sync() // knows no more than the dump and writes on from there, past what a has seen
	for i := range 10 {
		b.put(block(fmt.Sprint("198.51.100.", i)))
	}
	check("the log is old", a)
	a.sync()
	b.sync()
	check("the log is old, after", a)
	check("the log is old, after", b)

	restore(keys[0]) // only the records: nothing tells but the comparison of all
	a.SweepNow()
	a.sync()
	b.SweepNow()
	b.sync()
	check("the records are old", newNode(t, "c", s.Addr).start())
}
