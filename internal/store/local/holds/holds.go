// Package holds keeps held mail in the local home.
package holds

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"postern/internal/store/local/ground"
	"postern/internal/store/local/search"
	"postern/internal/store/local/shelf"
	"postern/internal/store/local/sqlite"
	"postern/quarantine"
)

// Store implements quarantine.Store.
type Store struct {
	ground *ground.Ground
	shelf  *shelf.Shelf
	keys   *keys
}

// Open takes provisional holds away from the sessions that died with the last process. Learn
// makes it quick for mail that is not held.
func Open(ctx context.Context, g *ground.Ground, files *shelf.Shelf) (*Store, error) {
	if _, err := g.W.ExecContext(ctx, "UPDATE holds SET owners = 0 WHERE state = 'provisional'"); err != nil {
		return nil, err
	}
	return &Store{ground: g, shelf: files, keys: newKeys()}, nil
}

// Put implements quarantine.Store.
func (s *Store) Put(ctx context.Context, h quarantine.Hold, body io.Reader) (quarantine.Hold, error) {
	h.State, h.Version, h.V = quarantine.Provisional, 1, quarantine.RecordVersion
	out := h
	before := func() error {
		old, ok, err := s.again(ctx, h)
		if err == nil && ok {
			out, err = old, shelf.ErrDone
		}
		return err
	}
	it := s.item(ctx, h)
	it.Body, it.Before = body, before
	err := s.shelf.Put(ctx, it)
	if err != nil {
		return quarantine.Hold{}, err
	}
	return out, nil
}

// note is what stands beside a body for a hold.
type note struct {
	Hold *quarantine.Hold `json:"hold"`
}

func (s *Store) item(ctx context.Context, h quarantine.Hold) shelf.Item {
	return shelf.Item{SHA: h.SHA256, Note: note{&h}, Row: func(tx *sql.Tx) error {
		s.keys.add(h.Key) // before anybody can see the row
		return Insert(ctx, tx, h)
	}}
}

// Restore makes a hold again from a note beside its body, as held: whether it was confirmed,
// or has ended since, only the lost database knew. ok is false when the note is none of a
// hold, or the hold is there already.
func (s *Store) Restore(ctx context.Context, sha string, line []byte, stored int64) (ok bool, err error) {
	var n note
	err = json.Unmarshal(line, &n)
	if err != nil || n.Hold == nil || n.Hold.SHA256 != sha || n.Hold.ID == "" {
		return false, nil //nolint:nilerr // a line cut off by a crash is no note
	}
	if err := free(ctx, s.ground.R, n.Hold.ID); errors.Is(err, quarantine.ErrTaken) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	n.Hold.State = quarantine.Held
	return true, s.shelf.Restore(ctx, s.item(ctx, *n.Hold), stored)
}

// again joins the caller to the hold that has this key already. The caller holds the lock of
// the body, and one key means one body, so nobody can slip in between.
func (s *Store) again(ctx context.Context, h quarantine.Hold) (old quarantine.Hold, ok bool, err error) {
	err = s.ground.Tx(ctx, func(tx *sql.Tx) error {
		old, ok, err = findKey(ctx, tx, h.Key, h.At.Add(-quarantine.KeyKept), true)
		if err == nil && !ok {
			err = free(ctx, tx, h.ID)
		}
		if err != nil || !ok || old.State != quarantine.Provisional {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE holds SET owners = owners + 1 WHERE id = ?", old.ID)
		return err
	})
	return old, ok, err
}

// free reports ErrTaken for an ID that is in use.
func free(ctx context.Context, q sqlite.Querier, id string) error {
	_, err := getHold(ctx, q, id)
	switch {
	case errors.Is(err, quarantine.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%w: %s", quarantine.ErrTaken, id)
}

// Insert writes the rows of a hold, as it is, in a transaction of the caller.
func Insert(ctx context.Context, tx *sql.Tx, h quarantine.Hold) error {
	record, err := json.Marshal(h)
	if err != nil {
		return err
	}
	n, err := freePlace(ctx, tx, h.ID)
	if err != nil {
		return err
	}
	sender := strings.ToLower(h.From)
	if _, err := tx.ExecContext(ctx, `INSERT INTO holds (n, id, key, state, class, policy, at, expires, sender, domain, sha, owners, version, record)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?)`,
		n, h.ID, h.Key, h.State, h.Class, h.Policy, h.At.UnixMilli(), h.Expires.UnixMilli(), sender, search.Domain(sender), h.SHA256, h.Version, string(record)); err != nil {
		return err
	}
	for _, addr := range search.AddressKeys(h.To) {
		if _, err := tx.ExecContext(ctx, "INSERT OR IGNORE INTO hold_to VALUES (?, ?)", addr, h.ID); err != nil {
			return err
		}
	}
	for _, sym := range h.Symbols() {
		if _, err := tx.ExecContext(ctx, "INSERT OR IGNORE INTO hold_symbols VALUES (?, ?)", sym, h.ID); err != nil {
			return err
		}
	}
	return insertWords(ctx, tx, n, h)
}

// Body implements quarantine.Store.
func (s *Store) Body(ctx context.Context, id string) (io.ReadCloser, error) {
	h, err := s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if h.State.Ended() {
		return nil, fmt.Errorf("%w: %s has no body any more", quarantine.ErrNotFound, id)
	}
	return s.shelf.Open(h.SHA256)
}

// Clock implements quarantine.Store.
func (s *Store) Clock(ctx context.Context) (time.Time, error) {
	var ms int64
	err := s.ground.R.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = 'clock'").Scan(&ms)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return time.UnixMilli(ms).UTC(), err
}

// SetClock implements quarantine.Store.
func (s *Store) SetClock(ctx context.Context, t time.Time) error {
	return s.ground.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO meta VALUES ('clock', ?) ON CONFLICT DO UPDATE SET value = excluded.value", t.UnixMilli())
		return err
	})
}
