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

const holdColumns = "SELECT h.state, h.version, h.record FROM holds h"

func selectHolds(ctx context.Context, q sqlite.Querier, rest string, args ...any) ([]quarantine.Hold, error) {
	var out []quarantine.Hold
	err := sqlite.Each(ctx, q, holdColumns+" "+rest, args, func(scan sqlite.Scanner) error {
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
func (s *Store) Get(ctx context.Context, id string) (quarantine.Hold, error) {
	return getHold(ctx, s.ground.R, id)
}

// FindKey implements quarantine.Store.
func (s *Store) FindKey(ctx context.Context, key string, since time.Time) (quarantine.Hold, bool, error) {
	return findKey(ctx, s.ground.R, key, since, false)
}

func findKey(ctx context.Context, q sqlite.Querier, key string, since time.Time, provisional bool) (quarantine.Hold, bool, error) {
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
func (s *Store) Due(ctx context.Context, t time.Time, limit int) ([]quarantine.Hold, error) {
	return selectHolds(ctx, s.ground.R, "WHERE h.state IN ('held', 'refused') AND h.expires <= ? ORDER BY h.expires, h.id LIMIT ?", t.UnixMilli(), limit)
}

// Retry implements quarantine.Store.
func (s *Store) Retry(ctx context.Context, t time.Time, limit int) ([]quarantine.Hold, error) {
	return selectHolds(ctx, s.ground.R, "WHERE h.state = 'releasing' AND h.next <= ? ORDER BY h.next, h.id LIMIT ?", t.UnixMilli(), limit)
}

// Future implements quarantine.Store.
func (s *Store) Future(ctx context.Context, t time.Time, limit int) ([]quarantine.Hold, error) {
	return selectHolds(ctx, s.ground.R, "WHERE h.state IN ('held', 'releasing', 'refused') AND h.at > ? ORDER BY h.at DESC, h.id DESC LIMIT ?", t.UnixMilli(), limit)
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
	c, from, ok := holdClause(q)
	if !ok {
		return quarantine.Page{}, nil
	}
	size := q.PageSize()
	c.Args = append(c.Args, size+1)
	found, err := selectHolds(ctx, s.ground.R, from+" "+c.String()+" ORDER BY h.id DESC LIMIT ?", c.Args...)
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
func holdClause(q quarantine.Query) (c *search.Clause, from string, ok bool) {
	c = &search.Clause{}
	stateClause(c, q.States)
	if q.After != "" {
		c.And("h.id < ?", q.After)
	}
	if !q.Since.IsZero() {
		c.And("h.at >= ?", q.Since.UnixMilli())
	}
	if !q.Until.IsZero() {
		c.And("h.at < ?", q.Until.UnixMilli())
	}
	if q.Class != "" {
		c.And("h.class = ?", q.Class)
	}
	if q.Policy != "" {
		c.And("h.policy = ?", q.Policy)
	}
	c.Sender("h", q.From)
	if q.To != "" {
		from += " JOIN hold_to t ON t.id = h.id"
		c.And("t.addr = ?", strings.ToLower(q.To))
	}
	if q.Symbol != "" {
		from += " JOIN hold_symbols y ON y.id = h.id"
		c.And("y.symbol = ?", q.Symbol)
	}
	ok = c.Words("h.n IN (SELECT rowid FROM hold_words WHERE hold_words MATCH ?)", q.Words)
	return c, from, ok
}

func stateClause(c *search.Clause, states []quarantine.State) {
	if len(states) == 0 {
		states = []quarantine.State{quarantine.Held, quarantine.Releasing, quarantine.Refused}
	}
	args := make([]any, 0, len(states))
	for _, s := range states {
		if s != quarantine.Provisional {
			args = append(args, s)
		}
	}
	c.And("h.state IN (?"+strings.Repeat(", ?", max(len(args)-1, 0))+")", append(args, make([]any, max(1-len(args), 0))...)...)
}
