package conn_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"postern/internal/mailtest/redisd"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/redistest"
)

// TestAdmit: a store that is not ours is asked nothing, and asked again whether it is after it was
// away.
func TestAdmit(t *testing.T) {
	s := redistest.Server(t)
	var ours atomic.Bool
	var asked atomic.Int64
	c := redistest.Connect(t, conn.Options{Addrs: []string{s.Addr}, User: redistest.User, Password: redisd.Password, Admit: func(ctx context.Context, r redis.UniversalClient) error {
		asked.Add(1)
		if err := r.Ping(ctx).Err(); err != nil {
			return err
		}
		if !ours.Load() {
			return conn.NotOurs("somebody else's", errors.New("another key"))
		}
		return nil
	}})
	set := func() error {
		return c.Do(t.Context(), conn.Write, func(ctx context.Context, r redis.UniversalClient) error {
			return r.Set(ctx, c.Key("x"), "1", 0).Err()
		})
	}
	there := func() bool {
		admin := s.Client()
		defer admin.Close()
		return admin.Exists(t.Context(), c.Key("x")).Val() == 1
	}
	for range 10 {
		if err := set(); !errors.Is(err, conn.ErrAway) || reason(err) != "somebody else's" {
			t.Fatal(err)
		}
	}
	if there() || c.Status().Up {
		t.Error("something was written to a store that is not ours: ", c.Status())
	}
	ours.Store(true)
	if err := set(); err != nil || !there() {
		t.Fatal(err)
	}
	before := asked.Load()
	if err := set(); err != nil || asked.Load() != before {
		t.Errorf("asked again without need: %v", err)
	}
	ours.Store(false)
	if err := c.Check(t.Context()); reason(err) != "somebody else's" {
		t.Error(err)
	}
	if err := set(); reason(err) != "somebody else's" {
		t.Error(err)
	}
	ours.Store(true)
	if err := errors.Join(c.Check(t.Context()), set()); err != nil {
		t.Error(err)
	}
	s.Kill()
	if err := set(); reason(err) == "" {
		t.Error("a dead server took it")
	}
	before = asked.Load()
	s.Run(t)
	for err := set(); err != nil; err = set() {
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
	if asked.Load() == before {
		t.Error("another server may stand there now, and nobody asked")
	}
}
