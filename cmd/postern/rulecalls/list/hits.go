package list

import (
	"context"
	"sync"
	"time"

	"postern/internal/record"
)

// hits counts what the symbols did in the last day.
type hits struct {
	traffic record.Traffic
	now     func() time.Time

	mu   sync.Mutex
	last counted
}

type counted struct {
	at       time.Time
	since    time.Time
	messages int
	whole    bool
	by       map[string]*Verdicts
}

// Bounds of a count: figures may be a minute old, and are of so many messages at most.
const (
	countEvery = time.Minute
	countMost  = 50_000
)

func (h *hits) get(ctx context.Context) (counted, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	if h.last.by != nil && now.Sub(h.last.at) < countEvery && !now.Before(h.last.at) {
		return h.last, nil
	}
	c := counted{at: now, since: now.Add(-24 * time.Hour), by: map[string]*Verdicts{}}
	q := record.Trace{Since: c.since, Limit: record.MaxPage}
	for c.messages < countMost {
		page, err := h.traffic.Find(ctx, q)
		if err != nil {
			return c, err
		}
		for _, row := range page.Rows {
			c.messages++
			for _, s := range row.Symbols {
				if c.by[s] == nil {
					c.by[s] = &Verdicts{}
				}
				c.by[s].add(row.Action)
			}
		}
		if q.After = page.Next; page.Next == "" {
			c.whole = true
			break
		}
	}
	h.last = c
	return c, nil
}
