// Package bayes keeps the counts of tokens in a file of its own beside the embedded home. It is
// derived from the journal of what was learned, and so need not be synced with every change.
package bayes

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"postern/filter/bayes"
	"postern/internal/store/local/sqlite"
)

// Store implements bayes.Store.
type Store struct {
	db  *sqlite.DB
	ask *sql.Stmt
}

// Open opens the file. Migrations bring schema n to n+1, from 0 on.
func Open(ctx context.Context, path string, migrations []string) (*Store, error) {
	o := sqlite.Options{Sync: "NORMAL"}
	for _, text := range migrations {
		o.Migrations = append(o.Migrations, sqlite.Script(text))
	}
	db, err := sqlite.Open(ctx, path, o)
	if err != nil {
		return nil, err
	}
	// One question, however many tokens: a point read costs five microseconds, each.
	ask, err := db.R.PrepareContext(ctx, "SELECT token, spam, ham FROM token WHERE token IN (SELECT value FROM json_each(?))")
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Store{db: db, ask: ask}, nil
}

// Close closes the file.
func (s *Store) Close() error { return errors.Join(s.ask.Close(), s.db.Close()) }

// Counts implements bayes.Store.
func (s *Store) Counts(ctx context.Context, tokens []uint64) (_ []bayes.Count, err error) {
	out := make([]bayes.Count, len(tokens))
	if len(tokens) == 0 {
		return out, nil
	}
	rows, err := s.ask.QueryContext(ctx, list(tokens))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err says what went wrong
	found := make(map[uint64]bayes.Count, len(tokens))
	for rows.Next() {
		var token int64
		var c bayes.Count
		if err := rows.Scan(&token, &c.Spam, &c.Ham); err != nil {
			return nil, err
		}
		found[uint64(token)] = c
	}
	for i, t := range tokens {
		out[i] = found[t]
	}
	return out, rows.Err()
}

// list is a JSON array of tokens as the file has them.
func list(tokens []uint64) string {
	b := make([]byte, 0, 21*len(tokens)+2)
	b = append(b, '[')
	for i, t := range tokens {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(t), 10)
	}
	return string(append(b, ']'))
}

// Apply implements bayes.Store: in one transaction.
func (s *Store) Apply(ctx context.Context, changes []bayes.Change) error {
	if len(changes) == 0 {
		return nil
	}
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		more := map[uint64]bayes.Count{}
		for _, c := range changes {
			if err := count(ctx, tx, c, more); err != nil {
				return err
			}
		}
		return put(ctx, tx, more)
	})
}

// count notes what a message counts as, and what that changes for its tokens.
func count(ctx context.Context, tx *sql.Tx, c bayes.Change, more map[uint64]bayes.Count) error {
	id, err := hex.DecodeString(c.ID)
	if err != nil {
		return fmt.Errorf("%q is no ID of a message: %w", c.ID, err)
	}
	var was bayes.Class
	err = tx.QueryRowContext(ctx, "SELECT class FROM message WHERE id = ?", id).Scan(&was)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if was == c.Class {
		return nil
	}
	for _, t := range c.Tokens {
		n := more[t]
		n.Add(was, -1)
		n.Add(c.Class, 1)
		more[t] = n
	}
	if c.Class == bayes.None {
		_, err = tx.ExecContext(ctx, "DELETE FROM message WHERE id = ?", id)
	} else {
		_, err = tx.ExecContext(ctx, "INSERT INTO message (id, class) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET class = excluded.class", id, c.Class)
	}
	return err
}

// put adds to the counts, in the order of the file.
func put(ctx context.Context, tx *sql.Tx, more map[uint64]bayes.Count) (err error) {
	add, err := tx.PrepareContext(ctx, "INSERT INTO token (token, spam, ham) VALUES (?, ?, ?) ON CONFLICT (token) DO UPDATE SET spam = spam + excluded.spam, ham = ham + excluded.ham")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, add.Close()) }()
	var less []uint64
	tokens := make([]int64, 0, len(more))
	for t, n := range more {
		if n != (bayes.Count{}) {
			tokens = append(tokens, int64(t))
		}
		if n.Spam < 0 || n.Ham < 0 {
			less = append(less, t)
		}
	}
	slices.Sort(tokens)
	for _, t := range tokens {
		n := more[uint64(t)]
		if _, err := add.ExecContext(ctx, t, n.Spam, n.Ham); err != nil {
			return err
		}
	}
	if len(less) > 0 {
		_, err = tx.ExecContext(ctx, "DELETE FROM token WHERE spam <= 0 AND ham <= 0 AND token IN (SELECT value FROM json_each(?))", list(less))
	}
	return err
}

// Reset implements bayes.Store.
func (s *Store) Reset(ctx context.Context) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM token")
		if err == nil {
			_, err = tx.ExecContext(ctx, "DELETE FROM message")
		}
		return err
	})
}

// Size implements bayes.Store.
func (s *Store) Size(ctx context.Context) (tokens, bytes int64, err error) {
	err = s.db.R.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM token), (SELECT page_count * page_size FROM pragma_page_count, pragma_page_size)").Scan(&tokens, &bytes)
	return tokens, bytes, err
}
