// Package shelf keeps body files and the rows that name them together.
package shelf

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"postern/internal/store/local/bodies"
	"postern/internal/store/local/ground"
	"postern/internal/store/local/sqlite"
	"postern/quarantine"
)

// Shelf keeps body files and the rows that name them together: a file is there before its
// first row, and as long as its last.
type Shelf struct {
	ground *ground.Ground
	bodies *bodies.Bodies
}

// New puts a shelf on the ground.
func New(g *ground.Ground, files *bodies.Bodies) *Shelf { return &Shelf{ground: g, bodies: files} }

// Start removes what a process that died was writing, before anything is written.
func (s *Shelf) Start() error {
	n, err := s.bodies.Clear()
	if n > 0 {
		s.ground.Log.Info("removed what a crash left half written", "files", n)
	}
	return err
}

// Tidy brings files and rows together after a crash, a folder at a time. Mail may come and go
// meanwhile.
func (s *Shelf) Tidy(ctx context.Context) error {
	orphans, missing, first := 0, 0, ""
	for folder := range bodies.Folders {
		known, err := s.known(ctx, folder)
		if err != nil {
			return err
		}
		lonely, gone, err := s.bodies.Look(folder, known)
		if err != nil {
			return err
		}
		s.Sweep(ctx, lonely)
		orphans += len(lonely)
		for _, sha := range gone {
			lost, err := s.lost(ctx, sha)
			if err != nil {
				return err
			}
			if lost {
				missing++
				first = cmp.Or(first, s.bodies.Path(sha))
			}
		}
	}
	if orphans > 0 {
		s.ground.Log.Info("removed bodies that a crash left without a row", "count", orphans)
	}
	if missing > 0 {
		s.ground.Log.Error("bodies of stored mail are missing", "count", missing, "first", first)
	}
	return nil
}

// known are the bodies of a folder that rows name.
func (s *Shelf) known(ctx context.Context, folder int) (map[string]struct{}, error) {
	known := map[string]struct{}{}
	from := fmt.Sprintf("%02x", folder)
	err := sqlite.Each(ctx, s.ground.R, "SELECT sha FROM bodies WHERE sha >= ? AND sha < ?", []any{from, from + "~"}, func(scan sqlite.Scanner) error {
		var sha string
		err := scan(&sha)
		known[sha] = struct{}{}
		return err
	})
	return known, err
}

// lost reports whether a body is named and not there.
func (s *Shelf) lost(ctx context.Context, sha string) (bool, error) {
	defer s.bodies.Lock(sha)()
	refs, err := s.refs(ctx, sha)
	return refs > 0 && !s.bodies.Has(sha), err
}

// ErrDone ends a put early: there is nothing to write.
var ErrDone = errors.New("done")

// Item is a body and the row that names it.
type Item struct {
	SHA    string
	Body   io.Reader
	Note   any                 // what the row can be made from again, as JSON
	Before func() error        // asked first, with the body locked; ErrDone ends the put as done; nil is left out
	Row    func(*sql.Tx) error // writes the row
}

// Put makes a body durable and then commits the row that names it.
func (s *Shelf) Put(ctx context.Context, it Item) error {
	if err := errors.Join(s.ground.Check(), s.ground.Room()); err != nil {
		return err
	}
	if !bodies.ValidName(it.SHA) {
		return fmt.Errorf("%w: no digest", quarantine.ErrCorrupt)
	}
	defer s.bodies.Lock(it.SHA)()
	err := s.locked(ctx, it)
	if errors.Is(err, bodies.ErrDigest) {
		err = fmt.Errorf("%w: %w", quarantine.ErrCorrupt, err)
	}
	return s.ground.Saw(err)
}

func (s *Shelf) locked(ctx context.Context, it Item) error {
	if it.Before != nil {
		if err := it.Before(); errors.Is(err, ErrDone) {
			return nil
		} else if err != nil {
			return err
		}
	}
	refs, err := s.refs(ctx, it.SHA)
	if err != nil {
		return err
	}
	fresh := refs == 0 || !s.bodies.Has(it.SHA)
	var stored int64
	if fresh {
		if stored, err = s.bodies.Write(it.SHA, it.Body); err != nil {
			return err
		}
	}
	s.note(it)
	err = s.row(ctx, it, stored)
	if err != nil && fresh {
		err = errors.Join(err, s.removeIfUnused(context.WithoutCancel(ctx), it.SHA))
	}
	return err
}

func (s *Shelf) row(ctx context.Context, it Item, stored int64) error {
	return s.ground.Tx(ctx, func(tx *sql.Tx) error {
		if err := AddRef(ctx, tx, it.SHA, stored); err != nil {
			return err
		}
		return it.Row(tx)
	})
}

// note writes down what the row can be made from again. A note that cannot be written is no
// reason to refuse mail.
func (s *Shelf) note(it Item) {
	line, err := json.Marshal(it.Note)
	if err == nil {
		err = s.bodies.Note(it.SHA, line)
	}
	if err != nil {
		s.ground.Log.Warn("no note could be written beside a body", "sha256", it.SHA, "error", err)
	}
}

// Restore commits a row for a body that is there already, whole.
func (s *Shelf) Restore(ctx context.Context, it Item, stored int64) error {
	return s.row(ctx, it, stored)
}

// refs counts the rows that name a body.
func (s *Shelf) refs(ctx context.Context, sha string) (n int, err error) {
	err = s.ground.R.QueryRowContext(ctx, "SELECT refs FROM bodies WHERE sha = ?", sha).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return n, err
}

// AddRef counts one more row that names a body.
func AddRef(ctx context.Context, tx *sql.Tx, sha string, stored int64) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO bodies VALUES (?, ?, 1) ON CONFLICT (sha) DO UPDATE SET refs = refs + 1", sha, stored)
	return err
}

// DropRef counts one less, and reports whether that was the last: then the file may go after
// the commit.
func DropRef(ctx context.Context, tx *sql.Tx, sha string) (last bool, err error) {
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
func (s *Shelf) removeIfUnused(ctx context.Context, sha string) error {
	refs, err := s.refs(ctx, sha)
	if err != nil || refs > 0 {
		return err
	}
	return s.bodies.Remove(sha)
}

// Sweep removes the files of bodies whose last row is gone. A file that cannot be removed
// now is an orphan, and the next start removes it.
func (s *Shelf) Sweep(ctx context.Context, shas []string) {
	ctx = context.WithoutCancel(ctx)
	for _, sha := range shas {
		unlock := s.bodies.Lock(sha)
		if err := s.removeIfUnused(ctx, sha); err != nil {
			s.ground.Log.Warn("a body could not be removed", "sha256", sha, "error", err)
		}
		unlock()
	}
}

// Open opens a body. Reading it to the end verifies it.
func (s *Shelf) Open(sha string) (io.ReadCloser, error) {
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
