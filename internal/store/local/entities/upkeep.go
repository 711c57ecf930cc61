package entities

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	"postern/internal/entity"
	"postern/internal/store/local/bodies"
	"postern/internal/store/local/sqlite"
)

// Start removes files that a crash left without a row, and names rows that are without a file.
func (s *Store) Start(ctx context.Context) error {
	for _, class := range entity.Classes() {
		known := map[string]struct{}{}
		err := sqlite.Each(ctx, s.ground.R, "SELECT sum FROM blobs WHERE class = ?", []any{string(class)}, func(scan sqlite.Scanner) error {
			var sum string
			err := scan(&sum)
			known[sum] = struct{}{}
			return err
		})
		if err != nil {
			return err
		}
		swept, err := s.files[class].Sweep(known)
		if err != nil {
			return err
		}
		if swept.Temp+swept.Orphans > 0 {
			s.ground.Log.Info("removed what a crash left half written", "class", class, "temp", swept.Temp, "orphans", swept.Orphans)
		}
		if len(swept.Missing) > 0 {
			s.ground.Log.Error("blobs are missing", "class", class, "count", len(swept.Missing), "first", s.files[class].Path(swept.Missing[0]))
		}
	}
	return nil
}

// Folders are the folders below dir that hold the files of blobs.
func Folders(dir string) (out []string) {
	for _, class := range entity.Classes() {
		out = append(out, filepath.Join(dir, string(class)))
	}
	return out
}

// Restore makes the rows of all blobs again from their files, dated as the files are. Damaged
// ones are moved to the folder lost, and named.
func (s *Store) Restore(ctx context.Context, lost string) (blobs int, damaged []string, err error) {
	for _, class := range entity.Classes() {
		files := s.files[class]
		all, err := files.All()
		if err != nil {
			return blobs, damaged, err
		}
		for _, sum := range all {
			switch err := s.restore(ctx, class, sum); {
			case errors.Is(err, bodies.ErrDigest):
				damaged = append(damaged, sum)
				if err := files.SetAside(sum, lost); err != nil {
					return blobs, damaged, err
				}
			case err != nil:
				return blobs, damaged, fmt.Errorf("blob %s: %w", sum, err)
			default:
				blobs++
			}
		}
	}
	return blobs, damaged, nil
}

func (s *Store) restore(ctx context.Context, class entity.Class, sum string) error {
	r, err := s.files[class].Read(sum)
	if err != nil {
		return err
	}
	size, err := io.Copy(io.Discard, r)
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	info, err := os.Stat(s.files[class].Path(sum))
	if err != nil {
		return err
	}
	return s.ground.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO blobs VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
			string(class), sum, size, info.Size(), info.ModTime().UnixMilli())
		return err
	})
}

// Salvage takes over what can be read of the records in another database file, and returns how
// many those are. The error says what kept it from reading the rest.
func (s *Store) Salvage(ctx context.Context, path string) (n int, err error) {
	u := url.URL{Scheme: "file", Path: path, RawQuery: "_pragma=query_only(1)"}
	old, err := sql.Open("sqlite", u.String())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, old.Close()) }()
	st, err := s.writing(ctx)
	if err != nil {
		return 0, err
	}
	last := entity.Record{}
	for {
		page, err := each(ctx, old, last, entity.MaxPage)
		for _, r := range page {
			if r.Validate() != nil {
				continue
			}
			if err := s.ground.Tx(ctx, func(tx *sql.Tx) error { return st.in(ctx, tx).record(ctx, entity.Record{}, r) }); err != nil {
				return n, err
			}
			last = r
			n++
		}
		if err != nil || len(page) == 0 {
			return n, err
		}
	}
}
