package owed_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	relayoutbox "postern/internal/relay/outbox"
	"postern/internal/relay/outbox/outboxtest"
	"postern/internal/spool"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/durable/ends"
	"postern/internal/store/redis/durable/owed"
	"postern/internal/store/redis/durable/phase"
	"postern/internal/store/redis/journal"
	"postern/internal/store/redis/journal/segment"
	"postern/internal/store/redis/outbox"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest"
)

// quick is a disk whose syncs cost nothing.
type quick struct{ segment.OS }

func (quick) SyncDir(string) error { return nil }

func (d quick) Create(name string) (segment.File, error) {
	f, err := d.OS.Create(name)
	return quickFile{f}, err
}

type quickFile struct{ segment.File }

func (quickFile) Sync() error { return nil }

// timed is an outbox whose nodes share the clock that its caller moves.
type timed struct {
	*owed.Store
	clock *atomic.Int64
	c     *conn.Conn
	dir   string
	jrn   *journal.Journal
	far   *outbox.Store
}

func newTimed(t testing.TB, c *conn.Conn, dir string) timed {
	clock := &atomic.Int64{}
	far := outbox.New(outbox.Options{
		Conn: c, Ring: redistest.Ring(t), Node: "a", Log: slog.New(slog.DiscardHandler), Spool: &spool.Spool{Dir: t.TempDir(), Memory: 1 << 20},
		Shared: func() time.Time { return time.UnixMilli(clock.Load()) },
	})
	j, err := journal.Open(journal.Options{Dir: dir, Disk: quick{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return timed{owed.New(far, &ends.Store{Conn: c, Ring: redistest.Ring(t)}, j, phase.Options{}), clock, c, dir, j, far}
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

// TestOutboxConforms is the same of what is owed.
func TestOutboxConforms(t *testing.T) {
	s := redistest.Server(t)
	fresh := func(t testing.TB) relayoutbox.Store {
		return newTimed(t, redistest.Empty(t, s), filepath.Join(t.TempDir(), "j"))
	}
	t.Run("storetest", func(t *testing.T) { storetest.Outbox(t, fresh(t)) })
	t.Run("outboxtest", func(t *testing.T) {
		outboxtest.Conformance(t, func(t *testing.T) relayoutbox.Store { return fresh(t) }, func(t *testing.T, s relayoutbox.Store) relayoutbox.Store {
			old := s.(timed)
			old.jrn.Close()
			again := newTimed(t, old.c, old.dir)
			if n, err := again.far.Void(t.Context(), "a"); n != 1 || err != nil {
				t.Fatalf("%d claims void, %v", n, err)
			}
			return again
		})
	})
	t.Run("model", func(t *testing.T) { storetest.OutboxModel(t, fresh) })
}
