package redis

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/nodes"
	"postern/internal/store/redis/sealed"
)

// door is an admission to a store of the test's.
type door struct {
	*admission
	t *testing.T
	c *redis.Client
}

func (d door) is(what string, in bool) {
	d.t.Helper()
	err := d.admit(d.t.Context(), d.c)
	if in != (err == nil) || err != nil && (!errors.Is(err, conn.ErrAway) || !strings.Contains(err.Error(), "store.key_file")) {
		d.t.Errorf("%s: %v", what, err)
	}
}

func TestAdmission(t *testing.T) {
	mini := miniredis.RunT(t)
	c := redis.NewClient(&redis.Options{Addr: mini.Addr()})
	defer c.Close()
	now := time.Now()
	node := func(secrets ...string) door {
		var all [][]byte
		for _, s := range secrets {
			all = append(all, []byte(s))
		}
		r, err := sealed.New(all...)
		if err != nil {
			t.Fatal(err)
		}
		return door{&admission{ring: r, now: func() time.Time { return now }, key: "k", dir: t.TempDir()}, t, c}
	}
	const old, other = "0123456789abcdef", "fedcba9876543210"
	a, b := node(old), node(other)
	a.is("a new store", true)
	b.is("a store with another key", false)
	mini.FlushAll()
	b.is("an emptied store, for who was kept out", false)
	a.is("an emptied store", true)
	b.is("again", false)
	mini.FlushAll()
	b.is("emptied once more", false)
	now = now.Add(nodes.Gone + time.Second)
	b.is("nobody else has come", true)
	a.is("it has another one's key now", false)
	mini.FlushAll()

	a = node(old)
	a.is("at first", true)
	both, new := node(old, other), node(other, old)
	both.is("a second key below", true)
	new.is("a second key above", true)
	if v, _ := mini.Get("k"); v != new.ring.ID() {
		t.Errorf("the store has key %q", v)
	}
	both.is("who has both", true)
	new.is("the new one", true)
	if v, _ := mini.Get("k"); v != new.ring.ID() {
		t.Errorf("the old key came back: %q", v)
	}
	a.is("who has only the old one", false)
	node(other).is("who has only the new one", true)

	for _, nonsense := range []string{"", "x", "zzzzzzzz", strings.Repeat("a", 9)} {
		if err := mini.Set("k", nonsense); err != nil {
			t.Fatal(err)
		}
		node(old).is("nonsense", true)
		if v, _ := mini.Get("k"); v != a.ring.ID() {
			t.Errorf("%q stays: %q", nonsense, v)
		}
	}
	mini.Del("k")
	if _, err := mini.Lpush("k", "x"); err != nil {
		t.Fatal(err)
	}
	node(old).is("another type", true)
}
