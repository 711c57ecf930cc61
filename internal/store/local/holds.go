package local

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"postern/internal/store/local/sqlite"
	"postern/quarantine"
)

// Holds implements quarantine.Store.
type Holds struct {
	db     *sqlite.DB
	shelf  *shelf
	health *health
}

// start takes provisional holds away from the sessions that died with the last process.
func (s *Holds) start(ctx context.Context) error {
	_, err := s.db.W.ExecContext(ctx, "UPDATE holds SET owners = 0 WHERE state = 'provisional'")
	return err
}

// Put implements quarantine.Store.
func (s *Holds) Put(ctx context.Context, h quarantine.Hold, body io.Reader) (quarantine.Hold, error) {
	h.State, h.Version, h.V = quarantine.Provisional, 1, quarantine.RecordVersion
	out := h
	before := func() error {
		old, ok, err := s.again(ctx, h)
		if err == nil && ok {
			out, err = old, errDone
		}
		return err
	}
	err := s.shelf.put(ctx, h.SHA256, body, before, func(tx *sql.Tx) error { return insertHold(ctx, tx, h) })
	if err != nil {
		return quarantine.Hold{}, err
	}
	return out, nil
}

// again joins the caller to the hold that has this key already. The caller holds the lock of
// the body, and one key means one body, so nobody can slip in between.
func (s *Holds) again(ctx context.Context, h quarantine.Hold) (old quarantine.Hold, ok bool, err error) {
	err = s.db.Tx(ctx, func(tx *sql.Tx) error {
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
func free(ctx context.Context, tx *sql.Tx, id string) error {
	_, err := getHold(ctx, tx, id)
	switch {
	case errors.Is(err, quarantine.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%w: %s", quarantine.ErrTaken, id)
}

func insertHold(ctx context.Context, tx *sql.Tx, h quarantine.Hold) error {
	record, err := json.Marshal(h)
	if err != nil {
		return err
	}
	sender := strings.ToLower(h.From)
	res, err := tx.ExecContext(ctx, `INSERT INTO holds (id, key, state, class, policy, at, expires, sender, domain, sha, owners, version, record)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?)`,
		h.ID, h.Key, h.State, h.Class, h.Policy, h.At.UnixMilli(), h.Expires.UnixMilli(), sender, domainOf(sender), h.SHA256, h.Version, string(record))
	if err != nil {
		return err
	}
	n, err := res.LastInsertId()
	if err != nil {
		return err
	}
	for _, addr := range addressKeys(h.To) {
		if _, err := tx.ExecContext(ctx, "INSERT OR IGNORE INTO hold_to VALUES (?, ?)", addr, h.ID); err != nil {
			return err
		}
	}
	for _, sym := range h.Symbols() {
		if _, err := tx.ExecContext(ctx, "INSERT OR IGNORE INTO hold_symbols VALUES (?, ?)", sym, h.ID); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO hold_words (rowid, words) VALUES (?, ?)", n, strings.Join(quarantine.Terms(h.Subject), " "))
	return err
}

// addressKeys are the keys under which recipients are found: each address and its "@domain".
func addressKeys(to []string) []string {
	var out []string
	for _, a := range to {
		a = strings.ToLower(a)
		out = append(out, a)
		if d := domainOf(a); d != "" {
			out = append(out, "@"+d)
		}
	}
	return out
}

func domainOf(addr string) string {
	_, domain, _ := cutLast(addr, "@")
	return domain
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// Body implements quarantine.Store.
func (s *Holds) Body(ctx context.Context, id string) (io.ReadCloser, error) {
	h, err := s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if h.State.Ended() {
		return nil, fmt.Errorf("%w: %s has no body any more", quarantine.ErrNotFound, id)
	}
	return s.shelf.open(h.SHA256)
}

// Clock implements quarantine.Store.
func (s *Holds) Clock(ctx context.Context) (time.Time, error) {
	var ms int64
	err := s.db.R.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = 'clock'").Scan(&ms)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return time.UnixMilli(ms).UTC(), err
}

// SetClock implements quarantine.Store.
func (s *Holds) SetClock(ctx context.Context, t time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO meta VALUES ('clock', ?) ON CONFLICT DO UPDATE SET value = excluded.value", t.UnixMilli())
		return err
	})
}

// write runs f in a transaction unless the home is read-only.
func (s *Holds) write(ctx context.Context, f func(*sql.Tx) error) error {
	return write(ctx, s.db, s.health, f)
}
