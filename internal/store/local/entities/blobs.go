package entities

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"postern/internal/entity"
	"postern/internal/spool"
	"postern/internal/store/local/bodies"
	"postern/internal/store/local/sqlite"
)

// receive reads bytes in until their digest is known.
func (s *Store) receive(r io.Reader) (*spool.Body, error) {
	w := s.o.Spool.New()
	defer w.Discard()
	n, err := io.Copy(w, io.LimitReader(r, entity.MaxBlob+1))
	if err != nil {
		return nil, err
	}
	if n > entity.MaxBlob {
		return nil, fmt.Errorf("%w: a blob has at most %d bytes", entity.ErrFull, entity.MaxBlob)
	}
	return w.Finish()
}

// PutBlob implements entity.Blobs. The file is there and synced before the row that names it.
func (s *Store) PutBlob(ctx context.Context, class entity.Class, r io.Reader) (sum string, size int64, err error) {
	return s.PutBlobAt(ctx, class, r, s.o.Now())
}

// PutBlobAt is PutBlob of what another home has kept since a time.
func (s *Store) PutBlobAt(ctx context.Context, class entity.Class, r io.Reader, at time.Time) (sum string, size int64, err error) {
	if err := class.Validate(); err != nil {
		return "", 0, err
	}
	if err := errors.Join(ctx.Err(), s.ground.Check(), s.ground.Room()); err != nil {
		return "", 0, sorted(err)
	}
	body, err := s.receive(r)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = body.Close() }() // its file is ours alone, and cleaned at the next start
	sum, size = body.SHA256(), body.Size()
	if err := s.keep(ctx, class, body, at); err != nil {
		return "", 0, sorted(s.ground.Saw(err))
	}
	return sum, size, nil
}

// keep writes bytes that are not there yet, or are there no more.
func (s *Store) keep(ctx context.Context, class entity.Class, body *spool.Body, at time.Time) error {
	sum, size, files := body.SHA256(), body.Size(), s.files[class]
	defer files.Lock(sum)()
	known, err := s.known(ctx, class, sum)
	if err != nil {
		return err
	}
	if known {
		_, err := files.Verify(sum)
		if err == nil {
			return nil
		}
		s.ground.Log.Warn("a blob is damaged or missing: it is written again", "class", class, "sha256", sum, "error", err)
	} else if err := s.room(ctx, s.ground.R, class, 0); err != nil {
		return err
	}
	stored, err := files.Write(sum, io.NewSectionReader(body, 0, size))
	if err == nil {
		err = s.row(ctx, class, sum, size, stored, at)
		if err != nil && !known {
			err = errors.Join(err, files.Remove(sum))
		}
	}
	return err
}

// row writes the row of a blob, if the cap of its class allows it.
func (s *Store) row(ctx context.Context, class entity.Class, sum string, size, stored int64, at time.Time) error {
	return s.ground.Tx(ctx, func(tx *sql.Tx) error {
		if err := s.room(ctx, tx, class, stored); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO blobs VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", string(class), sum, size, stored, at.UnixMilli())
		return err
	})
}

// room returns ErrFull when a class has none for so many bytes, or for any.
func (s *Store) room(ctx context.Context, q querier, class entity.Class, bytes int64) error {
	limit := s.o.Caps[class]
	if limit <= 0 {
		return nil
	}
	used, err := usedBy(ctx, q, class)
	if err == nil && (used+bytes > limit || used >= limit) {
		err = fmt.Errorf("%w: blobs of class %s take %d of %d bytes", entity.ErrFull, class, used, limit)
	}
	return err
}

func usedBy(ctx context.Context, q querier, class entity.Class) (n int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT bytes FROM blob_totals WHERE class = ?", string(class)).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return n, err
}

func (s *Store) known(ctx context.Context, class entity.Class, sum string) (bool, error) {
	var one int
	err := reader{s}.one(ctx, "SELECT 1 FROM blobs WHERE class = ? AND sum = ?", []any{string(class), sum}, &one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// Blob implements entity.Blobs.
func (s *Store) Blob(ctx context.Context, class entity.Class, sum string) (io.ReadCloser, error) {
	if err := class.Validate(); err != nil {
		return nil, err
	}
	known, err := s.known(ctx, class, sum)
	if err == nil && !known {
		err = fmt.Errorf("%w: blob %.64q of class %s", entity.ErrNotFound, sum, class)
	}
	if err != nil {
		return nil, err
	}
	r, err := s.files[class].Read(sum)
	if errors.Is(err, fs.ErrNotExist) { // its row is there: it was lost, which is no answer to "is there one"
		return nil, fmt.Errorf("%w: the file of blob %s is missing", bodies.ErrDigest, sum)
	}
	return r, err
}

// RemoveBlob implements entity.Blobs.
func (s *Store) RemoveBlob(ctx context.Context, class entity.Class, sum string) error {
	if err := class.Validate(); err != nil || !bodies.ValidName(sum) {
		return err
	}
	defer s.files[class].Lock(sum)()
	gone := false
	err := s.ground.Write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "DELETE FROM blobs WHERE class = ? AND sum = ?", string(class), sum)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		gone = n > 0
		return err
	})
	if err != nil {
		return sorted(err)
	}
	if !gone {
		return nil
	}
	if err := s.files[class].Remove(sum); err != nil {
		s.ground.Log.Warn("the file of a blob could not be removed; the next start does", "class", class, "sha256", sum, "error", err)
	}
	return nil
}

// BlobsBefore implements entity.Blobs.
func (s *Store) BlobsBefore(ctx context.Context, class entity.Class, t time.Time, limit int) (out []string, err error) {
	if err := class.Validate(); err != nil {
		return nil, err
	}
	err = sqlite.Each(ctx, s.ground.R, "SELECT sum FROM blobs WHERE class = ? AND at < ? ORDER BY at, sum LIMIT ?",
		[]any{string(class), t.UnixMilli(), max(limit, 0)}, func(scan sqlite.Scanner) error {
			var sum string
			err := scan(&sum)
			out = append(out, sum)
			return err
		})
	return out, err
}

// BlobTime is since when a class has a blob, or ErrNotFound.
func (s *Store) BlobTime(ctx context.Context, class entity.Class, sum string) (time.Time, error) {
	var at int64
	err := s.ground.R.QueryRowContext(ctx, "SELECT at FROM blobs WHERE class = ? AND sum = ?", string(class), sum).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("%w: blob %.64q of class %s", entity.ErrNotFound, sum, class)
	}
	return time.UnixMilli(at), err
}

// BlobBytes implements entity.Blobs.
func (s *Store) BlobBytes(ctx context.Context, class entity.Class) (used, limit int64, err error) {
	if err := class.Validate(); err != nil {
		return 0, 0, err
	}
	used, err = usedBy(ctx, s.ground.R, class)
	return used, s.o.Caps[class], err
}

// CountBlobs is how many blobs a class has.
func (s *Store) CountBlobs(ctx context.Context, class entity.Class) (n int64, err error) {
	err = s.ground.R.QueryRowContext(ctx, "SELECT count FROM blob_totals WHERE class = ?", string(class)).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return n, err
}
