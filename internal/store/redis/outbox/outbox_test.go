package outbox_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	relayoutbox "postern/internal/relay/outbox"
	"postern/internal/relay/outbox/outboxtest"
	"postern/internal/spool"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/outbox"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest"
)

// options are those of a node under test.
func options(t testing.TB, c *conn.Conn) outbox.Options {
	return outbox.Options{
		Conn: c, Ring: redistest.Ring(t), Node: "a", Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Spool: &spool.Spool{Dir: t.TempDir(), Memory: 1 << 20},
	}
}

// timed is a store whose nodes share the clock that its caller moves.
type timed struct {
	*outbox.Store
	clock *atomic.Int64
}

func newTimed(o outbox.Options) timed {
	clock := &atomic.Int64{}
	o.Shared = func() time.Time { return time.UnixMilli(clock.Load()) }
	return timed{outbox.New(o), clock}
}

func (s timed) Claim(ctx context.Context, now time.Time, lease time.Duration) (relayoutbox.Entry, bool, bool, error) {
	s.clock.Store(now.UnixMilli())
	return s.Store.Claim(ctx, now, lease)
}

func (s timed) ClaimID(ctx context.Context, id string, now time.Time, lease time.Duration) (relayoutbox.Entry, bool, error) {
	s.clock.Store(now.UnixMilli())
	return s.Store.ClaimID(ctx, id, now, lease)
}

func (s timed) Hurry(ctx context.Context, id string, now time.Time) error {
	s.clock.Store(now.UnixMilli())
	return s.Store.Hurry(ctx, id, now)
}

// suites runs what every home of the outbox must pass. Open gives a connection to an empty store.
func suites(t *testing.T, open func(t testing.TB) *conn.Conn) {
	fresh := func(t testing.TB) relayoutbox.Store { return newTimed(options(t, open(t))) }
	t.Run("storetest", func(t *testing.T) { storetest.Outbox(t, fresh(t)) })
	t.Run("outboxtest", func(t *testing.T) {
		outboxtest.Conformance(t, func(t *testing.T) relayoutbox.Store { return fresh(t) }, func(t *testing.T, s relayoutbox.Store) relayoutbox.Store {
			o := s.(timed).Options
			o.Shared = nil
			again := newTimed(o)
			if n, err := again.Void(t.Context(), o.Node); n != 1 || err != nil {
				t.Fatalf("%d claims void, %v", n, err)
			}
			return again
		})
	})
	t.Run("model", func(t *testing.T) { storetest.OutboxModel(t, fresh) })
}

func TestServer(t *testing.T) {
	s := redistest.Server(t)
	c := redistest.Empty(t, s)
	suites(t, func(t testing.TB) *conn.Conn {
		redistest.Flush(t, s)
		return c
	})
}

func TestMini(t *testing.T) {
	c := redistest.Mini(t)
	suites(t, func(t testing.TB) *conn.Conn {
		if err := c.Client().FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		return c
	})
}
