package traffic

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"

	"postern/internal/record"
	"postern/internal/store/local/search"
)

// statements are what writes a row, compiled once.
type statements struct{ row, again, to, words *sql.Stmt }

func prepare(ctx context.Context, db *sql.DB) (*statements, error) {
	s := &statements{}
	for _, one := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&s.row, "INSERT INTO traffic (id, at, sender, domain, header, ip, record) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"},
		{&s.again, "DELETE FROM traffic WHERE id = ?"},
		{&s.to, "INSERT OR IGNORE INTO traffic_to VALUES (?, ?)"},
		{&s.words, "INSERT INTO traffic_words (rowid, words) VALUES (?, ?)"},
	} {
		var err error
		if *one.stmt, err = db.PrepareContext(ctx, one.text); err != nil { //nolint:sqlclosecheck // kept as long as the database
			for _, made := range []*sql.Stmt{s.row, s.again, s.to} {
				if made != nil {
					err = errors.Join(err, made.Close())
				}
			}
			return nil, err
		}
	}
	return s, nil
}

// in returns the statements for use in a transaction, which closes them.
func (s *statements) in(ctx context.Context, tx *sql.Tx) *statements {
	return &statements{row: tx.StmtContext(ctx, s.row), again: tx.StmtContext(ctx, s.again),
		to: tx.StmtContext(ctx, s.to), words: tx.StmtContext(ctx, s.words)}
}

// insert writes rows in one transaction.
func (t *Store) insert(ctx context.Context, rows []record.Row) error {
	if t.sql == nil {
		made, err := prepare(ctx, t.db.W)
		if err != nil {
			return err
		}
		t.sql = made
	}
	return t.db.Tx(ctx, func(tx *sql.Tx) error {
		s := t.sql.in(ctx, tx)
		for i := range rows {
			if err := s.insertRow(ctx, &rows[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *statements) insertRow(ctx context.Context, r *record.Row) error {
	n, err := s.insertRecord(ctx, r)
	if err != nil {
		return err
	}
	to := make([]string, len(r.To))
	for i, f := range r.To {
		to[i] = f.Address
	}
	for _, addr := range append(search.AddressKeys(to), otherKeys(r)...) {
		if _, err := s.to.ExecContext(ctx, addr, r.ID); err != nil {
			return err
		}
	}
	_, err = s.words.ExecContext(ctx, n, search.Index(r.Subject))
	return err
}

// insertRecord returns the number of the new row. A message that is recorded twice keeps its
// last row.
func (s *statements) insertRecord(ctx context.Context, r *record.Row) (int64, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return 0, err
	}
	ip := []byte{}
	if a, err := netip.ParseAddr(r.Client.IP); err == nil {
		b := a.As16()
		ip = b[:]
	}
	sender := strings.ToLower(r.From)
	args := []any{r.ID, r.Time.UnixMilli(), sender, search.Domain(sender), r.MessageID, ip, string(text)}
	res, err := s.row.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	if n, err := res.RowsAffected(); err != nil {
		return 0, err
	} else if n == 0 { // recorded before; the triggers take its words and recipients along
		if _, err := s.again.ExecContext(ctx, r.ID); err != nil {
			return 0, err
		}
		if res, err = s.row.ExecContext(ctx, args...); err != nil {
			return 0, err
		}
	}
	return res.LastInsertId()
}

// Keys beside recipients begin with a sign that no address has.
const (
	accountKey = "\x1faccount:"
	replyKey   = "\x1freply:"
)

// otherKeys are what a row is found by beside its recipients.
func otherKeys(r *record.Row) []string {
	var out []string
	if r.Account != "" {
		out = append(out, accountKey+strings.ToLower(r.Account))
	}
	for _, w := range r.ReplyWords() {
		out = append(out, replyKey+w)
	}
	return out
}
