package local

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"

	"postern/internal/store/local/bodies"
	"postern/internal/store/local/sqlite"
	"postern/quarantine"
)

// shelf keeps body files and the rows that name them together: a file is there before its
// first row, and as long as its last.
type shelf struct {
	db     *sqlite.DB
	bodies *bodies.Bodies
	health *health
}

// start brings files and rows together after a crash.
func (s *shelf) start(ctx context.Context, log *slog.Logger) error {
	known := map[string]struct{}{}
	err := each(ctx, s.db.R, "SELECT sha FROM bodies", nil, func(scan scanner) error {
		var sha string
		err := scan(&sha)
		known[sha] = struct{}{}
		return err
	})
	if err != nil {
		return err
	}
	swept, err := s.bodies.Sweep(known)
	if err != nil {
		return err
	}
	if swept.Temp+swept.Orphans > 0 {
		log.Info("removed what a crash left half written", "temp", swept.Temp, "orphans", swept.Orphans)
	}
	if len(swept.Missing) > 0 {
		log.Error("bodies of stored mail are missing", "count", len(swept.Missing), "first", s.bodies.Path(swept.Missing[0]))
	}
	return nil
}

// errDone ends a put early: there is nothing to write.
var errDone = errors.New("done")

// put makes a body durable and then commits row, which names it once. before is asked first,
// with the body locked: errDone ends the put as done. nil is left out.
func (s *shelf) put(ctx context.Context, sha string, body io.Reader, before func() error, row func(*sql.Tx) error) error {
	if err := s.health.check(); err != nil {
		return err
	}
	if !bodies.ValidName(sha) {
		return fmt.Errorf("%w: no digest", quarantine.ErrCorrupt)
	}
	defer s.bodies.Lock(sha)()
	err := s.locked(ctx, sha, body, before, row)
	if errors.Is(err, bodies.ErrDigest) {
		err = fmt.Errorf("%w: %w", quarantine.ErrCorrupt, err)
	}
	return s.health.saw(err)
}

func (s *shelf) locked(ctx context.Context, sha string, body io.Reader, before func() error, row func(*sql.Tx) error) error {
	if before != nil {
		if err := before(); errors.Is(err, errDone) {
			return nil
		} else if err != nil {
			return err
		}
	}
	refs, err := s.refs(ctx, sha)
	if err != nil {
		return err
	}
	fresh := refs == 0 || !s.bodies.Has(sha)
	var stored int64
	if fresh {
		if stored, err = s.bodies.Write(sha, body); err != nil {
			return err
		}
	}
	err = s.db.Tx(ctx, func(tx *sql.Tx) error {
		if err := addRef(ctx, tx, sha, stored); err != nil {
			return err
		}
		return row(tx)
	})
	if err != nil && fresh {
		err = errors.Join(err, s.removeIfUnused(context.WithoutCancel(ctx), sha))
	}
	return err
}

// refs counts the rows that name a body.
func (s *shelf) refs(ctx context.Context, sha string) (n int, err error) {
	err = s.db.R.QueryRowContext(ctx, "SELECT refs FROM bodies WHERE sha = ?", sha).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return n, err
}

// addRef counts one more row that names a body.
func addRef(ctx context.Context, tx *sql.Tx, sha string, stored int64) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO bodies VALUES (?, ?, 1) ON CONFLICT (sha) DO UPDATE SET refs = refs + 1", sha, stored)
	return err
}

// dropRef counts one less, and reports whether that was the last: then the file may go after
// the commit.
func dropRef(ctx context.Context, tx *sql.Tx, sha string) (last bool, err error) {
	res, err := tx.ExecContext(ctx, "DELETE FROM bodies WHERE sha = ? AND refs = 1", sha)
	if err != nil {
		return false, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return n == 1, err
	}
	_, err = tx.ExecContext(ctx, "UPDATE bodies SET refs = refs - 1 WHERE sha = ?", sha)
	return false, err
}

// removeIfUnused removes a file that no row names. The caller holds the lock of the body.
func (s *shelf) removeIfUnused(ctx context.Context, sha string) error {
	refs, err := s.refs(ctx, sha)
	if err != nil || refs > 0 {
		return err
	}
	return s.bodies.Remove(sha)
}

// sweep removes the files of bodies whose last row is gone. A file that cannot be removed
// now is an orphan, and the next start removes it.
func (s *shelf) sweep(ctx context.Context, shas []string) {
	ctx = context.WithoutCancel(ctx)
	for _, sha := range shas {
		unlock := s.bodies.Lock(sha)
		if err := s.removeIfUnused(ctx, sha); err != nil {
			s.health.log.Warn("a body could not be removed", "sha256", sha, "error", err)
		}
		unlock()
	}
	if len(shas) > 0 {
		s.health.ballast.hold()
	}
}

// open opens a body. Reading it to the end verifies it.
func (s *shelf) open(sha string) (io.ReadCloser, error) {
	r, err := s.bodies.Read(sha)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", quarantine.ErrCorrupt, err)
	}
	if err != nil {
		return nil, err
	}
	return &verified{r}, nil
}

// verified says ErrCorrupt where a body is not what was stored.
type verified struct{ io.ReadCloser }

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	if errors.Is(err, bodies.ErrDigest) {
		err = fmt.Errorf("%w: %w", quarantine.ErrCorrupt, err)
	}
	return n, err
}
