// Package greylist is the embedded home of who was asked to come again and who came.
package greylist

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"postern/filter/greylist"
	"postern/internal/store/local/sqlite"
)

// Rows bounds what is kept: entries that wait, keys that lead to them and sources that are
// known. Beyond it the oldest go.
const Rows = 200_000

// keysPerRow bounds the keys: an entry has some four, one made to be large has 80.
const keysPerRow = 5

// Store implements greylist.Store.
type Store struct {
	db   *sqlite.DB
	rows int

	// Counted at Open and with every change, since counting rows reads them all. Only the one
	// writing connection changes them, inside its transaction.
	waiting, tries, known int
}

// Open counts what is kept in db, which stays open until its owner closes it. rows 0 = Rows.
func Open(ctx context.Context, db *sqlite.DB, rows int) (*Store, error) {
	if rows <= 0 {
		rows = Rows
	}
	s := &Store{db: db, rows: rows}
	return s, s.count(ctx, db.R)
}

func (s *Store) count(ctx context.Context, q sqlite.Querier) error {
	const query = "SELECT (SELECT count(*) FROM grey_waiting), (SELECT count(*) FROM grey_try), (SELECT count(*) FROM grey_known)"
	return sqlite.Each(ctx, q, query, nil, func(scan sqlite.Scanner) error { return scan(&s.waiting, &s.tries, &s.known) })
}

// change runs f in a write transaction; when f fails the counts are as before.
func (s *Store) change(ctx context.Context, f func(*sql.Tx) error) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		before := [3]int{s.waiting, s.tries, s.known}
		err := f(tx)
		if err == nil {
			err = s.bound(ctx, tx)
		}
		if err != nil {
			s.waiting, s.tries, s.known = before[0], before[1], before[2]
		}
		return err
	})
}

// bound removes the oldest while there is too much, a little more than needed.
func (s *Store) bound(ctx context.Context, tx *sql.Tx) error {
	spare := max(s.rows/100, 1)
	for s.waiting > s.rows || s.tries > s.rows*keysPerRow {
		before := s.waiting
		if err := s.remove(ctx, tx, "id IN (SELECT id FROM grey_waiting ORDER BY first, id LIMIT ?)", spare); err != nil {
			return err
		}
		if s.waiting == before {
			return s.count(ctx, tx)
		}
	}
	for s.known > s.rows {
		before := s.known
		if err := s.forget(ctx, tx, "key IN (SELECT key FROM grey_known ORDER BY last LIMIT ?)", spare); err != nil || s.known == before {
			return err
		}
	}
	return nil
}

// remove deletes waiting entries and with them their keys.
func (s *Store) remove(ctx context.Context, tx *sql.Tx, where string, args ...any) error {
	var keys int
	err := sqlite.Each(ctx, tx, "SELECT count(*) FROM grey_try WHERE id IN (SELECT id FROM grey_waiting WHERE "+where+")", args, func(scan sqlite.Scanner) error { return scan(&keys) })
	if err != nil {
		return err
	}
	n, err := affected(tx.ExecContext(ctx, "DELETE FROM grey_waiting WHERE "+where, args...))
	s.waiting, s.tries = s.waiting-n, s.tries-keys
	return err
}

func (s *Store) forget(ctx context.Context, tx *sql.Tx, where string, args ...any) error {
	n, err := affected(tx.ExecContext(ctx, "DELETE FROM grey_known WHERE "+where, args...))
	s.known -= n
	return err
}

func affected(res sql.Result, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	return int(n), err
}

// Find implements greylist.Store.
func (s *Store) Find(ctx context.Context, tries, sources []string, now time.Time) (found greylist.Found, err error) {
	if found.Waiting, err = find(ctx, s.db.R, tries, now); err != nil || len(sources) == 0 {
		return found, err
	}
	all, err := sqlite.Records[greylist.Known](ctx, s.db.R,
		"SELECT record FROM grey_known WHERE key IN ("+marks(len(sources))+") ORDER BY until DESC LIMIT 1", args(sources)...)
	if err == nil && len(all) > 0 {
		found.Known = &all[0]
	}
	return found, err
}

// find returns the oldest live entry that one of the keys leads to, or nil.
func find(ctx context.Context, q sqlite.Querier, keys []string, now time.Time) (*greylist.Waiting, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	all, err := sqlite.Records[greylist.Waiting](ctx, q,
		"SELECT record FROM grey_waiting WHERE id IN (SELECT id FROM grey_try WHERE key IN ("+marks(len(keys))+")) ORDER BY first, id", args(keys)...)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Live(now) {
			return &all[i], nil
		}
	}
	return nil, nil
}

func marks(n int) string { return strings.Repeat(",?", n)[1:] }

func args(keys []string) []any {
	out := make([]any, len(keys))
	for i, k := range keys {
		out[i] = k
	}
	return out
}

// PutOff implements greylist.Store.
func (s *Store) PutOff(ctx context.Context, w greylist.Waiting, now time.Time) (greylist.Waiting, error) {
	err := s.change(ctx, func(tx *sql.Tx) error {
		have, err := find(ctx, tx, w.Keys, now)
		if err != nil {
			return err
		}
		if have != nil {
			have.Last = w.Last
			have.Tries++
			w = *have
			return s.update(ctx, tx, w)
		}
		return s.insert(ctx, tx, w)
	})
	return w, err
}

func (s *Store) update(ctx context.Context, tx *sql.Tx, w greylist.Waiting) error {
	text, err := json.Marshal(w)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "UPDATE grey_waiting SET record = ? WHERE id = ?", string(text), w.ID)
	return err
}

// insert stores w; its keys no longer lead to what is over.
func (s *Store) insert(ctx context.Context, tx *sql.Tx, w greylist.Waiting) error {
	text, err := json.Marshal(w)
	if err != nil {
		return err
	}
	if err := s.remove(ctx, tx, "id = ?", w.ID); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO grey_waiting VALUES (?, ?, ?, ?)", w.ID, w.First.UnixMilli(), w.Expires.UnixMilli(), string(text)); err != nil {
		return err
	}
	s.waiting++
	for _, k := range w.Keys {
		n, err := affected(tx.ExecContext(ctx, "DELETE FROM grey_try WHERE key = ?", k))
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO grey_try VALUES (?, ?)", k, w.ID); err != nil {
			return err
		}
		s.tries += 1 - n
	}
	return nil
}

// GetWaiting implements greylist.Store.
func (s *Store) GetWaiting(ctx context.Context, id string) (greylist.Waiting, error) {
	all, err := sqlite.Records[greylist.Waiting](ctx, s.db.R, "SELECT record FROM grey_waiting WHERE id = ?", id)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("%w: %s", greylist.ErrNotFound, id)
	}
	if err != nil {
		return greylist.Waiting{}, err
	}
	return all[0], nil
}

// ListWaiting implements greylist.Store.
func (s *Store) ListWaiting(ctx context.Context, after string, limit int, now time.Time) ([]greylist.Waiting, error) {
	var out []greylist.Waiting
	from := int64(-1 << 62)
	if after != "" {
		w, err := s.GetWaiting(ctx, after)
		if err != nil {
			return nil, err
		}
		from = w.First.UnixMilli()
	}
	all, err := sqlite.Records[greylist.Waiting](ctx, s.db.R,
		"SELECT record FROM grey_waiting WHERE (first, id) > (?, ?) AND expires > ? ORDER BY first, id LIMIT ?", from, after, now.UnixMilli(), limit)
	for _, w := range all {
		if w.Live(now) {
			out = append(out, w)
		}
	}
	return out, err
}

// Settle implements greylist.Store.
func (s *Store) Settle(ctx context.Context, id string, keys []string, k greylist.Known) error {
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		if id != "" {
			if err := s.remove(ctx, tx, "id = ?", id); err != nil {
				return err
			}
		}
		for _, key := range keys {
			if err := s.forget(ctx, tx, "key = ?", key); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO grey_known VALUES (?, ?, ?, ?)", key, k.Last.UnixMilli(), k.Until.UnixMilli(), string(text)); err != nil {
				return err
			}
			s.known++
		}
		return nil
	})
}

// Prune implements greylist.Store.
func (s *Store) Prune(ctx context.Context, before time.Time, limit int) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		if err := s.remove(ctx, tx, "id IN (SELECT id FROM grey_waiting WHERE expires < ? LIMIT ?)", before.UnixMilli(), limit); err != nil {
			return err
		}
		return s.forget(ctx, tx, "key IN (SELECT key FROM grey_known WHERE until < ? LIMIT ?)", before.UnixMilli(), limit)
	})
}
