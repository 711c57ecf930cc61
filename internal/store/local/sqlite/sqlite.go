// Package sqlite opens one database file of the local home: one writer, several readers,
// checked and migrated before anything reads it.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// Options say how a file is opened.
type Options struct {
	Sync       string      // PRAGMA synchronous: FULL for what a promise rests on, else NORMAL
	Migrations []Migration // bring schema n to n+1, from 0 on
	Check      bool        // read the whole file through before use; without it the caller uses Tables and Examine
}

// Migration brings a schema to the next one.
type Migration func(ctx context.Context, tx *sql.Tx) error

// Script is a migration in SQL alone.
func Script(text string) Migration {
	return func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, text)
		return err
	}
}

// DB is an open file.
type DB struct {
	Path string
	W    *sql.DB // one connection; transactions are immediate
	R    *sql.DB // readers
}

// DamageError says that a file is no whole database. Its text tells a postmaster what to do.
type DamageError struct {
	Path string
	Err  error
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("%s is damaged (%v): stop Postern, keep a copy of the file and its -wal, then restore it from a backup, "+
		"or move it away and rebuild it with \"postern store reindex\"; the held bodies beside it are untouched", e.Path, e.Err)
}

// Unwrap returns the cause.
func (e *DamageError) Unwrap() error { return e.Err }

// readers is the number of reading connections: reads are short, the machine is small.
const readers = 4

// Open opens or makes the file at path with mode 0600, checks it, and brings its schema up
// to date; before an existing schema is changed the file is copied to path + ".schemaN".
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	if err := create(path); err != nil {
		return nil, err
	}
	db := &DB{Path: path}
	var err error
	if db.W, err = sql.Open("sqlite", dsn(path, "_txlock=immediate", "_pragma=journal_mode(WAL)", "_pragma=synchronous("+o.Sync+")")); err != nil {
		return nil, err
	}
	db.W.SetMaxOpenConns(1)
	if err := db.prepare(ctx, o); err != nil {
		return nil, errors.Join(damage(path, err), db.W.Close())
	}
	if db.R, err = sql.Open("sqlite", dsn(path, "_pragma=query_only(1)")); err != nil {
		return nil, errors.Join(err, db.W.Close())
	}
	db.R.SetMaxOpenConns(readers)
	db.R.SetMaxIdleConns(readers)
	return db, nil
}

// Close closes the connections; the write-ahead log is folded into the file.
func (db *DB) Close() error { return errors.Join(db.R.Close(), db.W.Close()) }

// create makes the file before SQLite does, so that it and its -wal are private.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	}
	return errors.Join(err, f.Close())
}

func dsn(path string, params ...string) string {
	u := url.URL{Scheme: "file", Path: path}
	params = append(params, "_pragma=busy_timeout(5000)", "_pragma=foreign_keys(1)", "_pragma=trusted_schema(0)")
	return u.String() + "?" + strings.Join(params, "&")
}

func (db *DB) prepare(ctx context.Context, o Options) error {
	if o.Check {
		if err := examine(ctx, db.W, "1"); err != nil {
			return err
		}
	}
	var have int
	if err := db.W.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
		return err
	}
	want := len(o.Migrations)
	if have > want {
		return fmt.Errorf("%s has schema %d and this Postern knows %d: it was written by a newer version; run that one, or restore the copy it made", db.Path, have, want)
	}
	if have > 0 && have < want {
		if err := db.copyTo(ctx, fmt.Sprintf("%s.schema%d", db.Path, have)); err != nil {
			return fmt.Errorf("copy before migration: %w", err)
		}
	}
	for v := have; v < want; v++ {
		if err := db.migrate(ctx, v+1, o.Migrations[v]); err != nil {
			return fmt.Errorf("%s: migration to schema %d: %w", db.Path, v+1, err)
		}
	}
	return nil
}

// copyTo writes a consistent, synced copy; a copy left by an attempt that died is replaced.
func (db *DB) copyTo(ctx context.Context, path string) error {
	tmp := path + ".tmp"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := db.W.ExecContext(ctx, "VACUUM INTO ?", tmp); err != nil {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(0o600), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (db *DB) migrate(ctx context.Context, to int, step Migration) error {
	return db.Tx(ctx, func(tx *sql.Tx) error {
		if err := step(ctx, tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version=%d", to))
		return err
	})
}

// Tx runs f in a write transaction: all of it is durable when Tx returns nil, else none.
func (db *DB) Tx(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := db.W.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		if rerr := tx.Rollback(); rerr != nil && !errors.Is(rerr, sql.ErrTxDone) {
			return errors.Join(err, rerr)
		}
		return err
	}
	return tx.Commit()
}
