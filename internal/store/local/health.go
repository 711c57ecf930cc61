package local

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

// health remembers the first write whose sync failed. After it the kernel may have thrown
// away what it could not write and report nothing more, so no later write can be trusted.
type health struct {
	log     *slog.Logger
	ballast *ballast
	broken  atomic.Pointer[error]
}

// check returns why writes are refused, or nil.
func (h *health) check() error {
	if cause := h.broken.Load(); cause != nil {
		return fmt.Errorf("%w: %w", quarantine.ErrReadOnly, *cause)
	}
	return nil
}

// saw sorts an error of a write: it turns the home read-only where that must be, and says
// "full" where the disk is.
func (h *health) saw(err error) error {
	if err == nil {
		return nil
	}
	var sync *bodies.SyncError
	switch {
	case errors.As(err, &sync) && !noSpace(sync.Err), sqlite.FaultOf(err) == sqlite.Broken:
		if h.broken.CompareAndSwap(nil, &err) {
			h.log.Error("a write could not be made durable: the store is read-only until Postern is started again", "error", err)
		}
		return fmt.Errorf("%w: %w", quarantine.ErrReadOnly, err)
	case noSpace(err), sqlite.FaultOf(err) == sqlite.Full:
		return fmt.Errorf("%w: no room on the disk: %w", quarantine.ErrFull, err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", quarantine.ErrCorrupt, err)
	}
	return err
}

// noSpace reports a full disk. A sync that fails for want of room is one too: the file it
// was for is removed and never trusted.
func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// write runs f in a transaction unless the home is read-only. On a full disk the ballast
// makes room for it.
func write(ctx context.Context, db *sqlite.DB, health *health, f func(*sql.Tx) error) error {
	if err := health.check(); err != nil {
		return err
	}
	err := health.saw(db.Tx(ctx, f))
	if errors.Is(err, quarantine.ErrFull) && health.ballast.spend() {
		health.log.Warn("the disk is full: the reserve file was given up for a small write")
		err = health.saw(db.Tx(ctx, f))
	}
	return err
}
