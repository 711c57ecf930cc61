package local

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"postern/abuse"
	"postern/blocklist"
	"postern/internal/store/local/sqlite"
)

// revision counts the changes of one table. It is written with each change and kept in
// memory, since it is asked for several times a second and nobody else writes the file.
type revision struct {
	name string
	n    atomic.Uint64
}

func (r *revision) load(ctx context.Context, db *sqlite.DB) error {
	var n uint64
	err := db.R.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = ?", r.name).Scan(&n)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	r.n.Store(n)
	return nil
}

// change runs f and raises the revision in the same transaction.
func (r *revision) change(ctx context.Context, db *sqlite.DB, health *health, f func(*sql.Tx) error) error {
	var now uint64
	err := write(ctx, db, health, func(tx *sql.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, "INSERT INTO meta VALUES (?, 1) ON CONFLICT DO UPDATE SET value = value + 1 RETURNING value", r.name).Scan(&now)
	})
	for err == nil {
		// Two changes may come here in either order; the larger revision stands.
		if old := r.n.Load(); old >= now || r.n.CompareAndSwap(old, now) {
			break
		}
	}
	return err
}

// records reads JSON records of one column.
func records[T any](ctx context.Context, q querier, query string, args ...any) ([]T, error) {
	var out []T
	err := each(ctx, q, query, args, func(scan scanner) error {
		var text string
		var one T
		if err := scan(&text); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(text), &one); err != nil {
			return err
		}
		out = append(out, one)
		return nil
	})
	return out, err
}

// Lists implements blocklist.Store.
type Lists struct {
	db     *sqlite.DB
	health *health
	rev    revision
}

func openLists(ctx context.Context, db *sqlite.DB, health *health) (*Lists, error) {
	l := &Lists{db: db, health: health, rev: revision{name: "list_revision"}}
	return l, l.rev.load(ctx, db)
}

// ListRevision implements blocklist.Store.
func (l *Lists) ListRevision(context.Context) (uint64, error) { return l.rev.n.Load(), nil }

// ListEntries implements blocklist.Store. The revision is read first: entries may be newer
// than it says, never older.
func (l *Lists) ListEntries(ctx context.Context) ([]blocklist.Entry, uint64, error) {
	rev := l.rev.n.Load()
	found, err := records[blocklist.Entry](ctx, l.db.R, "SELECT record FROM lists ORDER BY key")
	return found, rev, err
}

// PutListEntry implements blocklist.Store.
func (l *Lists) PutListEntry(ctx context.Context, e blocklist.Entry) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return l.rev.change(ctx, l.db, l.health, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO lists VALUES (?, ?) ON CONFLICT DO UPDATE SET record = excluded.record", e.Key(), string(text))
		return err
	})
}

// RemoveListEntry implements blocklist.Store.
func (l *Lists) RemoveListEntry(ctx context.Context, key string) error {
	return l.rev.change(ctx, l.db, l.health, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "DELETE FROM lists WHERE key = ?", key)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 1 {
			return err
		}
		return fmt.Errorf("%w: %s", blocklist.ErrNotFound, key)
	})
}

// Accounts implements abuse.Store.
type Accounts struct {
	db     *sqlite.DB
	health *health
	rev    revision
}

func openAccounts(ctx context.Context, db *sqlite.DB, health *health) (*Accounts, error) {
	a := &Accounts{db: db, health: health, rev: revision{name: "account_revision"}}
	return a, a.rev.load(ctx, db)
}

// AccountRevision implements abuse.Store.
func (a *Accounts) AccountRevision(context.Context) (uint64, error) { return a.rev.n.Load(), nil }

// Accounts implements abuse.Store; the revision is read first, as in ListEntries.
func (a *Accounts) Accounts(ctx context.Context) ([]abuse.Account, uint64, error) {
	rev := a.rev.n.Load()
	found, err := records[abuse.Account](ctx, a.db.R, "SELECT record FROM accounts ORDER BY name")
	return found, rev, err
}

// Account implements abuse.Store.
func (a *Accounts) Account(ctx context.Context, name string) (abuse.Account, error) {
	found, err := records[abuse.Account](ctx, a.db.R, "SELECT record FROM accounts WHERE name = ?", name)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%w: %s", abuse.ErrNotFound, name)
	}
	if err != nil {
		return abuse.Account{}, err
	}
	return found[0], nil
}

// PutAccount implements abuse.Store.
func (a *Accounts) PutAccount(ctx context.Context, acc abuse.Account) error {
	text, err := json.Marshal(acc)
	if err != nil {
		return err
	}
	return a.rev.change(ctx, a.db, a.health, func(tx *sql.Tx) error {
		var have uint64
		err := tx.QueryRowContext(ctx, "SELECT version FROM accounts WHERE name = ?", acc.Name).Scan(&have)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if acc.Version != have+1 {
			return fmt.Errorf("%w: %s has version %d", abuse.ErrConflict, acc.Name, have)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO accounts VALUES (?, ?, ?)
			ON CONFLICT DO UPDATE SET version = excluded.version, record = excluded.record`, acc.Name, acc.Version, string(text))
		return err
	})
}
