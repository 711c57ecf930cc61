package campaign

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"postern/filter/campaign"
	"postern/filter/campaign/simhash"
)

// Add implements campaign.Store.
func (s *Store) Add(_ context.Context, c campaign.Copy) error {
	select {
	case <-s.stop:
		return errClosed
	default:
	}
	select {
	case s.copies <- c:
		return nil
	default:
		s.dropped.Add(1)
		return errFull
	}
}

// Sync returns when the copies taken before are written.
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

func (s *Store) run() {
	defer close(s.done)
	due := time.NewTimer(linger)
	defer due.Stop()
	for {
		select {
		case c := <-s.copies:
			if len(s.batch) == 0 {
				due.Reset(linger)
			}
			s.collect(c)
		case <-due.C:
			s.write()
		case done := <-s.flush:
			s.drain()
			close(done)
		case <-s.stop:
			s.drain()
			return
		}
	}
}

// drain writes everything that waits.
func (s *Store) drain() {
	for len(s.copies) > 0 {
		s.collect(<-s.copies)
	}
	s.write()
}

func (s *Store) collect(c campaign.Copy) {
	if s.batch = append(s.batch, c); len(s.batch) >= batch {
		s.write()
	}
}

// write writes the batch.
func (s *Store) write() {
	if len(s.batch) == 0 {
		return
	}
	var grown int64
	ctx := context.Background() // copies outlive the sessions they are of
	err := s.db.Tx(ctx, func(tx *sql.Tx) (err error) {
		grown = 0
		for _, c := range s.batch {
			fresh, err := put(ctx, tx, c)
			if err != nil {
				return err
			}
			grown += fresh
		}
		gone, err := evict(ctx, tx, s.rows.Load()+grown, int64(s.cap))
		grown -= gone
		return err
	})
	if err != nil {
		s.dropped.Add(uint64(len(s.batch)))
		if !s.failing {
			s.log.Error("the campaigns of mail cannot be written and are lost", "error", err)
		}
	} else {
		s.rows.Add(grown)
	}
	s.failing = err != nil
	clear(s.batch)
	s.batch = s.batch[:0]
}

// put adds a copy and returns how many prints are new.
func put(ctx context.Context, tx *sql.Tx, c campaign.Copy) (fresh int64, err error) {
	at, p, delivered := c.At.UnixMilli(), int64(c.Print), 0
	if c.State == campaign.Delivered {
		delivered = 1
	}
	var packed []byte
	err = tx.QueryRowContext(ctx, "SELECT sources FROM print WHERE print = ?", p).Scan(&packed)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		fresh = 1
		for _, b := range c.Print.Bands() {
			if _, err := tx.ExecContext(ctx, "INSERT OR IGNORE INTO band (band, print) VALUES (?, ?)", b, p); err != nil {
				return 0, err
			}
		}
	case err != nil:
		return 0, err
	}
	sources := pack(see(unpack(packed), campaign.Source{Hash: campaign.Hash(c.Source), Last: c.At}))
	if _, err := tx.ExecContext(ctx, `INSERT INTO print (print, first, last, messages, delivered, sources) VALUES (?1, ?2, ?2, 1, ?3, ?4)
ON CONFLICT (print) DO UPDATE SET first = min(first, ?2), last = max(last, ?2), messages = messages + 1, delivered = delivered + ?3, sources = ?4`, p, at, delivered, sources); err != nil {
		return 0, err
	}
	data, err := json.Marshal(c)
	if err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO copy (print, at, id, data) VALUES (?, ?, ?, ?)", p, at, c.ID, data); err != nil || fresh == 1 {
		return fresh, err
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM copy WHERE print = ?1 AND (at, id) < (SELECT at, id FROM copy WHERE print = ?1 ORDER BY at DESC, id DESC LIMIT 1 OFFSET ?2)", p, campaign.MaxCopies-1)
	return fresh, err
}

// see notes a source; with MaxSources of them the one seen longest ago goes.
func see(all []campaign.Source, s campaign.Source) []campaign.Source {
	if i := slices.IndexFunc(all, func(o campaign.Source) bool { return o.Hash == s.Hash }); i >= 0 {
		if s.Last.After(all[i].Last) {
			all[i].Last = s.Last
		}
		return all
	}
	all = append(all, s)
	if len(all) > campaign.MaxSources {
		slices.SortFunc(all, func(a, b campaign.Source) int { return b.Last.Compare(a.Last) })
		all = all[:campaign.MaxSources]
	}
	return all
}

const sourceSize = 16

func pack(all []campaign.Source) []byte {
	out := make([]byte, 0, len(all)*sourceSize)
	for _, s := range all {
		out = binary.BigEndian.AppendUint64(out, s.Hash)
		out = binary.BigEndian.AppendUint64(out, uint64(s.Last.UnixMilli()))
	}
	return out
}

func unpack(b []byte) (out []campaign.Source) {
	for ; len(b) >= sourceSize; b = b[sourceSize:] {
		out = append(out, campaign.Source{Hash: binary.BigEndian.Uint64(b), Last: time.UnixMilli(int64(binary.BigEndian.Uint64(b[8:]))).UTC()})
	}
	return out
}

// evict makes room when there are more prints than allowed, for a hundredth of them at once.
func evict(ctx context.Context, tx *sql.Tx, rows, allowed int64) (int64, error) {
	if rows <= allowed {
		return 0, nil
	}
	return forget(ctx, tx, "SELECT print FROM print ORDER BY last, print LIMIT ?", rows-allowed+allowed/100)
}

// step is how many prints one transaction forgets, so that copies need not wait long.
const step = 1000

// Prune implements campaign.Store.
func (s *Store) Prune(ctx context.Context, before time.Time) (n int, err error) {
	for {
		var gone int64
		err := s.db.Tx(ctx, func(tx *sql.Tx) (err error) {
			gone, err = forget(ctx, tx, "SELECT print FROM print WHERE last < ? LIMIT ?", before.UnixMilli(), step)
			return err
		})
		if err != nil {
			return n, err
		}
		n += int(gone)
		s.rows.Add(-gone)
		if gone < step {
			return n, nil
		}
	}
}

// forget removes the prints that a query names, and says how many.
func forget(ctx context.Context, tx *sql.Tx, query string, args ...any) (int64, error) {
	prints, err := prints(ctx, tx, query, args)
	if err != nil || len(prints) == 0 {
		return 0, err
	}
	for _, p := range prints {
		for _, b := range p.Bands() {
			if _, err := tx.ExecContext(ctx, "DELETE FROM band WHERE band = ? AND print = ?", b, int64(p)); err != nil {
				return 0, err
			}
		}
	}
	for _, table := range []string{"copy", "print"} {
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE print IN (SELECT value FROM json_each(?))", list(prints)); err != nil {
			return 0, err
		}
	}
	return int64(len(prints)), nil
}

func prints(ctx context.Context, tx *sql.Tx, query string, args []any) (out []simhash.Print, err error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err says what went wrong
	for rows.Next() {
		var p int64
		if err := rows.Scan(&p); err != nil {
			return nil, err
		}
		out = append(out, simhash.Print(p))
	}
	return out, rows.Err()
}
