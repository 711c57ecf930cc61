package local

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"postern/internal/store/local/sqlite"
)

// small is the size up to which a database is read through before it is used: that takes less
// than a second. A larger one is read through while mail flows.
const small = 64 << 20

// look is what is looked at while the home is in use.
type look struct {
	large bool
	stop  context.CancelFunc
	done  chan struct{}
}

// end ends the look, and waits until it has ended.
func (l *look) end() {
	if l.stop == nil {
		return
	}
	l.stop()
	<-l.done
}

// suspect is the file that says, from one start to the next, that the database was found damaged.
func suspect(db string) string { return db + ".suspect" }

// database opens postern.db. A small one, and one that was found damaged, is read through first.
func (h *Home) database(ctx context.Context, path string, small int64, steps []sqlite.Migration) (*sqlite.DB, error) {
	info, err := os.Stat(path)
	h.look.large = err == nil && info.Size() > small
	_, err = os.Stat(suspect(path))
	said := err == nil
	db, err := sqlite.Open(ctx, path, sqlite.Options{Sync: "FULL", Migrations: steps, Check: said || !h.look.large})
	if err != nil {
		return nil, err
	}
	if said { // it was restored
		err = os.Remove(suspect(path))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// begin looks at all that is there: before a small home is used, else while it is.
func (h *Home) begin(ctx context.Context, log *slog.Logger) error {
	if !h.look.large {
		return errors.Join(h.holds.Learn(ctx), h.shelf.Tidy(ctx))
	}
	ctx, h.look.stop = context.WithCancel(context.WithoutCancel(ctx))
	h.look.done = make(chan struct{})
	go func() {
		defer close(h.look.done)
		began := time.Now()
		err := errors.Join(h.holds.Learn(ctx), h.shelf.Tidy(ctx), h.examine(ctx))
		switch {
		case ctx.Err() != nil:
		case err != nil:
			log.Error("what is stored could not all be looked at", "error", err)
		default:
			log.Info("all that is stored was looked at", "took", time.Since(began).Round(time.Millisecond))
		}
	}()
	return nil
}

// examine reads the database through, a table at a time. When it is damaged the home becomes
// read-only, and the next start reads all of it before anything else.
func (h *Home) examine(ctx context.Context) error {
	tables, err := h.ground.Tables(ctx)
	for _, name := range tables {
		if err == nil {
			err = h.ground.Examine(ctx, name)
		}
	}
	var damaged *sqlite.DamageError
	if errors.As(err, &damaged) {
		h.ground.Distrust(damaged)
		return errors.Join(err, mark(suspect(damaged.Path), damaged.Error()))
	}
	return err
}

// mark writes a file durably.
func mark(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Settle waits until all that is stored was looked at.
func (h *Home) Settle(ctx context.Context) error {
	if h.look.done == nil {
		return h.Degraded()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-h.look.done:
		return h.Degraded()
	}
}

// Left counts what a home that is not in use still keeps in dir: mail that is held or owed, and
// records of the rooms. It changes nothing, and needs no lock.
func Left(ctx context.Context, dir string) (mail int, records int64, err error) {
	path := filepath.Join(dir, "postern.db")
	if info, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return 0, 0, nil
	}
	db, err := sqlite.Peek(path)
	if err != nil {
		return 0, 0, err
	}
	var rooms bool // not in the first schemas
	err = db.QueryRowContext(ctx, `SELECT (SELECT coalesce(sum(n), 0) FROM hold_counts WHERE state IN ('held', 'releasing', 'refused')) + (SELECT count(*) FROM outbox),
		EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'entity_totals')`).Scan(&mail, &rooms)
	if err == nil && rooms {
		err = db.QueryRowContext(ctx, "SELECT records FROM entity_totals").Scan(&records)
	}
	return mail, records, errors.Join(err, db.Close())
}
