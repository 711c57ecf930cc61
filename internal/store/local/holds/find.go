package holds

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"postern/internal/store/local/search"
	"postern/internal/store/local/sqlite"
	"postern/quarantine"
)

const holdColumns = "SELECT h.state, h.version, h.record FROM "

func selectHolds(ctx context.Context, q sqlite.Querier, rest string, args ...any) ([]quarantine.Hold, error) {
	var out []quarantine.Hold
	err := sqlite.Each(ctx, q, holdColumns+rest, args, func(scan sqlite.Scanner) error {
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

func getHold(ctx context.Context, q sqlite.Querier, id string) (quarantine.Hold, error) {
	found, err := selectHolds(ctx, q, "holds h WHERE h.id = ?", id)
	if err != nil {
		return quarantine.Hold{}, err
	}
	if len(found) == 0 {
		return quarantine.Hold{}, fmt.Errorf("%w: %s", quarantine.ErrNotFound, id)
	}
	return found[0], nil
}

// Get implements quarantine.Store.
func (s *Store) Get(ctx context.Context, id string) (quarantine.Hold, error) {
	return getHold(ctx, s.ground.R, id)
}

// FindKey implements quarantine.Store.
func (s *Store) FindKey(ctx context.Context, key string, since time.Time) (quarantine.Hold, bool, error) {
	if !s.keys.may(key) {
		return quarantine.Hold{}, false, ctx.Err()
	}
	return findKey(ctx, s.ground.R, key, since, false)
}

func findKey(ctx context.Context, q sqlite.Querier, key string, since time.Time, provisional bool) (quarantine.Hold, bool, error) {
	if key == "" {
		return quarantine.Hold{}, false, nil
	}
	rest := "holds h WHERE h.key = ? AND (h.ended = 0 OR h.ended >= ?)"
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
func (s *Store) Due(ctx context.Context, t time.Time, limit int) ([]quarantine.Hold, error) {
	return selectHolds(ctx, s.ground.R, "holds h WHERE h.state IN ('held', 'refused') AND h.expires <= ? ORDER BY h.expires, h.id LIMIT ?", t.UnixMilli(), limit)
}

// Retry implements quarantine.Store.
func (s *Store) Retry(ctx context.Context, t time.Time, limit int) ([]quarantine.Hold, error) {
	return selectHolds(ctx, s.ground.R, "holds h WHERE h.state = 'releasing' AND h.next <= ? ORDER BY h.next, h.id LIMIT ?", t.UnixMilli(), limit)
}

// Future implements quarantine.Store.
func (s *Store) Future(ctx context.Context, t time.Time, limit int) ([]quarantine.Hold, error) {
	return selectHolds(ctx, s.ground.R, "holds h WHERE h.state IN ('held', 'releasing', 'refused') AND h.at > ? ORDER BY h.at DESC, h.id DESC LIMIT ?", t.UnixMilli(), limit)
}

// Stats implements quarantine.Store.
func (s *Store) Stats(ctx context.Context) (quarantine.Stats, error) {
	st := quarantine.Stats{States: map[quarantine.State]int{}}
	if err := s.ground.R.QueryRowContext(ctx, "SELECT bodies, bytes FROM totals").Scan(&st.Bodies, &st.Bytes); err != nil {
		return st, err
	}
	err := sqlite.Each(ctx, s.ground.R, "SELECT state, n FROM hold_counts WHERE n > 0", nil, func(scan sqlite.Scanner) error {
		var state quarantine.State
		var n int
		err := scan(&state, &n)
		st.States[state] = n
		return err
	})
	return st, err
}

// List implements quarantine.Store.
func (s *Store) List(ctx context.Context, q quarantine.Query) (quarantine.Page, error) {
	c, from, ok := find(q)
	if !ok {
		return quarantine.Page{}, nil
	}
	size := q.PageSize()
	c.Args = append(c.Args, size+1)
	// The records are read last: sorting them would move them all.
	found, err := selectHolds(ctx, s.ground.R,
		"holds h WHERE h.n IN (SELECT h.n FROM "+from.tables+" "+c.String()+" ORDER BY "+from.order+" DESC LIMIT ?) ORDER BY h.id DESC", c.Args...)
	if err != nil {
		return quarantine.Page{}, err
	}
	page := quarantine.Page{Holds: found}
	if len(found) > size {
		page.Holds, page.Next = found[:size], found[size-1].ID
	}
	return page, nil
}

// driver is the table a search walks, newest first, and the column that gives the order. It
// is chosen here: the planner would sort all holds in an open state instead.
type driver struct{ tables, order string }

func drive(q quarantine.Query, c *search.Clause) driver {
	d := driver{tables: "holds h", order: "h.id"}
	switch {
	case q.To != "":
		d = driver{"hold_to t CROSS JOIN holds h ON h.id = t.id", "t.id"}
	case q.Symbol != "":
		d = driver{"hold_symbols y CROSS JOIN holds h ON h.id = y.id", "y.id"}
	}
	if q.To != "" {
		c.And("t.addr = ?", strings.ToLower(q.To))
		if q.Symbol != "" {
			d.tables += " JOIN hold_symbols y ON y.id = h.id"
		}
	}
	if q.Symbol != "" {
		c.And("y.symbol = ?", q.Symbol)
	}
	return d
}

// find turns a query into conditions; ok is false when nothing can match.
func find(q quarantine.Query) (c *search.Clause, d driver, ok bool) {
	c = &search.Clause{}
	d = drive(q, c)
	states(c, q, d.order == "h.id" && q.From == "" && len(q.Words) == 0)
	if q.After != "" {
		c.And(d.order+" < ?", q.After)
	}
	if !q.Since.IsZero() {
		c.And("+h.at >= ?", q.Since.UnixMilli())
	}
	if !q.Until.IsZero() {
		c.And("+h.at < ?", q.Until.UnixMilli())
	}
	if q.Class != "" {
		c.And("h.class = ?", q.Class)
	}
	if q.Policy != "" {
		c.And("h.policy = ?", q.Policy)
	}
	c.Sender("h", q.From)
	ok = c.Words("h.n IN (SELECT rowid FROM hold_words WHERE hold_words MATCH ?)", q.Words)
	return c, d, ok
}

// states asks for the states of the query. A plus keeps SQLite from walking the index on
// states when something more selective leads.
func states(c *search.Clause, q quarantine.Query, leads bool) {
	plus := "+"
	if leads {
		plus = ""
	}
	if len(q.States) == 0 {
		c.And(plus + "h.state IN ('held', 'releasing', 'refused')") // as in the index holds_open
		return
	}
	marks, args := []string{"NULL"}, []any{}
	for _, s := range q.States {
		if s != quarantine.Provisional {
			marks, args = append(marks, "?"), append(args, s)
		}
	}
	c.And(plus+"h.state IN ("+strings.Join(marks, ", ")+")", args...)
}
