package holds_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/redis/sealed"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

// holdKey is where a hold of the suites lies.
func holdKey(c *conn.Conn, h quarantine.Hold) string { return c.Key("{"+h.MessageID+"}", "h", "00") }

// Whatever somebody with the server at hand writes under our names: nothing panics, nothing
// acts, other holds go on, and it is said once.
func TestHostileRecords(t *testing.T) {
	server := redistest.Server(t)
	foreign, err := sealed.New([]byte("a key of somebody else"))
	if err != nil {
		t.Fatal(err)
	}
	type harm func(c *conn.Conn, mine, other quarantine.Hold) error
	set := func(field string, value func(c *conn.Conn, mine, other quarantine.Hold) any) harm {
		return func(c *conn.Conn, mine, other quarantine.Hold) error {
			return c.Client().HSet(t.Context(), holdKey(c, mine), field, value(c, mine, other)).Err()
		}
	}
	of := func(field string) func(c *conn.Conn, _, other quarantine.Hold) any {
		return func(c *conn.Conn, _, other quarantine.Hold) any {
			return c.Client().HGet(t.Context(), holdKey(c, other), field).Val()
		}
	}
	for name, f := range map[string]harm{
		"state of another hold":  set("s", of("s")),
		"record of another hold": set("r", of("r")),
		"state of another key": set("s", func(_ *conn.Conn, mine, _ quarantine.Hold) any {
			return foreign.Seal("hold-state", mine.ID, []byte(`{"state":"released","version":9}`))
		}),
		"no seal": set("s", func(*conn.Conn, quarantine.Hold, quarantine.Hold) any { return `{"state":"released","version":9}` }),
		"no state": func(c *conn.Conn, mine, _ quarantine.Hold) error {
			return c.Client().HDel(t.Context(), holdKey(c, mine), "s").Err()
		},
		"no record": func(c *conn.Conn, mine, _ quarantine.Hold) error {
			return c.Client().HDel(t.Context(), holdKey(c, mine), "r").Err()
		},
		"wrong type": func(c *conn.Conn, mine, _ quarantine.Hold) error {
			return errors.Join(c.Client().Del(t.Context(), holdKey(c, mine)).Err(), c.Client().Set(t.Context(), holdKey(c, mine), "x", 0).Err())
		},
	} {
		t.Run(name, func(t *testing.T) {
			var said bytes.Buffer
			c := redistest.Empty(t, server)
			s := holds.New(holds.Options{Conn: c, Ring: redistest.Ring(t), Log: slog.New(slog.NewTextHandler(&said, nil)), Now: func() time.Time { return storetest.Start }})
			mine, other := keep(t, s, storetest.Hold(1, "body"), "body"), keep(t, s, storetest.Hold(2, "body"), "body")
			if err := f(c, mine, other); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				refusesAll(t, s, mine)
				if got := ids(t, s, quarantine.Query{}); len(got) != 1 || got[0] != other.ID {
					t.Errorf("listed: %v", got)
				}
			}
			if n := strings.Count(said.String(), "level=ERROR"); n < 1 || n > 2 {
				t.Errorf("said %d times:\n%s", n, said.String())
			}
			if again := storetest.Hold(1, "body"); true {
				if _, err := s.Put(t.Context(), again, strings.NewReader("body")); !errors.Is(err, quarantine.ErrTaken) {
					t.Errorf("Put over it: %v", err)
				}
			}
			if body, err := readAll(t, s, other.ID); body != "body" || err != nil {
				t.Errorf("the other: %q, %v", body, err)
			}
		})
	}
}

// refusesAll asks everything of a hold that does not verify.
func refusesAll(t *testing.T, s *holds.Store, h quarantine.Hold) {
	t.Helper()
	_, errGet := s.Get(t.Context(), h.ID)
	_, errBody := s.Body(t.Context(), h.ID)
	h.State, h.Release = quarantine.Releasing, &quarantine.Release{By: "me"}
	_, errChange := s.Change(t.Context(), h)
	for what, err := range map[string]error{"Get": errGet, "Body": errBody, "Change": errChange, "Confirm": s.Confirm(t.Context(), []string{h.ID})} {
		if !errors.Is(err, quarantine.ErrNotFound) || errors.Is(err, conn.ErrAway) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := s.Drop(t.Context(), []string{h.ID}); err != nil {
		t.Errorf("Drop: %v", err)
	}
	if _, ok, err := s.FindKey(t.Context(), h.Key, storetest.Start); ok || err != nil {
		t.Errorf("FindKey: %v, %v", ok, err)
	}
	if due, err := s.Due(t.Context(), h.Expires.Add(time.Hour), 10); err != nil || len(due) != 1 {
		t.Errorf("Due: %d, %v", len(due), err)
	}
	if got, err := s.Look(t.Context(), []string{h.ID}); err != nil || got[0].ID != "" {
		t.Errorf("Look: %+v, %v", got, err)
	}
}

// A body that is not what was stored is ErrCorrupt, and never other bytes.
func TestHostileBodies(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	s := on(t, c)
	mine, other := keep(t, s, storetest.Hold(1, "my body"), "my body"), keep(t, s, storetest.Hold(2, "another"), "another")
	chunk := func(h quarantine.Hold) string { return keysOf(t, c, "{"+h.MessageID+"}:b:*:0")[0] }
	good := c.Client().Get(t.Context(), chunk(mine)).Val()
	ref := c.Client().HGet(t.Context(), holdKey(c, mine), "b").Val()
	theirs := c.Client().HGet(t.Context(), holdKey(c, other), "b").Val()
	key := chunk(mine)
	for name, harm := range map[string]func() error{
		"another's chunk": func() error {
			return c.Client().Set(t.Context(), key, c.Client().Get(t.Context(), chunk(other)).Val(), 0).Err()
		},
		"garbage": func() error { return c.Client().Set(t.Context(), key, "garbage", 0).Err() },
		"empty":   func() error { return c.Client().Set(t.Context(), key, "", 0).Err() },
		"missing": func() error { return c.Client().Del(t.Context(), key).Err() },
		"wrong type": func() error {
			return errors.Join(c.Client().Del(t.Context(), key).Err(), c.Client().RPush(t.Context(), key, "x").Err())
		},
		"another's reference": func() error { return c.Client().HSet(t.Context(), holdKey(c, mine), "b", theirs).Err() },
		"a reference to much": func() error {
			return c.Client().HSet(t.Context(), holdKey(c, mine), "b", strings.Replace(ref, ":1:", ":999999999:", 1)).Err()
		},
		"no reference": func() error { return c.Client().HDel(t.Context(), holdKey(c, mine), "b").Err() },
	} {
		if err := harm(); err != nil {
			t.Fatal(name, err)
		}
		if _, err := readAll(t, s, mine.ID); !errors.Is(err, quarantine.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		if err := errors.Join(c.Client().Del(t.Context(), key).Err(), c.Client().Set(t.Context(), key, good, 0).Err(), c.Client().HSet(t.Context(), holdKey(c, mine), "b", ref).Err()); err != nil {
			t.Fatal(err)
		}
		if body, err := readAll(t, s, mine.ID); body != "my body" || err != nil {
			t.Fatalf("after %s: %q, %v", name, body, err)
		}
	}
}

// Indexes that lie lead to nothing, and are put right by who reads them.
func TestHostileIndexes(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	s := on(t, c)
	h := keep(t, s, storetest.Hold(1, "x"), "x")
	gone := keep(t, s, storetest.Hold(2, "x"), "x")
	if err := c.Client().Del(t.Context(), holdKey(c, gone)).Err(); err != nil {
		t.Fatal(err)
	}
	released := keep(t, s, storetest.Hold(3, "x"), "x")
	move := func(from, to string) {
		for _, m := range c.Client().ZRange(t.Context(), c.Key("ix", "state:held"), 0, -1).Val() {
			if err := c.Client().ZAdd(t.Context(), c.Key("ix", to), redis.Z{Member: m}).Err(); err != nil {
				t.Fatal(from, err)
			}
		}
	}
	move("held", "state:deleted")
	for _, junk := range []string{"", "x", strings.Repeat("\x01", 23), "\xff\xff\xff\xff\xff\xff\xffnot an id"} {
		for _, name := range []string{"state:held", "due", "prov", "next", "ended"} {
			if err := c.Client().ZAdd(t.Context(), c.Key("ix", name), redis.Z{Member: junk}).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 {
		if got := ids(t, s, quarantine.Query{}); len(got) != 2 || got[0] != released.ID || got[1] != h.ID {
			t.Errorf("listed: %v", got)
		}
		if got := ids(t, s, quarantine.Query{States: []quarantine.State{quarantine.Deleted}}); len(got) != 0 {
			t.Errorf("deleted: %v", got)
		}
		far := storetest.Start.AddDate(1, 0, 0)
		due, err1 := s.Due(t.Context(), far, 10)
		retry, err2 := s.Retry(t.Context(), far, 10)
		dropped, err3 := s.DropBefore(t.Context(), far)
		forgotten, err4 := s.Forget(t.Context(), far)
		if err := errors.Join(err1, err2, err3, err4); err != nil || len(due) != 2 || len(retry)+dropped+forgotten != 0 {
			t.Errorf("due %d, retry %d, dropped %d, forgotten %d, %v", len(due), len(retry), dropped, forgotten, err)
		}
	}
	if n := c.Client().ZCard(t.Context(), c.Key("ix", "state:held")).Val(); n != 2 {
		t.Errorf("%d entries are left of 2", n)
	}
	if n := c.Client().ZCard(t.Context(), c.Key("ix", "state:deleted")).Val(); n != 0 {
		t.Errorf("%d entries are left of none", n)
	}
	if err := c.Client().Set(t.Context(), c.Key("k", conn.Hash(h.Key)), "garbage", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := s.FindKey(t.Context(), h.Key, storetest.Start); ok || err != nil {
		t.Errorf("a key that names nothing: %v, %v", ok, err)
	}
	if err := c.Client().Set(t.Context(), c.Key("clock"), "2099-01-01T00:00:00Z", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if at, err := s.Clock(t.Context()); err != nil || !at.IsZero() {
		t.Errorf("a clock that nobody sealed: %v, %v", at, err)
	}
	if _, err := s.List(t.Context(), quarantine.Query{After: "nonsense"}); !errors.Is(err, quarantine.ErrNotFound) {
		t.Errorf("a page after nothing: %v", err)
	}
}
