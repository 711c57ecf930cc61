package entities

import (
	"context"
	"database/sql"
	"sync"
)

// prepared keeps the statements of a database, which closes them: a desk under a flood runs
// thousands, and to prepare them each time costs more than to run them. There are but a few
// dozen different ones.
type prepared struct {
	mu  sync.Mutex
	all map[string]*sql.Stmt
}

// on prepares a statement once. On the database that is written to it must not be called within
// a transaction: there is but one connection that writes.
func (p *prepared) on(ctx context.Context, db *sql.DB, text string) (*sql.Stmt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if st := p.all[text]; st != nil {
		return st, nil
	}
	st, err := db.PrepareContext(ctx, text) //nolint:sqlclosecheck // closed with the database
	if err != nil {
		return nil, err
	}
	if p.all == nil {
		p.all = map[string]*sql.Stmt{}
	}
	p.all[text] = st
	return st, nil
}

const getSQL = "SELECT version, data, keys FROM entities WHERE kind = ? AND id = ?"

// statements are those of a write.
type statements struct{ get, put, drop, file, unfile, grow *sql.Stmt }

// writing prepares what a write needs.
func (s *Store) writing(ctx context.Context) (*statements, error) {
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
		if *one.stmt, err = s.writes.on(ctx, s.ground.W, one.text); err != nil { //nolint:sqlclosecheck // closed with the database
			return nil, err
		}
	}
	return out, nil
}

// in returns the statements for use in a transaction, which closes them.
func (st *statements) in(ctx context.Context, tx *sql.Tx) *statements {
	of := func(stmt *sql.Stmt) *sql.Stmt { return tx.StmtContext(ctx, stmt) }
	return &statements{of(st.get), of(st.put), of(st.drop), of(st.file), of(st.unfile), of(st.grow)}
}

// reader reads with statements that are kept.
type reader struct{ s *Store }

// QueryContext implements sqlite.Querier.
func (r reader) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	st, err := r.s.reads.on(ctx, r.s.ground.R, text) //nolint:sqlclosecheck // closed with the database
	if err != nil {
		return nil, err
	}
	return st.QueryContext(ctx, args...)
}

// one reads one row of a query; sql.ErrNoRows where there is none.
func (r reader) one(ctx context.Context, text string, args []any, dest ...any) error {
	st, err := r.s.reads.on(ctx, r.s.ground.R, text) //nolint:sqlclosecheck // closed with the database
	if err != nil {
		return err
	}
	return st.QueryRowContext(ctx, args...).Scan(dest...)
}
