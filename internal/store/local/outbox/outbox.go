// Package outbox keeps what the gateway still owes in the local home.
package outbox

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"postern/filter"
	relayoutbox "postern/internal/relay/outbox"
	"postern/internal/spool"
	"postern/internal/store/local/ground"
	"postern/internal/store/local/shelf"
	"postern/internal/store/local/sqlite"
)

// Store implements outbox.Store. Its bodies are files counted with those of the holds.
type Store struct {
	ground *ground.Ground
	shelf  *shelf.Shelf
	spool  *spool.Spool
	now    func() time.Time
}

// Open voids the claims of the process that had the home open before. Bodies are unpacked
// into sp; now dates new IDs.
func Open(ctx context.Context, g *ground.Ground, files *shelf.Shelf, sp *spool.Spool, now func() time.Time) (*Store, error) {
	_, err := g.W.ExecContext(ctx, "UPDATE outbox SET lease = 0, crashed = 1, version = version + 1 WHERE lease <> 0")
	return &Store{ground: g, shelf: files, spool: sp, now: now}, err
}

// Add implements outbox.Store.
func (s *Store) Add(ctx context.Context, e relayoutbox.Entry, body io.Reader) (string, error) {
	if e.ID == "" {
		id, err := filter.NewID(s.now(), rand.Reader)
		if err != nil {
			return "", err
		}
		e.ID = id
	}
	e.Version = 1
	it, err := item(ctx, e)
	if err != nil {
		return "", err
	}
	it.Body = body
	return e.ID, s.shelf.Put(ctx, it)
}

// note is what stands beside a body for an entry.
type note struct {
	Outbox *relayoutbox.Entry `json:"outbox"`
}

func item(ctx context.Context, e relayoutbox.Entry) (shelf.Item, error) {
	text, err := json.Marshal(e)
	return shelf.Item{SHA: e.SHA256, Note: note{&e}, Row: func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO outbox (id, next, sha, version, record) VALUES (?, ?, ?, 1, ?)", e.ID, e.Next.UnixMilli(), e.SHA256, string(text))
		return err
	}}, err
}

// Restore makes an entry again from a note beside its body, as ambiguous: it may have been
// delivered since. ok is false when the note is none of an entry, or the entry is there.
func (s *Store) Restore(ctx context.Context, sha string, line []byte, stored int64) (ok bool, err error) {
	var n note
	err = json.Unmarshal(line, &n)
	if err != nil || n.Outbox == nil || n.Outbox.SHA256 != sha || n.Outbox.ID == "" {
		return false, nil //nolint:nilerr // a line cut off by a crash is no note
	}
	if _, err := s.Get(ctx, n.Outbox.ID); !errors.Is(err, relayoutbox.ErrNotFound) {
		return false, err
	}
	n.Outbox.Ambiguous = true
	it, err := item(ctx, *n.Outbox)
	if err != nil {
		return false, err
	}
	return true, s.shelf.Restore(ctx, it, stored)
}

const outboxColumns = "SELECT version, record, lease <> 0 OR crashed FROM outbox "

func selectEntries(ctx context.Context, q sqlite.Querier, rest string, args ...any) (out []relayoutbox.Entry, crashed bool, err error) {
	err = sqlite.Each(ctx, q, outboxColumns+rest, args, func(scan sqlite.Scanner) error {
		var e relayoutbox.Entry
		var version int64
		var text string
		if err := scan(&version, &text, &crashed); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			return fmt.Errorf("outbox record: %w", err)
		}
		e.Version = version
		out = append(out, e)
		return nil
	})
	return out, crashed, err
}

// Claim implements outbox.Store.
func (s *Store) Claim(ctx context.Context, now time.Time, lease time.Duration) (e relayoutbox.Entry, crashed, ok bool, err error) {
	err = s.ground.Write(ctx, func(tx *sql.Tx) error {
		found, was, err := selectEntries(ctx, tx, "WHERE next <= ?1 AND lease <= ?1 ORDER BY next, id LIMIT 1", now.UnixMilli())
		if ok = err == nil && len(found) == 1; !ok {
			return err
		}
		e, crashed = found[0], was
		return take(ctx, tx, &e, now.Add(lease))
	})
	if err != nil {
		return relayoutbox.Entry{}, false, false, err
	}
	return e, crashed, ok, nil
}

// ClaimID implements outbox.Store.
func (s *Store) ClaimID(ctx context.Context, id string, now time.Time, lease time.Duration) (e relayoutbox.Entry, crashed bool, err error) {
	err = s.ground.Write(ctx, func(tx *sql.Tx) error {
		found, was, err := selectEntries(ctx, tx, "WHERE id = ? AND lease <= ?", id, now.UnixMilli())
		if err != nil {
			return err
		}
		if len(found) == 0 {
			if _, err := getEntry(ctx, tx, id); err != nil {
				return err
			}
			return fmt.Errorf("%w: %s", relayoutbox.ErrLost, id)
		}
		e, crashed = found[0], was
		return take(ctx, tx, &e, now.Add(lease))
	})
	if err != nil {
		return relayoutbox.Entry{}, false, err
	}
	return e, crashed, nil
}

// take writes a claim down.
func take(ctx context.Context, tx *sql.Tx, e *relayoutbox.Entry, until time.Time) error {
	e.Version++
	_, err := tx.ExecContext(ctx, "UPDATE outbox SET lease = ?, crashed = 0, version = ? WHERE id = ?", until.UnixMilli(), e.Version, e.ID)
	return err
}

// Retry implements outbox.Store.
func (s *Store) Retry(ctx context.Context, e relayoutbox.Entry) error {
	return s.ground.Write(ctx, func(tx *sql.Tx) error {
		now, err := claimed(ctx, tx, e)
		if err != nil {
			return err
		}
		now.To, now.Next, now.Attempts, now.Ambiguous, now.LastReply = e.To, e.Next, e.Attempts, e.Ambiguous, e.LastReply
		now.Version++
		text, err := json.Marshal(now)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE outbox SET next = ?, lease = 0, version = ?, record = ? WHERE id = ?", now.Next.UnixMilli(), now.Version, string(text), e.ID)
		return err
	})
}

// claimed returns the stored entry if e is the claim on it.
func claimed(ctx context.Context, tx *sql.Tx, e relayoutbox.Entry) (relayoutbox.Entry, error) {
	found, _, err := selectEntries(ctx, tx, "WHERE id = ? AND version = ? AND lease <> 0", e.ID, e.Version)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%w: %s", relayoutbox.ErrLost, e.ID)
	}
	if err != nil {
		return relayoutbox.Entry{}, err
	}
	return found[0], nil
}

// End implements outbox.Store.
func (s *Store) End(ctx context.Context, e relayoutbox.Entry) error {
	var gone []string
	err := s.ground.Write(ctx, func(tx *sql.Tx) error {
		gone = nil
		now, err := claimed(ctx, tx, e)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM outbox WHERE id = ?", e.ID); err != nil {
			return err
		}
		last, err := shelf.DropRef(ctx, tx, now.SHA256)
		if last {
			gone = []string{now.SHA256}
		}
		return err
	})
	if err == nil {
		s.shelf.Sweep(ctx, gone)
	}
	return err
}

// Body implements outbox.Store. The whole body is unpacked and verified first.
func (s *Store) Body(ctx context.Context, id string) (relayoutbox.Body, error) {
	e, err := s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	r, err := s.shelf.Open(e.SHA256)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	w := s.spool.New()
	if _, err := io.Copy(w, r); err != nil {
		w.Discard()
		return nil, err
	}
	return w.Finish()
}

// Get implements outbox.Store.
func (s *Store) Get(ctx context.Context, id string) (relayoutbox.Entry, error) {
	return getEntry(ctx, s.ground.R, id)
}

func getEntry(ctx context.Context, q sqlite.Querier, id string) (relayoutbox.Entry, error) {
	found, _, err := selectEntries(ctx, q, "WHERE id = ?", id)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%w: %s", relayoutbox.ErrNotFound, id)
	}
	if err != nil {
		return relayoutbox.Entry{}, err
	}
	return found[0], nil
}

// List implements outbox.Store.
func (s *Store) List(ctx context.Context, after string, limit int) ([]relayoutbox.Entry, error) {
	found, _, err := selectEntries(ctx, s.ground.R, "WHERE id > ? ORDER BY id LIMIT ?", after, limit)
	return found, err
}

// Hurry implements outbox.Store.
func (s *Store) Hurry(ctx context.Context, id string, now time.Time) error {
	return s.ground.Write(ctx, func(tx *sql.Tx) error {
		found, _, err := selectEntries(ctx, tx, "WHERE id = ? AND lease <= ?", id, now.UnixMilli())
		if err != nil {
			return err
		}
		if len(found) == 0 {
			// Claimed entries are being tried already.
			_, err := getEntry(ctx, tx, id)
			return err
		}
		e := found[0]
		e.Next = now
		e.Version++
		text, err := json.Marshal(e)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE outbox SET next = ?, version = ?, record = ? WHERE id = ?", now.UnixMilli(), e.Version, string(text), id)
		return err
	})
}

// Due implements outbox.Store. An entry whose claim is never given back counts from the end
// of its lease.
func (s *Store) Due(ctx context.Context) (next time.Time, ok bool, err error) {
	var ms int64
	err = s.ground.R.QueryRowContext(ctx, "SELECT max(next, lease) FROM outbox ORDER BY max(next, lease) LIMIT 1").Scan(&ms)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, false, nil
	}
	return time.UnixMilli(ms).UTC(), err == nil, err
}

// Count is the number of entries, for the metrics.
func (s *Store) Count(ctx context.Context) (n int, err error) {
	err = s.ground.R.QueryRowContext(ctx, "SELECT count(*) FROM outbox").Scan(&n)
	return n, err
}
