package entities

import (
	"context"
	"database/sql"
	"sync"
)

// statements are those of a write: a desk under a flood writes thousands, and to prepare them
// each time costs more than to run them.
type statements struct{ get, put, drop, file, unfile, grow *sql.Stmt }

// prepared keeps the statements of a database, which closes them.
type prepared struct {
	mu    sync.Mutex
	write *statements
	read  *sql.Stmt
}

const getSQL = "SELECT version, data, keys FROM entities WHERE kind = ? AND id = ?"

// writing prepares what a write needs. It must not be called within a transaction: there is but
// one connection that writes.
func (s *Store) writing(ctx context.Context) (*statements, error) {
	s.prepared.mu.Lock()
	defer s.prepared.mu.Unlock()
	if s.prepared.write != nil {
		return s.prepared.write, nil
	}
	out := &statements{}
	for _, one := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&out.get, getSQL},
		{&out.put, `INSERT INTO entities (kind, id, version, data, keys) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (kind, id) DO UPDATE SET version = excluded.version, data = excluded.data, keys = excluded.keys`},
		{&out.drop, "DELETE FROM entities WHERE kind = ? AND id = ?"},
		{&out.file, "INSERT INTO entity_keys VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"},
		{&out.unfile, "DELETE FROM entity_keys WHERE kind = ? AND idx = ? AND value = ? AND at = ? AND id = ?"},
		{&out.grow, "INSERT INTO meta VALUES (?, 1) ON CONFLICT DO UPDATE SET value = value + 1"},
	} {
		var err error
		if *one.stmt, err = s.ground.W.PrepareContext(ctx, one.text); err != nil { //nolint:sqlclosecheck // closed with the database
			return nil, err
		}
	}
	s.prepared.write = out
	return out, nil
}

// in returns the statements for use in a transaction, which closes them.
func (st *statements) in(ctx context.Context, tx *sql.Tx) *statements {
	of := func(stmt *sql.Stmt) *sql.Stmt { return tx.StmtContext(ctx, stmt) }
	return &statements{of(st.get), of(st.put), of(st.drop), of(st.file), of(st.unfile), of(st.grow)}
}

// reading is the statement that reads one record.
func (s *Store) reading(ctx context.Context) (*sql.Stmt, error) {
	s.prepared.mu.Lock()
	defer s.prepared.mu.Unlock()
	var err error
	if s.prepared.read == nil {
		s.prepared.read, err = s.ground.R.PrepareContext(ctx, getSQL)
	}
	return s.prepared.read, err
}
