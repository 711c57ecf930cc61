// Package history keeps what speaks for mail in the file of the traffic rows, written in
// batches off the way of mail.
package history

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postern/filter/history"
	"postern/internal/store/local/sqlite"
)

// Bounds of the store.
const (
	MaxKeys = 1_000_000              // keys kept, about 100 octets each
	linger  = 500 * time.Millisecond // how long marks wait for others; a killed process loses these
	batch   = 512                    // marks of one transaction
	waiting = 4096                   // messages whose marks may wait for the disk
)

// few and many are the keys one statement asks for.
const few, many = 8, 128

// Options say what the store stands on.
type Options struct {
	Log     *slog.Logger
	MaxKeys int // 0 = MaxKeys
}

// Store implements history.Store.
type Store struct {
	db    *sqlite.DB
	log   *slog.Logger
	cap   int
	marks chan []history.Mark
	flush chan chan struct{}
	stop  chan struct{}
	done  chan struct{}
	once  sync.Once

	rows    atomic.Int64 // keys in the file
	dropped atomic.Uint64
	clock   clock
	ask     [2]*sql.Stmt // for few and for many keys

	// Of the goroutine that writes.
	batch   []history.Mark
	failing bool // the last batch failed; said once
}

// errFull says that the disk does not keep up.
var errFull = errors.New("too many marks wait for the disk: these are lost")

// errClosed says that marks came after the end.
var errClosed = errors.New("the store is closed")

// Open uses an open file with the tables in it. Close before the file.
func Open(ctx context.Context, db *sqlite.DB, o Options) (*Store, error) {
	s := &Store{db: db, log: o.Log, cap: o.MaxKeys, marks: make(chan []history.Mark, waiting),
		flush: make(chan chan struct{}), stop: make(chan struct{}), done: make(chan struct{})}
	if s.cap <= 0 {
		s.cap = MaxKeys
	}
	var n int64
	if err := db.R.QueryRowContext(ctx, "SELECT count(*) FROM history").Scan(&n); err != nil {
		return nil, err
	}
	s.rows.Store(n)
	for i, width := range []int{few, many} {
		var err error
		query := "SELECT key, days FROM history WHERE key IN (?" + strings.Repeat(",?", width-1) + ")"
		if s.ask[i], err = db.R.PrepareContext(ctx, query); err != nil { //nolint:sqlclosecheck // kept as long as the store
			if i > 0 {
				err = errors.Join(err, s.ask[0].Close())
			}
			return nil, err
		}
	}
	go s.run()
	return s, nil
}

// Close writes what waits. The file stays open.
func (s *Store) Close() error {
	s.once.Do(func() { close(s.stop) })
	<-s.done
	return errors.Join(s.ask[0].Close(), s.ask[1].Close())
}

// Dropped counts the marks that were not written since Open.
func (s *Store) Dropped() uint64 { return s.dropped.Load() }

// Past implements history.Store.
func (s *Store) Past(ctx context.Context, questions []history.Question, now time.Time) ([]history.Past, error) {
	found := make(map[history.Key]days, len(questions))
	for rest := questions; len(rest) > 0; {
		stmt, width := s.ask[0], few
		if len(rest) > few {
			stmt, width = s.ask[1], many
		}
		n := min(width, len(rest))
		if err := read(ctx, stmt, width, rest[:n], found); err != nil {
			return nil, err
		}
		rest = rest[n:]
	}
	out := make([]history.Past, len(questions))
	for i, q := range questions {
		out[i] = found[q.Key].sum(dayOf(q.Since), dayOf(now)+1)
	}
	return out, nil
}

// read asks for as many keys as the statement is wide; the last one fills it up.
func read(ctx context.Context, stmt *sql.Stmt, width int, questions []history.Question, into map[history.Key]days) error {
	args := make([]any, width)
	for i := range args {
		args[i] = questions[min(i, len(questions)-1)].Key[:]
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // rows.Err says what went wrong
	for rows.Next() {
		var key, value []byte
		if err := rows.Scan(&key, &value); err != nil {
			return err
		}
		if len(key) == len(history.Key{}) {
			into[history.Key(key)] = whole(value)
		}
	}
	return rows.Err()
}

// Mark implements history.Store.
func (s *Store) Mark(_ context.Context, marks []history.Mark) error {
	select {
	case <-s.stop:
		return errClosed
	default:
	}
	select {
	case s.marks <- marks:
		return nil
	default:
		s.dropped.Add(uint64(len(marks)))
		return errFull
	}
}

// Sync returns when the marks taken before are written.
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
