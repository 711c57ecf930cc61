// Package sent keeps the log of what local accounts send in a file of its own beside the
// embedded home. What is written at the same time shares one transaction, and so one wait for
// the disk.
package sent

import (
	"context"
	"errors"
	"sync"

	"postern/abuse/sent"
	"postern/internal/store/local/sqlite"
)

// most bounds the changes of one transaction, and waiting those that wait for one.
const (
	most    = 256
	waiting = 4 * most
)

var errClosed = errors.New("the send log is closed")

// Store implements sent.Store.
type Store struct {
	db   *sqlite.DB
	log  string // names this log in cursors
	jobs chan job
	stop chan struct{}
	done chan struct{}
	once sync.Once
	sql  *statements // of the goroutine that writes
}

// job is one change that waits for its transaction.
type job struct {
	begin  *sent.Row // or
	serial string
	copies []sent.Copy
	answer chan error
}

// Open opens the file. It is read through at the start no further than its schema: it grows
// with half a year of mail. Migrations bring schema n to n+1, from 0 on.
func Open(ctx context.Context, path string, migrations []string) (*Store, error) {
	o := sqlite.Options{Sync: "FULL"}
	for _, text := range migrations {
		o.Migrations = append(o.Migrations, sqlite.Script(text))
	}
	db, err := sqlite.Open(ctx, path, o)
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, jobs: make(chan job, waiting), stop: make(chan struct{}), done: make(chan struct{})}
	if err := db.W.QueryRowContext(ctx, "SELECT log FROM sent_state").Scan(&s.log); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	go s.run()
	return s, nil
}

// Close ends what is being written and closes the file.
func (s *Store) Close() error {
	s.once.Do(func() { close(s.stop) })
	<-s.done
	return s.db.Close()
}

// DB is the file.
func (s *Store) DB() *sqlite.DB { return s.db }

// Begin implements sent.Store.
func (s *Store) Begin(ctx context.Context, r sent.Row) error {
	r = r.Fit()
	return s.do(ctx, job{begin: &r, serial: r.Serial})
}

// Settle implements sent.Store.
func (s *Store) Settle(ctx context.Context, serial string, copies []sent.Copy) error {
	return s.do(ctx, job{serial: serial, copies: copies})
}

// do waits until a change is on the disk.
func (s *Store) do(ctx context.Context, j job) error {
	j.answer = make(chan error, 1)
	select {
	case s.jobs <- j:
	case <-s.done:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-j.answer:
		return err
	case <-s.done:
		select {
		case err := <-j.answer:
			return err
		default:
			return errClosed
		}
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) run() {
	defer close(s.done)
	batch := make([]job, 0, most)
	for {
		batch = batch[:0]
		select {
		case j := <-s.jobs:
			batch = append(batch, j)
		case <-s.stop:
			return
		}
		for len(batch) < most { // whoever came while the last one was written
			select {
			case j := <-s.jobs:
				batch = append(batch, j)
				continue
			default:
			}
			break
		}
		s.commit(batch)
	}
}
