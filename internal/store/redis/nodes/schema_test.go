package nodes_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/nodes"
	"postern/internal/store/redis/redistest"
)

// speaking is a node that speaks a schema.
func speaking(t *testing.T, c *conn.Conn, at *clock, name string, schema int) *nodes.Registry {
	t.Helper()
	return node(t, c, at, nodes.Info{Name: name, Schema: schema})
}

// stored is the schema that the store holds.
func stored(t *testing.T, c *conn.Conn) string {
	t.Helper()
	v, err := c.Client().Get(t.Context(), c.Key("{nodes}", "schema")).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	return v
}

// pass lets time go by with signs of life.
func pass(t *testing.T, at *clock, d time.Duration, all ...*nodes.Registry) {
	t.Helper()
	for range int(d / nodes.Every) {
		for _, r := range all {
			r.Beat(t.Context())
		}
		at.add(nodes.Every)
	}
}

func TestAnEmptyStoreGetsWhatAllSpeak(t *testing.T) {
	stores(t, func(t *testing.T, c *conn.Conn) {
		at := newClock()
		speaking(t, c, at, "old", 1).Beat(t.Context())
		if v, err := speaking(t, c, at, "new", 3).Schema(t.Context(), 3, 1); err != nil || v != 1 || stored(t, c) != "1" {
			t.Error(v, err, stored(t, c))
		}
	})
	stores(t, func(t *testing.T, c *conn.Conn) {
		if v, err := speaking(t, c, newClock(), "alone", 2).Schema(t.Context(), 2, 1); err != nil || v != 2 || stored(t, c) != "2" {
			t.Error(v, err, stored(t, c))
		}
	})
}

func TestWhatCannotBeShared(t *testing.T) {
	stores(t, func(t *testing.T, c *conn.Conn) {
		key := c.Key("{nodes}", "schema")
		for held, want := range map[string]string{
			"1": "written in schema 1 and this version reads from 2 on: run all nodes with the version between",
			"2": "", "3": "",
			"4":                    "written in schema 4 and this version reads at most 3: install the version that the other nodes run",
			"":                     `gives its schema as ""`,
			"0":                    "none",
			"-1":                   "none",
			"x\x1b":                `gives its schema as "x"`,
			"99999999999999999999": "none",
		} {
			if err := c.Client().Set(t.Context(), key, held, 0).Err(); err != nil {
				t.Fatal(err)
			}
			r := speaking(t, c, newClock(), "a", 3)
			v, err := r.Schema(t.Context(), 3, 2)
			looks := speaking(t, c, newClock(), "looks", 3)
			if joined := looks.Join(t.Context(), 3, 2); (want == "") != (joined == nil) || want != "" && joined.Error() != err.Error() || looks.Write() != v {
				t.Errorf("%q: %v for who only looks, who writes %d", held, joined, looks.Write())
			}
			if want == "" {
				if err != nil || fmt.Sprint(v) != held || r.Write() != v || len(r.Problems()) != 0 {
					t.Error(held, v, err)
				}
				continue
			}
			if !errors.Is(err, nodes.ErrSchema) || !strings.Contains(err.Error(), want) || v != 0 {
				t.Errorf("%q: %v", held, err)
			}
			if p := r.Problems(); len(p) != 1 || !errors.Is(p[0], nodes.ErrSchema) {
				t.Error(p)
			}
			if stored(t, c) != held {
				t.Errorf("%q became %q", held, stored(t, c))
			}
		}
	})
}

// Who only looks leaves no trace.
func TestJoinAnEmptyStore(t *testing.T) {
	stores(t, func(t *testing.T, c *conn.Conn) {
		r := speaking(t, c, newClock(), "looks", 3)
		if err := r.Join(t.Context(), 3, 2); err != nil || r.Write() != 0 || stored(t, c) != "" {
			t.Error(err, r.Write(), stored(t, c))
		}
		if all, err := r.List(t.Context()); err != nil || len(all) != 0 {
			t.Error(all, err)
		}
	})
}

func TestTheSchemaIsRaised(t *testing.T) {
	stores(t, func(t *testing.T, c *conn.Conn) {
		at := newClock()
		a, b := speaking(t, c, at, "a", 1), speaking(t, c, at, "b", 1)
		for _, r := range []*nodes.Registry{a, b} {
			if v, err := r.Schema(t.Context(), 1, 1); err != nil || v != 1 {
				t.Fatal(v, err)
			}
		}
		a = speaking(t, c, at, "a", 2) // the first node has the new version
		if v, err := a.Schema(t.Context(), 2, 1); err != nil || v != 1 {
			t.Fatal(v, err)
		}
		pass(t, at, 10*time.Minute, a, b)
		if stored(t, c) != "1" || a.Write() != 1 {
			t.Fatal("raised above what b speaks")
		}
		b = speaking(t, c, at, "b", 2)
		if v, err := b.Schema(t.Context(), 2, 1); err != nil || v != 1 {
			t.Fatal(v, err)
		}
		pass(t, at, 50*time.Second, a, b)
		if stored(t, c) != "1" {
			t.Fatal("raised in less than a minute")
		}
		pass(t, at, 20*time.Second, a, b)
		if stored(t, c) != "2" || a.Write() != 2 || b.Write() != 2 {
			t.Fatal(stored(t, c), a.Write(), b.Write())
		}
		pass(t, at, 10*time.Minute, a, b)
		if stored(t, c) != "2" {
			t.Error(stored(t, c))
		}
		old := speaking(t, c, at, "c", 1)
		if _, err := old.Schema(t.Context(), 1, 1); !errors.Is(err, nodes.ErrSchema) {
			t.Error(err)
		}
		pass(t, at, time.Minute, a, b, old)
		if stored(t, c) != "2" || len(old.Problems()) != 1 || len(a.Problems()) != 0 {
			t.Error("lowered", stored(t, c), old.Problems(), a.Problems())
		}
	})
}

// TestOneStepAtATime has nodes that are two schemas ahead.
func TestOneStepAtATime(t *testing.T) {
	c, at := redistest.Mini(t), newClock()
	if err := c.Client().Set(t.Context(), c.Key("{nodes}", "schema"), 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	a := speaking(t, c, at, "a", 3)
	if _, err := a.Schema(t.Context(), 3, 1); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 60 {
		pass(t, at, nodes.Every, a)
		seen[stored(t, c)] = true
	}
	if fmt.Sprint(seen) != "map[1:true 2:true 3:true]" {
		t.Error(seen)
	}
}

// TestANodeComesWhileItIsRaised has a node of the old version start in the last moment.
func TestANodeComesWhileItIsRaised(t *testing.T) {
	c, at := redistest.Mini(t), newClock()
	if err := c.Client().Set(t.Context(), c.Key("{nodes}", "schema"), 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	a := speaking(t, c, at, "a", 2)
	if _, err := a.Schema(t.Context(), 2, 1); err != nil {
		t.Fatal(err)
	}
	pass(t, at, time.Minute, a)
	late := speaking(t, c, at, "late", 1)
	if v, err := late.Schema(t.Context(), 1, 1); err != nil || v != 1 {
		t.Fatal(v, err)
	}
	pass(t, at, 5*time.Minute, a, late)
	if stored(t, c) != "1" {
		t.Error("raised above a node that lives")
	}
}

// TestAnEmptiedStoreKeepsTheSchema has a store emptied while two versions share it.
func TestAnEmptiedStoreKeepsTheSchema(t *testing.T) {
	s := redistest.Server(t)
	c, at := redistest.Empty(t, s), newClock()
	b := speaking(t, c, at, "b", 1)
	if _, err := b.Schema(t.Context(), 1, 1); err != nil {
		t.Fatal(err)
	}
	a := speaking(t, c, at, "a", 2)
	if v, err := a.Schema(t.Context(), 2, 1); err != nil || v != 1 {
		t.Fatal(v, err)
	}
	redistest.Flush(t, s)
	pass(t, at, 2*time.Minute, a, b)
	if stored(t, c) != "1" || len(b.Problems()) != 0 {
		t.Error(stored(t, c), b.Problems())
	}
}

func TestTheClockIsSet(t *testing.T) {
	c, at := redistest.Mini(t), newClock()
	if err := c.Client().Set(t.Context(), c.Key("{nodes}", "schema"), 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	a := speaking(t, c, at, "a", 2)
	if _, err := a.Schema(t.Context(), 2, 1); err != nil {
		t.Fatal(err)
	}
	pass(t, at, 30*time.Second, a)
	at.add(-time.Hour)
	pass(t, at, 30*time.Second, a)
	if stored(t, c) != "1" {
		t.Error("a clock that was set back made a minute")
	}
	pass(t, at, time.Minute, a)
	if stored(t, c) != "2" {
		t.Error("never raised")
	}
}

// TestManyStartTogether has nodes of two versions find an empty store.
func TestManyStartTogether(t *testing.T) {
	s := redistest.Server(t)
	c, at := redistest.Empty(t, s), newClock()
	var mu sync.Mutex
	got := map[int]int{}
	var wg sync.WaitGroup
	for i := range 8 {
		r := speaking(t, c, at, fmt.Sprint(i), 2)
		wg.Go(func() {
			v, err := r.Schema(context.Background(), 2, 1)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			got[v]++
		})
	}
	wg.Wait()
	if len(got) != 1 || got[2] != 8 {
		t.Error(got)
	}
}

func TestWithoutAStore(t *testing.T) {
	s := redistest.Server(t)
	c, at := redistest.Empty(t, s), newClock()
	r := speaking(t, c, at, "a", 2)
	if v, err := r.Schema(t.Context(), 2, 1); err != nil || v != 2 {
		t.Fatal(v, err)
	}
	s.Kill()
	pass(t, at, 2*time.Minute, r)
	if r.Write() != 2 || len(r.Problems()) != 0 {
		t.Error("what was agreed is forgotten: ", r.Write(), r.Problems())
	}
	if v, err := speaking(t, c, at, "b", 2).Schema(t.Context(), 2, 1); !errors.Is(err, conn.ErrAway) || v != 0 {
		t.Error(v, err)
	}
}
