package local

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"postern/quarantine"
)

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

type scanner func(dest ...any) error

// each calls f for each row.
func each(ctx context.Context, q querier, query string, args []any, f func(scanner) error) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

const holdColumns = "SELECT h.state, h.version, h.record FROM holds h"

func selectHolds(ctx context.Context, q querier, rest string, args ...any) ([]quarantine.Hold, error) {
	var out []quarantine.Hold
	err := each(ctx, q, holdColumns+" "+rest, args, func(scan scanner) error {
		var h quarantine.Hold
		var state, record string
		var version int64
		if err := scan(&state, &version, &record); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(record), &h); err != nil {
			return fmt.Errorf("%w: record: %w", quarantine.ErrCorrupt, err)
		}
		h.State, h.Version = quarantine.State(state), version
		out = append(out, h)
		return nil
	})
	return out, err
}

func getHold(ctx context.Context, q querier, id string) (quarantine.Hold, error) {
	found, err := selectHolds(ctx, q, "WHERE h.id = ?", id)
	if err != nil {
		return quarantine.Hold{}, err
	}
	if len(found) == 0 {
		return quarantine.Hold{}, fmt.Errorf("%w: %s", quarantine.ErrNotFound, id)
	}
	return found[0], nil
}

// Get implements quarantine.Store.
func (s *Holds) Get(ctx context.Context, id string) (quarantine.Hold, error) {
	return getHold(ctx, s.db.R, id)
}

// FindKey implements quarantine.Store.
func (s *Holds) FindKey(ctx context.Context, key string, since time.Time) (quarantine.Hold, bool, error) {
	return findKey(ctx, s.db.R, key, since, false)
}

func findKey(ctx context.Context, q querier, key string, since time.Time, provisional bool) (quarantine.Hold, bool, error) {
	if key == "" {
		return quarantine.Hold{}, false, nil
	}
	rest := "WHERE h.key = ? AND (h.ended = 0 OR h.ended >= ?)"
	if !provisional {
		rest += " AND h.state <> 'provisional'"
	}
	found, err := selectHolds(ctx, q, rest+" ORDER BY h.id DESC LIMIT 1", key, since.UnixMilli())
	if err != nil || len(found) == 0 {
		return quarantine.Hold{}, false, err
	}
	return found[0], true, nil
}

// Due implements quarantine.Store.
func (s *Holds) Due(ctx context.Context, t time.Time, limit int) ([]quarantine.Hold, error) {
	return selectHolds(ctx, s.db.R, "WHERE h.state IN ('held', 'refused') AND h.expires <= ? ORDER BY h.expires, h.id LIMIT ?", t.UnixMilli(), limit)
}

// Retry implements quarantine.Store.
func (s *Holds) Retry(ctx context.Context, t time.Time, limit int) ([]quarantine.Hold, error) {
	return selectHolds(ctx, s.db.R, "WHERE h.state = 'releasing' AND h.next <= ? ORDER BY h.next, h.id LIMIT ?", t.UnixMilli(), limit)
}

// Future implements quarantine.Store.
func (s *Holds) Future(ctx context.Context, t time.Time, limit int) ([]quarantine.Hold, error) {
	return selectHolds(ctx, s.db.R, "WHERE h.state IN ('held', 'releasing', 'refused') AND h.at > ? ORDER BY h.at DESC, h.id DESC LIMIT ?", t.UnixMilli(), limit)
}

// Stats implements quarantine.Store.
func (s *Holds) Stats(ctx context.Context) (quarantine.Stats, error) {
	st := quarantine.Stats{States: map[quarantine.State]int{}}
	if err := s.db.R.QueryRowContext(ctx, "SELECT bodies, bytes FROM totals").Scan(&st.Bodies, &st.Bytes); err != nil {
		return st, err
	}
	err := each(ctx, s.db.R, "SELECT state, n FROM hold_counts WHERE n > 0", nil, func(scan scanner) error {
		var state quarantine.State
		var n int
		err := scan(&state, &n)
		st.States[state] = n
		return err
	})
	return st, err
}

// clause collects the conditions of a search.
type clause struct {
	where []string
	args  []any
}

func (c *clause) and(cond string, args ...any) {
	c.where = append(c.where, cond)
	c.args = append(c.args, args...)
}

func (c *clause) String() string {
	if len(c.where) == 0 {
		return ""
	}
	return "WHERE " + strings.Join(c.where, " AND ")
}

// List implements quarantine.Store.
func (s *Holds) List(ctx context.Context, q quarantine.Query) (quarantine.Page, error) {
	c, from, ok := holdClause(q)
	if !ok {
		return quarantine.Page{}, nil
	}
	size := q.PageSize()
	c.args = append(c.args, size+1)
	found, err := selectHolds(ctx, s.db.R, from+" "+c.String()+" ORDER BY h.id DESC LIMIT ?", c.args...)
	if err != nil {
		return quarantine.Page{}, err
	}
	page := quarantine.Page{Holds: found}
	if len(found) > size {
		page.Holds, page.Next = found[:size], found[size-1].ID
	}
	return page, nil
}

// holdClause turns a query into conditions and joins; ok is false when nothing can match.
func holdClause(q quarantine.Query) (c *clause, from string, ok bool) {
	c = &clause{}
	stateClause(c, q.States)
	if q.After != "" {
		c.and("h.id < ?", q.After)
	}
	if !q.Since.IsZero() {
		c.and("h.at >= ?", q.Since.UnixMilli())
	}
	if !q.Until.IsZero() {
		c.and("h.at < ?", q.Until.UnixMilli())
	}
	if q.Class != "" {
		c.and("h.class = ?", q.Class)
	}
	if q.Policy != "" {
		c.and("h.policy = ?", q.Policy)
	}
	senderClause(c, "h", q.From)
	if q.To != "" {
		from += " JOIN hold_to t ON t.id = h.id"
		c.and("t.addr = ?", strings.ToLower(q.To))
	}
	if q.Symbol != "" {
		from += " JOIN hold_symbols y ON y.id = h.id"
		c.and("y.symbol = ?", q.Symbol)
	}
	ok = wordsClause(c, "h.n IN (SELECT rowid FROM hold_words WHERE hold_words MATCH ?)", q.Words)
	return c, from, ok
}

func stateClause(c *clause, states []quarantine.State) {
	if len(states) == 0 {
		states = []quarantine.State{quarantine.Held, quarantine.Releasing, quarantine.Refused}
	}
	args := make([]any, 0, len(states))
	for _, s := range states {
		if s != quarantine.Provisional {
			args = append(args, s)
		}
	}
	c.and("h.state IN (?"+strings.Repeat(", ?", max(len(args)-1, 0))+")", append(args, make([]any, max(1-len(args), 0))...)...)
}

func senderClause(c *clause, table, from string) {
	from = strings.ToLower(from)
	switch {
	case from == "":
	case from == "<>":
		c.and(table + ".sender = ''")
	case strings.HasPrefix(from, "@"):
		c.and(table+".domain = ?", from[1:])
	default:
		c.and(table+".sender = ?", from)
	}
}

// wordsClause asks for all words; ok is false when words were asked for and none of them
// holds a letter or digit.
func wordsClause(c *clause, cond string, words []string) (ok bool) {
	if len(words) == 0 {
		return true
	}
	var match []string
	for _, t := range quarantine.SearchTerms(words) {
		m := `"` + t.Text + `"` // a term is letters and digits: nothing to escape
		if t.Prefix {
			m += "*"
		}
		match = append(match, m)
	}
	if len(match) == 0 {
		return false
	}
	c.and(cond, strings.Join(match, " AND "))
	return true
}
