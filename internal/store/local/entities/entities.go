// Package entities keeps the records of the rooms and the bytes they rest on in the local home:
// records as rows of the database that is synced at every change, bytes as files beside it.
package entities

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"postern/internal/entity"
	"postern/internal/spool"
	"postern/internal/store/local/bodies"
	"postern/internal/store/local/ground"
	"postern/internal/store/local/sqlite"
	"postern/quarantine"
)

// Options say where the bytes are. All but Caps are needed.
type Options struct {
	Dir   string // of the bytes, a folder for each class
	Disk  bodies.Disk
	Spool *spool.Spool // where bytes wait until their digest is known
	Now   func() time.Time
	Caps  map[entity.Class]int64 // bytes of files; 0 = none
}

// Store implements entity.Home.
type Store struct {
	ground *ground.Ground
	o      Options
	files  map[entity.Class]*bodies.Bodies

	reads, writes prepared // statements
}

// Open makes the folders. Nothing may be put before Start.
func Open(g *ground.Ground, o Options) (*Store, error) {
	s := &Store{ground: g, o: o, files: map[entity.Class]*bodies.Bodies{}}
	if err := o.Disk.Mkdir(o.Dir); err != nil {
		return nil, err
	}
	for _, class := range entity.Classes() {
		dir := filepath.Join(o.Dir, string(class))
		if err := o.Disk.Mkdir(dir); err != nil {
			return nil, err
		}
		var err error
		if s.files[class], err = bodies.Open(dir, o.Disk); err != nil {
			return nil, err
		}
	}
	for _, dir := range []string{o.Dir, filepath.Dir(o.Dir)} {
		if err := o.Disk.SyncDir(dir); err != nil {
			return nil, &bodies.SyncError{Path: dir, Err: err}
		}
	}
	return s, nil
}

// sorted gives an error of the ground the name that callers of an entity.Store know.
func sorted(err error) error {
	if errors.Is(err, quarantine.ErrFull) {
		return fmt.Errorf("%w: %w", entity.ErrFull, err)
	}
	return err
}

// Put implements entity.Store.
func (s *Store) Put(ctx context.Context, r entity.Record) error {
	if err := r.Validate(); err != nil {
		return err
	}
	return s.change(ctx, func(st *statements) error {
		old, err := get(ctx, st.get, r.Kind, r.ID)
		switch {
		case err != nil && !errors.Is(err, entity.ErrNotFound):
			return err
		case r.Version == 1 && old.Version != 0:
			return fmt.Errorf("%w: %s %s", entity.ErrExists, r.Kind, r.ID)
		case old.Version != r.Version-1:
			return fmt.Errorf("%w: %s %s has version %d", entity.ErrConflict, r.Kind, r.ID, old.Version)
		}
		return st.record(ctx, old, r)
	})
}

// change runs f in a transaction: all of it is durable when change returns nil, else none. The
// reserve of a full disk is left to those who make room.
func (s *Store) change(ctx context.Context, f func(st *statements) error) error {
	if err := s.ground.Check(); err != nil {
		return err
	}
	st, err := s.writing(ctx)
	if err != nil {
		return sorted(s.ground.Saw(err))
	}
	return sorted(s.ground.WriteInRoom(ctx, func(tx *sql.Tx) error { return f(st.in(ctx, tx)) }))
}

// record writes a record over the one that is there.
func (st *statements) record(ctx context.Context, old, r entity.Record) error {
	keys, err := json.Marshal(r.Keys)
	if err != nil {
		return err
	}
	if _, err = st.put.ExecContext(ctx, string(r.Kind), r.ID, r.Version, r.Data, string(keys)); err != nil {
		return err
	}
	return errors.Join(st.refile(ctx, old, r), st.raise(ctx, r.Kind))
}

// refile takes away the keys that a record had and writes those it has now; what stays is left
// alone.
func (st *statements) refile(ctx context.Context, old, now entity.Record) error {
	for _, k := range old.Keys {
		if slices.Contains(now.Keys, k) {
			continue
		}
		if _, err := st.unfile.ExecContext(ctx, string(old.Kind), k.Index, k.Value, k.At, old.ID); err != nil {
			return err
		}
	}
	for _, k := range now.Keys {
		if slices.Contains(old.Keys, k) {
			continue
		}
		if _, err := st.file.ExecContext(ctx, string(now.Kind), k.Index, k.Value, k.At, now.ID); err != nil {
			return err
		}
	}
	return nil
}

// raise raises the revision of a kind.
func (st *statements) raise(ctx context.Context, kind entity.Kind) error {
	_, err := st.grow.ExecContext(ctx, revisionOf(kind))
	return err
}

func revisionOf(kind entity.Kind) string { return "entity_revision:" + string(kind) }

// querier is a database or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func get(ctx context.Context, by *sql.Stmt, kind entity.Kind, id string) (entity.Record, error) {
	r := entity.Record{Kind: kind, ID: id}
	var keys []byte
	err := by.QueryRowContext(ctx, string(kind), id).Scan(&r.Version, &r.Data, &keys)
	if errors.Is(err, sql.ErrNoRows) {
		return entity.Record{}, fmt.Errorf("%w: %s %.150q", entity.ErrNotFound, kind, id)
	}
	if err == nil {
		err = json.Unmarshal(keys, &r.Keys)
	}
	return r, err
}

// Get implements entity.Store.
func (s *Store) Get(ctx context.Context, kind entity.Kind, id string) (entity.Record, error) {
	by, err := s.reads.on(ctx, s.ground.R, getSQL)
	if err != nil {
		return entity.Record{}, err
	}
	return get(ctx, by, kind, id)
}

// Remove implements entity.Store.
func (s *Store) Remove(ctx context.Context, kind entity.Kind, id string, version uint64) error {
	return s.change(ctx, func(st *statements) error {
		old, err := get(ctx, st.get, kind, id)
		switch {
		case errors.Is(err, entity.ErrNotFound):
			return nil
		case err != nil:
			return err
		case old.Version != version:
			return fmt.Errorf("%w: %s %s has version %d", entity.ErrConflict, kind, id, old.Version)
		}
		if _, err := st.drop.ExecContext(ctx, string(kind), id); err != nil {
			return err
		}
		return errors.Join(st.refile(ctx, old, entity.Record{}), st.raise(ctx, kind))
	})
}

// Revision implements entity.Store.
func (s *Store) Revision(ctx context.Context, kind entity.Kind) (n uint64, err error) {
	err = reader{s}.one(ctx, "SELECT value FROM meta WHERE name = ?", []any{revisionOf(kind)}, &n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return n, err
}

// Size is how many records there are, and about the bytes they take.
func (s *Store) Size(ctx context.Context) (records, bytes int64, err error) {
	err = s.ground.R.QueryRowContext(ctx, "SELECT records, bytes FROM entity_totals").Scan(&records, &bytes)
	return records, bytes, err
}

// Walk gives all records of all kinds to f, many at a time. Those that change meanwhile are given
// as they were or as they are.
func (s *Store) Walk(ctx context.Context, f func(records []entity.Record) error) error {
	for last := (entity.Record{}); ; {
		page, err := each(ctx, s.ground.R, last, look)
		if err != nil || len(page) == 0 {
			return err
		}
		if err := f(page); err != nil {
			return err
		}
		last = page[len(page)-1]
	}
}

// look is how many records Walk reads at once.
const look = 200

func each(ctx context.Context, q sqlite.Querier, after entity.Record, limit int) (out []entity.Record, err error) {
	weight := 0
	err = sqlite.Each(ctx, q, "SELECT kind, id, version, data, keys FROM entities WHERE (kind, id) > (?, ?) ORDER BY kind, id LIMIT ?",
		[]any{string(after.Kind), after.ID, limit}, func(scan sqlite.Scanner) error {
			if weight > entity.MaxWeight {
				return errPageFull
			}
			var r entity.Record
			var keys []byte
			if err := scan(&r.Kind, &r.ID, &r.Version, &r.Data, &keys); err != nil {
				return err
			}
			weight += len(r.Data)
			out = append(out, r)
			return json.Unmarshal(keys, &out[len(out)-1].Keys)
		})
	if errors.Is(err, errPageFull) {
		err = nil
	}
	return out, err
}
