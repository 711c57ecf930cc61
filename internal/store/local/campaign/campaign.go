// Package campaign keeps what came with each fuzzy hash in a file of its own, written in batches
// off the way of mail.
package campaign

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"postern/filter/campaign"
	"postern/filter/campaign/simhash"
	"postern/internal/store/local/sqlite"
)

// Bounds of the store.
const (
	MaxPrints = 500_000                // different ones, about 600 octets each with their copies
	linger    = 500 * time.Millisecond // how long copies wait for others; a killed process loses these
	batch     = 256                    // copies of one transaction
	waiting   = 4096                   // copies that may wait for the disk
	looked    = 4096                   // prints of the bands that one question looks at
)

// Options say what the store stands on.
type Options struct {
	Log       *slog.Logger
	MaxPrints int // 0 = MaxPrints
}

// Store implements campaign.Store.
type Store struct {
	db     *sqlite.DB
	log    *slog.Logger
	cap    int
	copies chan campaign.Copy
	flush  chan chan struct{}
	stop   chan struct{}
	done   chan struct{}
	once   sync.Once

	rows    atomic.Int64 // prints in the file
	dropped atomic.Uint64
	ask     *sql.Stmt

	// Of the goroutine that writes.
	batch   []campaign.Copy
	failing bool // the last batch failed; said once
}

// Why a copy is lost.
var (
	errFull   = errors.New("too many copies wait for the disk: this one is lost")
	errClosed = errors.New("the store is closed")
)

// Open opens the file. Migrations bring schema n to n+1, from 0 on.
func Open(ctx context.Context, path string, migrations []string, o Options) (*Store, error) {
	so := sqlite.Options{Sync: "NORMAL"}
	for _, text := range migrations {
		so.Migrations = append(so.Migrations, sqlite.Script(text))
	}
	db, err := sqlite.Open(ctx, path, so)
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, log: o.Log, cap: o.MaxPrints, copies: make(chan campaign.Copy, waiting),
		flush: make(chan chan struct{}), stop: make(chan struct{}), done: make(chan struct{})}
	if s.cap <= 0 {
		s.cap = MaxPrints
	}
	var n int64
	err = db.R.QueryRowContext(ctx, "SELECT count(*) FROM print").Scan(&n)
	if err == nil {
		s.ask, err = db.R.PrepareContext(ctx, "SELECT print FROM band WHERE band IN (SELECT value FROM json_each(?)) LIMIT ?")
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s.rows.Store(n)
	go s.run()
	return s, nil
}

// Close writes what waits and closes the file.
func (s *Store) Close() error {
	s.once.Do(func() { close(s.stop) })
	<-s.done
	return errors.Join(s.ask.Close(), s.db.Close())
}

// Dropped counts the copies that were not written since Open.
func (s *Store) Dropped() uint64 { return s.dropped.Load() }

// Near implements campaign.Store.
func (s *Store) Near(ctx context.Context, p simhash.Print, bands []simhash.Band) ([]campaign.Group, error) {
	rows, err := s.ask.QueryContext(ctx, list(bands), looked)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err says what went wrong
	var near []simhash.Print
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		if q := simhash.Print(n); simhash.Apart(p, q) <= simhash.Near {
			near = append(near, q)
		}
	}
	if err := rows.Err(); err != nil || len(near) == 0 {
		return nil, err
	}
	slices.SortFunc(near, simhash.ByDistance(p))
	near = slices.Compact(near)
	near = near[:min(len(near), campaign.MaxNear)]
	out, err := s.groups(ctx, "SELECT print, first, last, messages, delivered, sources FROM print WHERE print IN (SELECT value FROM json_each(?))", list(near))
	slices.SortFunc(out, func(a, b campaign.Group) int { return simhash.ByDistance(p)(a.Print, b.Print) })
	return out, err
}

// list is a JSON array of numbers as the file has them.
func list[T simhash.Print | simhash.Band](all []T) string {
	b := []byte{'['}
	for i, n := range all {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	return string(append(b, ']'))
}

func (s *Store) groups(ctx context.Context, query string, args ...any) (out []campaign.Group, err error) {
	err = sqlite.Each(ctx, s.db.R, query, args, func(scan sqlite.Scanner) error {
		var g campaign.Group
		var p, first, last int64
		var sources []byte
		if err := scan(&p, &first, &last, &g.Messages, &g.Delivered, &sources); err != nil {
			return err
		}
		g.Print, g.First, g.Last, g.Sources = simhash.Print(p), time.UnixMilli(first).UTC(), time.UnixMilli(last).UTC(), unpack(sources)
		out = append(out, g)
		return nil
	})
	return out, err
}

// Recent implements campaign.Store.
func (s *Store) Recent(ctx context.Context, since time.Time, limit int) ([]campaign.Group, error) {
	return s.groups(ctx, "SELECT print, first, last, messages, delivered, sources FROM print WHERE last >= ? ORDER BY last DESC, print LIMIT ?", since.UnixMilli(), limit)
}

// Copies implements campaign.Store.
func (s *Store) Copies(ctx context.Context, prints []simhash.Print, limit int) (out []campaign.Copy, err error) {
	const query = "SELECT data FROM copy WHERE print IN (SELECT value FROM json_each(?)) ORDER BY at DESC, id DESC LIMIT ?"
	err = sqlite.Each(ctx, s.db.R, query, []any{list(prints), limit}, func(scan sqlite.Scanner) error {
		var data []byte
		if err := scan(&data); err != nil {
			return err
		}
		var c campaign.Copy
		if json.Unmarshal(data, &c) == nil {
			out = append(out, c)
		}
		return nil
	})
	return out, err
}

// Size implements campaign.Store.
func (s *Store) Size(ctx context.Context) (prints, bytes int64, err error) {
	err = s.db.R.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM print), (SELECT page_count * page_size FROM pragma_page_count, pragma_page_size)").Scan(&prints, &bytes)
	return prints, bytes, err
}
