package stores_test

import (
	"context"
	"flag"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"postern/internal/entity"
	"postern/internal/mailtest/entities"
	"postern/internal/mailtest/redisd"
	"postern/internal/relay/outbox"
	"postern/internal/spool"
	"postern/internal/store/local"
	"postern/internal/store/redis"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/durable/ends"
	"postern/internal/store/redis/durable/owed"
	"postern/internal/store/redis/durable/phase"
	"postern/internal/store/redis/journal"
	redisoutbox "postern/internal/store/redis/outbox"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest"
	"postern/internal/store/storetest/entitytest"
	"postern/quarantine"
)

// embedded opens an empty embedded home.
func embedded(t testing.TB) *local.Home {
	t.Helper()
	h, err := local.Open(t.Context(), local.Options{Dir: filepath.Join(t.TempDir(), "state")})
	must(t, err)
	t.Cleanup(func() { h.Close() })
	return h
}

// shared opens the home of one of several nodes on an emptied Redis: the store, and the node's
// own journal in front of it.
func shared(t testing.TB, s *redisd.Server) *redis.Home {
	t.Helper()
	redistest.Flush(t, s)
	admin := s.Client()
	must(t, admin.Set(t.Context(), conn.DefaultPrefix+":born", time.Now().Add(-time.Hour).UnixMilli(), 0).Err()) // in one just born nothing is released
	must(t, admin.Close())
	h, err := redis.Open(t.Context(), redis.Options{
		Conn: conn.Options{Addrs: []string{s.Addr}, User: redistest.User, Password: redisd.Password}, Ring: redistest.Ring(t),
		Dir: filepath.Join(t.TempDir(), "redis"), Node: "mx1", Version: "test", Rules: func() string { return "" }, Strict: true, Journal: 1 << 30,
		Spool: &spool.Spool{Memory: 1 << 20}, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	t.Cleanup(func() { h.Close() })
	return h
}

// clocked is an outbox whose store has the clock of the model.
type clocked struct {
	*owed.Store
	clock *atomic.Int64
}

func owing(t testing.TB, s *redisd.Server) clocked {
	t.Helper()
	c, ring, clock := redistest.Empty(t, s), redistest.Ring(t), &atomic.Int64{}
	j, err := journal.Open(journal.Options{Dir: filepath.Join(t.TempDir(), "journal")})
	must(t, err)
	t.Cleanup(func() { j.Close() })
	far := redisoutbox.New(redisoutbox.Options{
		Conn: c, Ring: ring, Node: "mx1", Log: slog.New(slog.DiscardHandler), Spool: &spool.Spool{Memory: 1 << 20},
		Shared: func() time.Time { return time.UnixMilli(clock.Load()) },
	})
	return clocked{owed.New(far, &ends.Store{Conn: c, Ring: ring}, j, phase.Options{}), clock}
}

func (s clocked) Claim(ctx context.Context, now time.Time, lease time.Duration) (outbox.Entry, bool, bool, error) {
	s.clock.Store(now.UnixMilli())
	return s.Store.Claim(ctx, now, lease)
}

func (s clocked) ClaimID(ctx context.Context, id string, now time.Time, lease time.Duration) (outbox.Entry, bool, error) {
	s.clock.Store(now.UnixMilli())
	return s.Store.ClaimID(ctx, id, now, lease)
}

func (s clocked) Hurry(ctx context.Context, id string, now time.Time) error {
	s.clock.Store(now.UnixMilli())
	return s.Store.Hurry(ctx, id, now)
}

// operations repeats a model until it has run enough operations.
func operations(t *testing.T, model func() int) {
	t.Helper()
	set := func(name, value string) {
		was := flag.Lookup(name).Value.String()
		must(t, flag.Set(name, value))
		t.Cleanup(func() { must(t, flag.Set(name, was)) })
	}
	set("rapid.checks", "10")
	set("rapid.steps", pick("100", "30"))
	want, done := pick(10_000, 250), 0
	for done < want && !t.Failed() {
		done += model()
	}
	t.Logf("%d operations", done)
}

// TestRandom runs random operations on each home and on a model of what it must answer.
func TestRandom(t *testing.T) {
	server := redistest.Server(t)
	t.Run("embedded, holds", func(t *testing.T) {
		operations(t, func() int {
			return storetest.HoldsModel(t, func(t testing.TB) quarantine.Store { return embedded(t).Holds() })
		})
	})
	t.Run("embedded, outbox", func(t *testing.T) {
		operations(t, func() int {
			return storetest.OutboxModel(t, func(t testing.TB) outbox.Store { return embedded(t).Outbox() })
		})
	})
	t.Run("embedded, records", func(t *testing.T) {
		operations(t, func() int {
			return entitytest.Model(t, func(t testing.TB) (s, known entity.Home) { return embedded(t).Entities(), &entities.Memory{} })
		})
	})
	t.Run("redis, records", func(t *testing.T) {
		operations(t, func() int {
			return entitytest.Model(t, func(t testing.TB) (s, known entity.Home) { return shared(t, server).Entities, &entities.Memory{} })
		})
	})
	t.Run("redis, holds", func(t *testing.T) {
		operations(t, func() int {
			return storetest.HoldsModel(t, func(t testing.TB) quarantine.Store { return shared(t, server).Holds })
		})
	})
	t.Run("redis, outbox", func(t *testing.T) {
		operations(t, func() int {
			return storetest.OutboxModel(t, func(t testing.TB) outbox.Store { return owing(t, server) })
		})
	})
}
