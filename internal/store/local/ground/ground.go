// Package ground is what every room of the local home stands on: one database, and the
// knowledge whether writes to it can still be trusted.
package ground

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"syscall"

	"postern/internal/store/local/bodies"
	"postern/internal/store/local/sqlite"
	"postern/quarantine"
)

// Ground is a database with the memory of the first write whose sync failed. After it the
// kernel may have thrown away what it could not write and report nothing more, so no later
// write can be trusted.
type Ground struct {
	*sqlite.DB
	Log     *slog.Logger
	ballast *ballast
	broken  atomic.Pointer[error]
}

// New stands on db; dir is where the reserve file is kept, from the first call of Room on.
func New(db *sqlite.DB, dir string, log *slog.Logger) *Ground {
	return &Ground{DB: db, Log: log, ballast: newBallast(dir)}
}

// Loosen takes the reserve file of an earlier run away: a home on a full disk needs some room to
// be opened.
func Loosen(dir string) { newBallast(dir).drop() }

// Room returns ErrFull while there is no room for the reserve file: what it was given up for
// must not be taken by new mail.
func (g *Ground) Room() error {
	if g.ballast.hold() {
		return nil
	}
	return fmt.Errorf("%w: no room on the disk for the reserve file", quarantine.ErrFull)
}

// Check returns why writes are refused, or nil.
func (g *Ground) Check() error {
	if cause := g.broken.Load(); cause != nil {
		return fmt.Errorf("%w: %w", quarantine.ErrReadOnly, *cause)
	}
	return nil
}

// Saw sorts an error of a write: it turns the home read-only where that must be, and says
// "full" where the disk is.
func (g *Ground) Saw(err error) error {
	if err == nil {
		return nil
	}
	var syncErr *bodies.SyncError
	switch {
	case sqlite.FaultOf(err) == sqlite.Damaged:
		g.Distrust(err)
		return fmt.Errorf("%w: %w", quarantine.ErrReadOnly, err)
	case errors.As(err, &syncErr) && !noSpace(syncErr.Err), sqlite.FaultOf(err) == sqlite.Broken:
		if g.broken.CompareAndSwap(nil, &err) {
			g.Log.Error("a write could not be made durable: the store is read-only until Postern is started again", "error", err)
		}
		return fmt.Errorf("%w: %w", quarantine.ErrReadOnly, err)
	case noSpace(err), sqlite.FaultOf(err) == sqlite.Full:
		return fmt.Errorf("%w: no room on the disk: %w", quarantine.ErrFull, err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", quarantine.ErrCorrupt, err)
	}
	return err
}

// Distrust makes the home read-only because its database is damaged.
func (g *Ground) Distrust(err error) {
	if g.broken.CompareAndSwap(nil, &err) {
		g.Log.Error("the database is damaged: the store is read-only", "error", err)
	}
}

// noSpace reports a full disk. A sync that fails for want of room is one too: the file it
// was for is removed and never trusted.
func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// Write is WriteInRoom for what must not fail for want of a page: on a full disk the reserve
// file makes room for it.
func (g *Ground) Write(ctx context.Context, f func(*sql.Tx) error) error {
	err := g.WriteInRoom(ctx, f)
	if errors.Is(err, quarantine.ErrFull) && g.ballast.spend() {
		g.Log.Warn("the disk is full: the reserve file was given up for a small write")
		err = g.Saw(g.Tx(ctx, f))
	}
	return err
}

// WriteInRoom runs f in a transaction unless the home is read-only: all of it is durable when it
// returns nil, else none.
func (g *Ground) WriteInRoom(ctx context.Context, f func(*sql.Tx) error) error {
	if err := g.Check(); err != nil {
		return err
	}
	return g.Saw(g.Tx(ctx, f))
}
