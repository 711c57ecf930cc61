package holds

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
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
	if s.keys.whole.Load() && !s.keys.may(key) {
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
	if q.Order.ByScore() {
		return s.byScore(ctx, q)
	}
	c, from, ok, err := s.find(ctx, q)
	if !ok || err != nil {
		return quarantine.Page{}, err
	}
	return s.page(ctx, q, c, from)
}

// page reads the holds that a search finds, in the order of its driver.
func (s *Store) page(ctx context.Context, q quarantine.Query, c *search.Clause, from driver) (quarantine.Page, error) {
	size := q.PageSize()
	c.Args = append(c.Args, size+1)
	way := " DESC"
	if q.Order.Rising() {
		way = " ASC"
	}
	sorted := func(columns string) string { return strings.ReplaceAll(columns, ",", way+",") + way }
	// The records are read last: sorting them would move them all.
	found, err := selectHolds(ctx, s.ground.R,
		"holds h WHERE h.n IN (SELECT h.n FROM "+from.tables+" "+c.String()+" ORDER BY "+sorted(from.order)+" LIMIT ?) ORDER BY "+sorted(from.last), c.Args...)
	if err != nil {
		return quarantine.Page{}, err
	}
	page := quarantine.Page{Holds: found}
	if len(found) > size {
		page.Holds, page.Next = found[:size], cursor(q.Order, found[size-1])
	}
	return page, nil
}

// Count implements quarantine.Counter. The newest come first: searches of late times end early.
func (s *Store) Count(ctx context.Context, q quarantine.Query, limit int) (n int, err error) {
	q.After, q.Order = "", quarantine.Newest
	c, from, ok, err := s.find(ctx, q)
	if !ok || err != nil {
		return 0, err
	}
	err = s.ground.R.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM "+from.tables+" "+c.String()+" ORDER BY "+from.order+" DESC LIMIT ?)", append(c.Args, limit)...).Scan(&n)
	return n, err
}

// driver is the table a search walks, newest first, the column that gives the order, and the same
// order among the holds. It is chosen here: the planner would sort all holds in an open state
// instead.
type driver struct{ tables, order, last string }

// drive chooses the driver and asks for recipient, symbol, sender and words. Where more than one
// of them is wanted, or a word, the index of words finds what has all of them; ok is false when
// nothing can match.
func drive(q quarantine.Query, c *search.Clause) (d driver, ok bool) {
	to, from := strings.ToLower(q.To), strings.ToLower(q.From)
	var wanted []string
	if to != "" {
		wanted = append(wanted, mark(markTo, to))
	}
	if q.Symbol != "" {
		wanted = append(wanted, mark(markSymbol, q.Symbol))
	}
	switch {
	case from == "":
	case from == "<>":
		wanted = append(wanted, mark(markFrom, ""))
	case strings.HasPrefix(from, "@"):
		wanted = append(wanted, mark(markDomain, from[1:]))
	default:
		wanted = append(wanted, mark(markFrom, from))
	}
	c.Sender("h", from)
	switch {
	case len(q.Words) > 0 || len(wanted) > 1:
		ok = matches(c, q.Words, wanted)
		if to != "" {
			c.And("EXISTS (SELECT 1 FROM hold_to t WHERE t.addr = ? AND t.id = h.id)", to)
		}
		if q.Symbol != "" {
			c.And("EXISTS (SELECT 1 FROM hold_symbols y WHERE y.symbol = ? AND y.id = h.id)", q.Symbol)
		}
		return driver{"hold_words CROSS JOIN holds h ON h.n = hold_words.rowid", "hold_words.rowid", "h.n"}, ok
	case to != "":
		c.And("t.addr = ?", to)
		return driver{"hold_to t CROSS JOIN holds h ON h.id = t.id", "t.id", "h.id"}, true
	case q.Symbol != "":
		c.And("y.symbol = ?", q.Symbol)
		return driver{"hold_symbols y CROSS JOIN holds h ON h.id = y.id", "y.id", "h.id"}, true
	}
	if from == "" { // the planner would take an index by score, and sort
		return driver{indexed(q, "holds_open", "holds_state"), "h.id", "h.id"}, true
	}
	return driver{"holds h", "h.id", "h.id"}, true
}

// indexed is the table of holds with the index that leads: of the open ones, or of those of named
// states.
func indexed(q quarantine.Query, open, named string) string {
	if len(q.States) > 0 {
		return "holds h INDEXED BY " + named
	}
	return "holds h INDEXED BY " + open
}

// matches asks the index of words for all words and marks.
func matches(c *search.Clause, words, wanted []string) (ok bool) {
	var parts []string
	if len(words) > 0 {
		match := search.Match(words)
		if match == "" {
			return false
		}
		parts = append(parts, "{words} : ("+match+")")
	}
	if len(wanted) > 0 {
		parts = append(parts, "{marks} : ("+strings.Join(wanted, " AND ")+")")
	}
	c.And("hold_words MATCH ?", strings.Join(parts, " AND "))
	return true
}

// find turns a query into conditions; ok is false when nothing can match.
func (s *Store) find(ctx context.Context, q quarantine.Query) (c *search.Clause, d driver, ok bool, err error) {
	c = &search.Clause{}
	if d, ok = drive(q, c); !ok {
		return c, d, false, nil
	}
	states(c, q, strings.Contains(d.tables, "INDEXED BY"))
	behind := " < ?"
	if q.Order.Rising() {
		behind = " > ?"
	}
	fields(c, q)
	switch {
	case q.After == "":
	case strings.HasPrefix(q.After, scoreMark): // of a list by score; no ID has a point
		return c, d, false, quarantine.ErrCursor
	case d.last == "h.n":
		var n int64
		if n, err = placeOf(ctx, s.ground.R, q.After); err != nil {
			return c, d, false, err
		}
		c.And(d.order+behind, n)
	default:
		c.And(d.order+behind, q.After)
	}
	return c, d, true, nil
}

// fields asks for what stands in the indexes that lead lists.
func fields(c *search.Clause, q quarantine.Query) {
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
	if q.Direction != "" {
		c.And("h.direction = ?", q.Direction)
	}
	if q.AtLeast != nil {
		c.And("h.score >= ?", *q.AtLeast)
	}
	if q.AtMost != nil {
		c.And("h.score <= ?", *q.AtMost)
	}
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
	var args []any
	for _, s := range q.States {
		if s != quarantine.Provisional && !slices.Contains(args, any(s)) {
			args = append(args, s)
		}
	}
	if len(args) == 1 { // an index on one state is in order, one on several is not
		c.And(plus+"h.state = ?", args...)
		return
	}
	marks := []string{"NULL"}
	for range args {
		marks = append(marks, "?")
	}
	c.And(plus+"h.state IN ("+strings.Join(marks, ", ")+")", args...)
}
