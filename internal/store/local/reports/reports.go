// Package reports keeps the counts and reports of DMARC and TLS in the file of the traffic
// rows, off the way of mail.
package reports

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"postern/internal/report"
	"postern/internal/store/local/sqlite"
)

// Store implements report.Store.
type Store struct{ db *sqlite.DB }

// New is the store in an open file with its tables.
func New(db *sqlite.DB) *Store { return &Store{db: db} }

// Count implements report.Store.
func (s *Store) Count(ctx context.Context, rows ...report.Row) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		for _, r := range rows {
			n := r.Record.Row.Count
			r.Record.Row.Count = 0
			text, err := json.Marshal(r)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `INSERT INTO report_rows VALUES (?, ?, ?, ?, ?)
				ON CONFLICT DO UPDATE SET count = count + excluded.count`, r.Key(), r.Day, r.Domain, n, string(text))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Domains implements report.Store.
func (s *Store) Domains(ctx context.Context, before string, limit int) ([]report.Sent, error) {
	var out []report.Sent
	err := sqlite.Each(ctx, s.db.R, `SELECT DISTINCT day, domain FROM report_rows r WHERE day < ?
		AND NOT EXISTS (SELECT 1 FROM report_sent s WHERE s.day = r.day AND s.domain = r.domain)
		ORDER BY day, domain LIMIT ?`, []any{before, limit}, func(scan sqlite.Scanner) error {
		var d report.Sent
		err := scan(&d.Day, &d.Domain)
		out = append(out, d)
		return err
	})
	return out, err
}

// Rows implements report.Store.
func (s *Store) Rows(ctx context.Context, day, domain string, limit int) ([]report.Row, error) {
	var out []report.Row
	err := sqlite.Each(ctx, s.db.R, `SELECT count, record FROM report_rows WHERE day = ? AND domain = ?
		ORDER BY count DESC, key LIMIT ?`, []any{day, domain, limit}, func(scan sqlite.Scanner) error {
		var n int64
		var text string
		if err := scan(&n, &text); err != nil {
			return err
		}
		var r report.Row
		err := json.Unmarshal([]byte(text), &r)
		r.Record.Row.Count = n
		out = append(out, r)
		return err
	})
	return out, err
}

// Done implements report.Store.
func (s *Store) Done(ctx context.Context, d report.Sent) error {
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO report_sent VALUES (?, ?, ?, ?)", d.Day, d.Domain, d.At.UnixMilli(), string(text))
		return err
	})
}

// Sent implements report.Store.
func (s *Store) Sent(ctx context.Context, domain string, limit int) ([]report.Sent, error) {
	return sqlite.Records[report.Sent](ctx, s.db.R,
		"SELECT record FROM report_sent WHERE ? IN ('', domain) ORDER BY at DESC, day DESC, domain LIMIT ?", domain, limit)
}

// Add implements report.Store.
func (s *Store) Add(ctx context.Context, r report.Received) (added bool, err error) {
	whole, err := json.Marshal(r)
	if err != nil {
		return false, err
	}
	slim := r
	slim.DMARC, slim.TLS = nil, nil
	brief, err := json.Marshal(slim)
	if err != nil {
		return false, err
	}
	err = s.db.Tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "INSERT INTO report_received VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
			r.Key, r.Kind, r.Domain, r.At.UnixMilli(), r.End.UnixMilli(), string(brief), string(whole))
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		added = n > 0
		return err
	})
	return added, err
}

// defaultLimit is the page of a query that names none.
const defaultLimit = 100

// Received implements report.Store.
func (s *Store) Received(ctx context.Context, q report.Query) ([]report.Received, error) {
	where, args := []string{"1"}, []any{}
	add := func(clause string, values ...any) {
		where, args = append(where, clause), append(args, values...)
	}
	if q.Kind != "" {
		add("kind = ?", q.Kind)
	}
	if q.Domain != "" {
		add("domain = ?", q.Domain)
	}
	if !q.Since.IsZero() {
		add("ended >= ?", q.Since.UnixMilli())
	}
	if q.After != "" {
		add("(ended, key) < (SELECT ended, key FROM report_received WHERE key = ?)", q.After)
	}
	if q.Limit <= 0 {
		q.Limit = defaultLimit
	}
	return sqlite.Records[report.Received](ctx, s.db.R,
		"SELECT brief FROM report_received WHERE "+strings.Join(where, " AND ")+" ORDER BY ended DESC, key DESC LIMIT ?", append(args, q.Limit)...)
}

// Report implements report.Store.
func (s *Store) Report(ctx context.Context, key string) (r report.Received, ok bool, err error) {
	var text string
	err = s.db.R.QueryRowContext(ctx, "SELECT record FROM report_received WHERE key = ?", key).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return r, false, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), &r)
	}
	return r, err == nil, err
}

// Prune implements report.Store.
func (s *Store) Prune(ctx context.Context, before time.Time) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		day := report.DayOf(before)
		for _, q := range []struct {
			text string
			arg  any
		}{
			{"DELETE FROM report_rows WHERE day < ?", day},
			{"DELETE FROM report_sent WHERE day < ?", day},
			{"DELETE FROM report_received WHERE at < ?", before.UnixMilli()},
		} {
			if _, err := tx.ExecContext(ctx, q.text, q.arg); err != nil {
				return err
			}
		}
		return nil
	})
}
