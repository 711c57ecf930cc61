// Package history keeps what speaks for mail on Redis, for all nodes. Questions cost one
// round trip, marks are written in batches off the way of mail.
package history

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/filter/history"
	"postern/internal/store/redis/conn"
)

// Bounds of the store.
const (
	NewKeys = 250_000                // new keys a day, of all nodes: whoever sends from ever new names must not fill the memory that holds need
	linger  = 500 * time.Millisecond // how long marks wait for others; a killed process loses these
	batch   = 512                    // marks of one pipeline
	waiting = 4096                   // messages whose marks may wait for the store
	closing = 5 * time.Second        // for all that waits when the node ends

	// spare is how much longer than of use a key is kept: a clock of the server that is set
	// forward by less takes nothing from anybody. By more, it forgets: history only ever
	// speaks for a mail.
	spare   = 24 * time.Hour
	minKeep = time.Hour
	maxKeep = 2 * 365 * 24 * time.Hour

	every = 10 * time.Second // how often a loss is said at most
)

// Options say what the store stands on.
type Options struct {
	Log     *slog.Logger
	Now     func() time.Time
	NewKeys int // a day; 0 = NewKeys
}

// Store implements history.Store.
type Store struct {
	conn  *conn.Conn
	o     Options
	marks chan []history.Mark
	flush chan chan struct{}
	stop  chan struct{}
	done  chan struct{}
	once  sync.Once

	dropped atomic.Uint64

	// Of the goroutine that writes.
	batch []history.Mark
	day   string
	made  int64     // new keys of the day that are not in the common count yet
	full  bool      // the day has had its new keys
	said  time.Time // when a loss was said last,
	lost  uint64    // and Dropped then
}

// Causes of a loss.
var (
	errFull   = errors.New("too many marks wait for the store: these are lost")
	errClosed = errors.New("the store is closed")
	errKeys   = errors.New("too many new keys for one day")
)

// New makes a store on a connection, which is closed after it.
func New(c *conn.Conn, o Options) *Store {
	if o.NewKeys <= 0 {
		o.NewKeys = NewKeys
	}
	s := &Store{conn: c, o: o, marks: make(chan []history.Mark, waiting),
		flush: make(chan chan struct{}), stop: make(chan struct{}), done: make(chan struct{})}
	go s.run()
	return s
}

// Close writes what waits. The connection stays open.
func (s *Store) Close() error {
	s.once.Do(func() { close(s.stop) })
	<-s.done
	return nil
}

// Dropped counts the marks that were not written since New.
func (s *Store) Dropped() uint64 { return s.dropped.Load() }

func (s *Store) key(k history.Key) string { return s.conn.Key("hi", hex.EncodeToString(k[:])) }

// Past implements history.Store.
func (s *Store) Past(ctx context.Context, questions []history.Question, now time.Time) ([]history.Past, error) {
	out := make([]history.Past, len(questions))
	if len(questions) == 0 {
		return out, nil
	}
	cmds, err := s.conn.Pipe(ctx, conn.Lookup, func(p redis.Pipeliner) {
		for _, q := range questions {
			p.Get(ctx, s.key(q.Key))
		}
	})
	if err != nil {
		return nil, err
	}
	for i, q := range questions {
		value, err := cmds[i].(*redis.StringCmd).Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if out[i], err = sum(value, q.Key, dayOf(q.Since), dayOf(now)+1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Mark implements history.Store. Marks for which there is no room are counted and said once
// in a while: an error for every message would flood the log.
func (s *Store) Mark(_ context.Context, marks []history.Mark) error {
	select {
	case <-s.stop:
		return errClosed
	default:
	}
	select {
	case s.marks <- marks:
	default:
		s.dropped.Add(uint64(len(marks)))
	}
	return nil
}

// Prune implements history.Store. The server forgets by itself, by its own clock: that of a
// node, right or wrong, makes nothing go.
func (s *Store) Prune(context.Context, time.Time) (int, error) { return 0, nil }

// Sync returns when the marks taken before are written or lost.
func (s *Store) Sync(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case s.flush <- done:
	case <-s.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
