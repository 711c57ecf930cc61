package holds

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"postern/filter"
	"postern/internal/store/local/search"
	"postern/quarantine"
)

// few is how many holds are sorted by score once they are found; where more match, the index by
// score is walked past those that do not.
const few = 1000

// scoreMark begins the cursor of a list by score: "s", the score, a point, the ID of the hold.
const scoreMark = "s"

// cursor is the place of a hold in a list.
func cursor(o quarantine.Order, h quarantine.Hold) string {
	if !o.ByScore() {
		return h.ID
	}
	return scoreMark + strconv.Itoa(int(h.Score)) + "." + h.ID
}

// scorePlace reads the place in a list by score: a cursor, or the ID of a hold.
func (s *Store) scorePlace(ctx context.Context, after string) (score filter.Score, id string, err error) {
	if text, id, ok := strings.Cut(strings.TrimPrefix(after, scoreMark), "."); ok && strings.HasPrefix(after, scoreMark) {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || id == "" {
			return 0, "", quarantine.ErrCursor
		}
		return filter.Score(n), id, nil
	}
	h, err := s.Get(ctx, after)
	if errors.Is(err, quarantine.ErrNotFound) {
		err = fmt.Errorf("%w: %.100q", quarantine.ErrCursor, after)
	}
	return h.Score, h.ID, err
}

// byScore lists by score: few holds are found and sorted, of many the index by score says which
// come first.
func (s *Store) byScore(ctx context.Context, q quarantine.Query) (quarantine.Page, error) {
	after := q.After
	q.After = ""
	var c *search.Clause
	var d driver
	var ok bool
	narrow := q.From != "" || q.To != "" || q.Symbol != "" || len(q.Words) > 0
	if narrow {
		n, err := s.Count(ctx, q, few+1)
		if err != nil || n == 0 {
			return quarantine.Page{}, err
		}
		narrow = n <= few
	}
	if narrow {
		var err error
		if c, d, ok, err = s.find(ctx, q); err != nil {
			return quarantine.Page{}, err
		}
		d.order = "h.score, h.id"
	} else {
		c = &search.Clause{}
		d, ok = scoreDriver(q, c)
		fields(c, q)
	}
	if !ok {
		return quarantine.Page{}, nil
	}
	d.last = "h.score, h.id"
	if after != "" {
		score, id, err := s.scorePlace(ctx, after)
		if err != nil {
			return quarantine.Page{}, err
		}
		behind := "<"
		if q.Order.Rising() {
			behind = ">"
		}
		c.And("(h.score, h.id) "+behind+" (?, ?)", score, id)
	}
	return s.page(ctx, q, c, d)
}

// scoreDriver walks the index by score of the states asked for; what the others would lead to is
// asked of each.
func scoreDriver(q quarantine.Query, c *search.Clause) (d driver, ok bool) {
	states(c, q, true)
	c.Sender("h", q.From)
	if q.To != "" {
		c.And("EXISTS (SELECT 1 FROM hold_to t WHERE t.addr = ? AND t.id = h.id)", strings.ToLower(q.To))
	}
	if q.Symbol != "" {
		c.And("EXISTS (SELECT 1 FROM hold_symbols y WHERE y.symbol = ? AND y.id = h.id)", q.Symbol)
	}
	ok = c.Words("h.n IN (SELECT rowid FROM hold_words WHERE words MATCH ?)", q.Words)
	return driver{tables: indexed(q, "holds_score", "holds_state_score"), order: "h.score, h.id"}, ok
}
