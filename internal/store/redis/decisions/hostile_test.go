package decisions_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"postern/abuse"
	"postern/internal/store/redis/decisions"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/redis/sealed"
)

const hash = "postern:{dec}:r"

// TestHostileStore: whoever rules the store can neither stop nor free an account, nor block or
// allow anyone, and what he spoils is said once and put right.
func TestHostileStore(t *testing.T) {
	s := redistest.Server(t)
	c := admin(t, s)
	ctx := t.Context()
	a, b := newNode(t, "a", s.Addr).start(), newNode(t, "b", s.Addr).start()
	field := func(name string) string { return decisions.FieldOf(decisions.KindAccount, name) }
	a.set("x", abuse.Active)
	old := c.HGet(ctx, hash, field("x")).Val()
	a.set("x", abuse.Suspended)
	a.set("y", abuse.Active)
	a.sync()
	b.sync()
	want := a.Texts()
	suspended := c.HGet(ctx, hash, field("x")).Val()
	other, err := sealed.New([]byte("the key of somebody else"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(want[field("x")], `"version":2`, `"version":9`, 2)
	for name, spoil := range map[string]map[string]string{
		"forged":                       {field("x"): string(other.Seal("decision", field("x"), []byte(text)))},
		"no seal":                      {field("x"): text},
		"changed by a byte":            {field("x"): suspended[:40] + "x" + suspended[41:]},
		"under another account":        {field("y"): suspended},
		"under the name of no account": {field("z"): suspended},
		"replayed":                     {field("x"): old},
		"short":                        {field("x"): "x", field("y"): ""},
		"no field of ours":             {"x": suspended, "y": "\x00\xff"},
		"long":                         {field("x"): strings.Repeat("x", 1<<20)},
	} {
		t.Run(name, func(t *testing.T) {
			a.mu.Lock()
			a.events = nil
			a.mu.Unlock()
			for f, raw := range spoil {
				if err := c.HSet(ctx, hash, f, raw).Err(); err != nil {
					t.Fatal(err)
				}
			}
			for range 3 {
				for _, n := range []*node{a, b} {
					n.SweepNow()
					n.sync()
					if !maps.Equal(n.Texts(), want) {
						t.Errorf("%s knows something else", n.name)
					}
				}
			}
			a.mu.Lock()
			said := slices.Clone(a.events)
			a.mu.Unlock()
			if n := count(said, "decisions-forged"); n > 1 || n == 0 && name != "replayed" {
				t.Errorf("said %v", said)
			}
			for f := range spoil {
				if _, ours := want[f]; !ours {
					c.HDel(ctx, hash, f)
				}
			}
			for _, n := range []*node{a, b} { // what was spoilt is put right, and it is over
				n.SweepNow()
				n.sync()
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			if n := count(a.events, "over decisions-forged"); n != count(a.events, "decisions-forged") {
				t.Errorf("said %v", a.events)
			}
		})
	}
	if got := newNode(t, "new", s.Addr).start(); !maps.Equal(got.Texts(), want) {
		t.Error("a new node knows something else")
	}
}

func count(all []string, word string) (n int) {
	for _, s := range all {
		if s == word {
			n++
		}
	}
	return n
}

// TestWrongAnswers: keys of other types and a counter that is none are faults of the store, and
// this node goes on with what it has.
func TestWrongAnswers(t *testing.T) {
	s := redistest.Server(t)
	c := admin(t, s)
	ctx := t.Context()
	for _, key := range []string{"r", "meta", "log", "marks"} {
		flush(t, c)
		a := newNode(t, "a", s.Addr).start()
		a.set("x", abuse.Suspended)
		if err := c.Del(ctx, "postern:{dec}:"+key).Err(); err != nil {
			t.Fatal(err)
		}
		if err := c.Set(ctx, "postern:{dec}:"+key, "odd", 0).Err(); err != nil {
			t.Fatal(err)
		}
		a.set("y", abuse.Suspended)
		_ = a.Sync(ctx)
		a.wantState("x", abuse.Suspended)
		a.wantState("y", abuse.Suspended)
		flush(t, c)
		a.sync()
		if got := newNode(t, "b", s.Addr).start(); !maps.Equal(got.Texts(), a.Texts()) {
			t.Errorf("%s: the store was not made good", key)
		}
	}
	flush(t, c)
	a := newNode(t, "a", s.Addr).start()
	for _, n := range []string{"x", "9223372036854775807", "-5", "1e3"} {
		c.HSet(ctx, "postern:{dec}:meta", "n", n)
		a.set("x", abuse.Suspended)
		_ = a.Sync(ctx)
		a.wantState("x", abuse.Suspended)
	}
	flush(t, c)
	a.sync()
}

// TestKeyReplaced: nodes seal with a new key and read the old one; a node without either
// believes nothing and gives what it has.
func TestKeyReplaced(t *testing.T) {
	s := redistest.Server(t)
	first, second := []byte("the first key of all"), []byte("the second key of all")
	ring := func(keys ...[]byte) *sealed.Ring {
		r, err := sealed.New(keys...)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	a, b := newNode(t, "a", s.Addr), newNode(t, "b", s.Addr)
	a.ring, b.ring = ring(first), ring(second, first)
	a.start().set("x", abuse.Suspended)
	b.start().wantState("x", abuse.Suspended)
	a.ring = ring(second, first)
	a.restart()
	b.set("x", abuse.Active)
	a.sync()
	a.wantState("x", abuse.Active)
	a.ring = ring(second)
	a.restart().sync()
	a.wantState("x", abuse.Active)
}

// TestMany: lists and accounts in the numbers of a large site come to the store and to a new
// node in bounded parts.
func TestMany(t *testing.T) {
	entries, accounts := 5000, 500
	if testing.Short() {
		entries, accounts = 1200, 100
	}
	s := redistest.Server(t)
	s.Kill() // so that the writes cost no round trips
	a := newNode(t, "a", s.Addr).start()
	for i := range accounts {
		a.set(fmt.Sprint("account", i), abuse.Suspended)
	}
	for i := range entries {
		a.put(block(fmt.Sprintf("10.%d.%d.1", i/250, i%250)))
	}
	s.Run(t)
	b := newNode(t, "b", s.Addr).start()
	a.sync()
	before, _ := b.Lists().ListRevision(t.Context())
	b.sync()
	if !maps.Equal(a.Texts(), b.Texts()) || len(b.Texts()) != entries+accounts {
		t.Errorf("b has %d records of %d", len(b.Texts()), entries+accounts)
	}
	if after, _ := b.Lists().ListRevision(t.Context()); after <= before {
		t.Error("the revision did not grow")
	}
	if c := newNode(t, "c", s.Addr).start(); !maps.Equal(a.Texts(), c.Texts()) {
		t.Errorf("c has %d records", len(c.Texts()))
	}
}
