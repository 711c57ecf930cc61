// Package localtest fills an embedded home with holds faster than mail could, for measuring.
package localtest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"path/filepath"

	"postern/internal/store/local"
	"postern/internal/store/local/bodies"
	"postern/internal/store/local/holds"
	"postern/internal/store/local/shelf"
	"postern/internal/store/local/sqlite"
	"postern/quarantine"
)

// perTx is how many holds are written in one transaction.
const perTx = 20_000

// careless opens the database for speed: what a crash leaves of it is nothing worth.
const careless = "_pragma=synchronous(OFF)&_pragma=cache_size(-500000)&_pragma=wal_autocheckpoint(50000)&_txlock=immediate"

// Fill makes a home in dir with n holds in it, without waiting for the disk: nobody expects a
// promise of it. each gives a hold and its body; holds may share bodies.
func Fill(ctx context.Context, dir string, n int, each func(n int) (quarantine.Hold, []byte)) error {
	h, err := local.Open(ctx, local.Options{Dir: dir}) // makes the folders and the schema
	if err != nil {
		return err
	}
	if err := h.Close(); err != nil {
		return err
	}
	files, err := bodies.Open(filepath.Join(dir, "bodies"), lazy{})
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "postern.db")+"?"+careless)
	if err != nil {
		return err
	}
	w := sqlite.DB{W: db}
	f := filler{files: files, stored: map[string]int64{}, each: each}
	for first := 0; first < n && err == nil; first += perTx {
		err = w.Tx(ctx, func(tx *sql.Tx) error { return f.fill(ctx, tx, first, min(first+perTx, n)) })
	}
	return errors.Join(err, db.Close())
}

type filler struct {
	files  *bodies.Bodies
	stored map[string]int64 // by digest, what is there
	each   func(n int) (quarantine.Hold, []byte)
}

func (f filler) fill(ctx context.Context, tx *sql.Tx, first, end int) error {
	for n := first; n < end; n++ {
		h, body := f.each(n)
		if _, ok := f.stored[h.SHA256]; !ok {
			stored, err := f.files.Write(h.SHA256, bytes.NewReader(body))
			if err != nil {
				return err
			}
			f.stored[h.SHA256] = stored
		}
		if err := shelf.AddRef(ctx, tx, h.SHA256, f.stored[h.SHA256]); err != nil {
			return err
		}
		if err := holds.Insert(ctx, tx, h); err != nil {
			return err
		}
	}
	return nil
}

// lazy is a disk that syncs nothing.
type lazy struct{ bodies.OS }

func (lazy) SyncDir(string) error { return nil }

func (d lazy) CreateTemp(dir, pattern string) (bodies.File, error) {
	f, err := d.OS.CreateTemp(dir, pattern)
	return lazyFile{f}, err
}

type lazyFile struct{ bodies.File }

func (lazyFile) Sync() error { return nil }
