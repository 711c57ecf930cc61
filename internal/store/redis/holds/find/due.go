package find

import (
	"context"
	"time"

	"postern/internal/store/redis/holds/ground"
	"postern/internal/store/redis/holds/index"
	"postern/quarantine"
)

const (
	// round is how many entries one round looks at.
	round = 500
	// rounds bounds the rounds of one call.
	rounds = 200
)

// byTime returns up to limit holds of an index by time, oldest first: those that are still due
// there. Entries that are not are taken away, or put where they belong.
func (s Finder) byTime(ctx context.Context, name string, t time.Time, limit int) ([]quarantine.Hold, error) {
	var out []quarantine.Hold
	skip := int64(0)
	for range rounds {
		want := min(max(limit-len(out), 1), round)
		found, err := s.g.EntriesByTime(ctx, name, t.UnixMilli(), skip, want)
		if err != nil {
			return nil, err
		}
		var stale []ground.Entry
		for _, e := range found {
			belongs := e.Row.Good && ground.HasEntry(e.Row.Hold, index.Entry{Key: name, Member: e.Member, Score: e.Score})
			switch {
			case belongs && len(out) < limit:
				out = append(out, e.Row.Hold)
				skip++
			case belongs, e.Row.Invalid:
				skip++
			default:
				stale = append(stale, ground.Entry{Key: name, Member: e.Member})
			}
		}
		if err := s.g.Clean(ctx, stale); err != nil {
			return nil, err
		}
		if len(found) < want || len(out) >= limit {
			break
		}
	}
	return out, nil
}

// Due implements quarantine.Store.
func (s Finder) Due(ctx context.Context, t time.Time, limit int) ([]quarantine.Hold, error) {
	return s.byTime(ctx, index.Due, t, limit)
}

// Retry implements quarantine.Store.
func (s Finder) Retry(ctx context.Context, t time.Time, limit int) ([]quarantine.Hold, error) {
	return s.byTime(ctx, index.Next, t, limit)
}

// Future implements quarantine.Store.
func (s Finder) Future(ctx context.Context, t time.Time, limit int) ([]quarantine.Hold, error) {
	page, err := s.list(ctx, quarantine.Query{Since: time.UnixMilli(t.UnixMilli() + 1), Limit: limit}, limit)
	return page.Holds, err
}
