package holds

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"postern/internal/store/local/shelf"
	"postern/internal/store/local/sqlite"
	"postern/quarantine"
)

// Confirm implements quarantine.Store.
func (s *Store) Confirm(ctx context.Context, ids []string) error {
	return s.ground.Write(ctx, func(tx *sql.Tx) error {
		for _, id := range ids {
			res, err := tx.ExecContext(ctx, "UPDATE holds SET state = 'held', version = version + 1 WHERE id = ? AND state = 'provisional'", id)
			if err != nil {
				return err
			}
			if n, err := res.RowsAffected(); err != nil {
				return err
			} else if n == 1 {
				continue
			}
			if _, err := getHold(ctx, tx, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// Drop implements quarantine.Store.
func (s *Store) Drop(ctx context.Context, ids []string) error {
	var gone []string
	err := s.ground.Write(ctx, func(tx *sql.Tx) error {
		gone = nil
		for _, id := range ids {
			if _, err := tx.ExecContext(ctx, "UPDATE holds SET owners = owners - 1 WHERE id = ? AND state = 'provisional'", id); err != nil {
				return err
			}
			shas, err := deleteHolds(ctx, tx, "id = ? AND state = 'provisional' AND owners <= 0", id)
			if err != nil {
				return err
			}
			gone = append(gone, shas...)
		}
		return nil
	})
	if err == nil {
		s.shelf.Sweep(ctx, gone)
	}
	return err
}

// DropBefore implements quarantine.Store.
func (s *Store) DropBefore(ctx context.Context, t time.Time) (n int, err error) {
	var gone []string
	err = s.ground.Write(ctx, func(tx *sql.Tx) error {
		const old = "state = 'provisional' AND at < ?"
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM holds WHERE "+old, t.UnixMilli()).Scan(&n); err != nil {
			return err
		}
		gone, err = deleteHolds(ctx, tx, old, t.UnixMilli())
		return err
	})
	if err != nil {
		return 0, err
	}
	s.shelf.Sweep(ctx, gone)
	return n, nil
}

// deleteHolds deletes rows that still own a body, and returns the bodies no row names now.
func deleteHolds(ctx context.Context, tx *sql.Tx, where string, args ...any) (gone []string, err error) {
	var shas []string
	err = sqlite.Each(ctx, tx, "DELETE FROM holds WHERE "+where+" RETURNING sha", args, func(scan sqlite.Scanner) error {
		var sha string
		err := scan(&sha)
		shas = append(shas, sha)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, sha := range shas {
		last, err := shelf.DropRef(ctx, tx, sha)
		if err != nil {
			return nil, err
		}
		if last {
			gone = append(gone, sha)
		}
	}
	return gone, nil
}

// Change implements quarantine.Store.
func (s *Store) Change(ctx context.Context, h quarantine.Hold) (quarantine.Hold, error) {
	var gone []string
	var now quarantine.Hold
	err := s.ground.Write(ctx, func(tx *sql.Tx) error {
		gone = nil
		var err error
		if now, err = getHold(ctx, tx, h.ID); err != nil {
			return err
		}
		switch {
		case now.State.Ended():
			return fmt.Errorf("%w: %s is %s", quarantine.ErrEnded, h.ID, now.State)
		case now.Version != h.Version:
			return fmt.Errorf("%w: %s", quarantine.ErrConflict, h.ID)
		case !h.State.Open() && !h.State.Ended():
			return fmt.Errorf("a hold cannot become %q", h.State)
		}
		now.State, now.Release, now.Ended, now.Expires = h.State, h.Release, h.Ended, h.Expires
		now.Version++
		if err := updateHold(ctx, tx, now); err != nil || !now.State.Ended() {
			return err
		}
		last, err := shelf.DropRef(ctx, tx, now.SHA256)
		if last {
			gone = []string{now.SHA256}
		}
		return err
	})
	if err != nil {
		return quarantine.Hold{}, err
	}
	s.shelf.Sweep(ctx, gone)
	return now, nil
}

func updateHold(ctx context.Context, tx *sql.Tx, h quarantine.Hold) error {
	record, err := json.Marshal(h)
	if err != nil {
		return err
	}
	var next, ended int64
	if h.Release != nil && !h.Release.Next.IsZero() {
		next = h.Release.Next.UnixMilli()
	}
	if h.Ended != nil {
		ended = h.Ended.At.UnixMilli()
	}
	_, err = tx.ExecContext(ctx, "UPDATE holds SET state = ?, version = ?, expires = ?, next = ?, ended = ?, record = ? WHERE id = ?",
		h.State, h.Version, h.Expires.UnixMilli(), next, ended, string(record), h.ID)
	return err
}

// Forget implements quarantine.Store.
func (s *Store) Forget(ctx context.Context, t time.Time) (n int, err error) {
	err = s.ground.Write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "DELETE FROM holds WHERE ended > 0 AND ended < ?", t.UnixMilli())
		if err != nil {
			return err
		}
		rows, err := res.RowsAffected()
		n = int(rows)
		return err
	})
	return n, err
}
