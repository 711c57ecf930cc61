// Package desk keeps what people decide in the local home: own lists, account states, and
// the audit of it all.
package desk

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"postern/abuse"
	"postern/blocklist"
	"postern/internal/store/local/ground"
	"postern/internal/store/local/sqlite"
)

// revision counts the changes of one table. It is written with each change and kept in
// memory, since it is asked for several times a second and nobody else writes the file.
type revision struct {
	name string
	n    atomic.Uint64
}

func (r *revision) load(ctx context.Context, g *ground.Ground) error {
	var n uint64
	err := g.R.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = ?", r.name).Scan(&n)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	r.n.Store(n)
	return nil
}

// change runs f and raises the revision in the same transaction.
func (r *revision) change(ctx context.Context, g *ground.Ground, f func(*sql.Tx) error) error {
	var now uint64
	err := g.Write(ctx, func(tx *sql.Tx) error {
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

// Lists implements blocklist.Store.
type Lists struct {
	ground *ground.Ground
	rev    revision
}

// OpenLists reads the revision.
func OpenLists(ctx context.Context, g *ground.Ground) (*Lists, error) {
	l := &Lists{ground: g, rev: revision{name: "list_revision"}}
	return l, l.rev.load(ctx, g)
}

// ListRevision implements blocklist.Store.
func (l *Lists) ListRevision(context.Context) (uint64, error) { return l.rev.n.Load(), nil }

// ListEntries implements blocklist.Store. The revision is read first: entries may be newer
// than it says, never older.
func (l *Lists) ListEntries(ctx context.Context) ([]blocklist.Entry, uint64, error) {
	rev := l.rev.n.Load()
	found, err := sqlite.Records[blocklist.Entry](ctx, l.ground.R, "SELECT record FROM lists ORDER BY key")
	return found, rev, err
}

// PutListEntry implements blocklist.Store.
func (l *Lists) PutListEntry(ctx context.Context, e blocklist.Entry) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return l.rev.change(ctx, l.ground, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO lists VALUES (?, ?) ON CONFLICT DO UPDATE SET record = excluded.record", e.Key(), string(text))
		return err
	})
}

// RemoveListEntry implements blocklist.Store.
func (l *Lists) RemoveListEntry(ctx context.Context, key string) error {
	return l.rev.change(ctx, l.ground, func(tx *sql.Tx) error {
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
	ground *ground.Ground
	rev    revision
}

// OpenAccounts reads the revision.
func OpenAccounts(ctx context.Context, g *ground.Ground) (*Accounts, error) {
	a := &Accounts{ground: g, rev: revision{name: "account_revision"}}
	return a, a.rev.load(ctx, g)
}

// AccountRevision implements abuse.Store.
func (a *Accounts) AccountRevision(context.Context) (uint64, error) { return a.rev.n.Load(), nil }

// Accounts implements abuse.Store; the revision is read first, as in ListEntries.
func (a *Accounts) Accounts(ctx context.Context) ([]abuse.Account, uint64, error) {
	rev := a.rev.n.Load()
	found, err := sqlite.Records[abuse.Account](ctx, a.ground.R, "SELECT record FROM accounts ORDER BY name")
	return found, rev, err
}

// Account implements abuse.Store.
func (a *Accounts) Account(ctx context.Context, name string) (abuse.Account, error) {
	found, err := sqlite.Records[abuse.Account](ctx, a.ground.R, "SELECT record FROM accounts WHERE name = ?", name)
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
	return a.rev.change(ctx, a.ground, func(tx *sql.Tx) error {
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
