package find

import (
	"context"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/index"
	"postern/quarantine"
)

// Count implements quarantine.Counter. Where the indexes of the states tell, no
// record is read, and the number may be off by what a crash left behind.
func (s Finder) Count(ctx context.Context, q quarantine.Query, limit int) (n int, err error) {
	q.After, q.Order = "", quarantine.Newest
	plan, ok := index.NewPlan(q, "")
	if !ok {
		return 0, nil
	}
	switch {
	case plan.Whole() && plan.Min == "-" && plan.Max == "+":
		return s.sizes(ctx, plan.Ways[0], limit)
	case plan.Whole():
		members, _, err := s.members(ctx, plan.Ways[0], plan, limit)
		return min(len(members), limit), err
	case plan.Rated() && plan.RatedWhole():
		if usable, err := s.complete(ctx, plan.Named()); err != nil {
			return 0, err
		} else if usable {
			low, high := plan.ScoreRange()
			n, err := s.between(ctx, plan.ScoreWay(), low, high, limit)
			return int(min(n, int64(limit))), err
		}
	}
	for n < limit {
		q.Limit = min(limit-n, quarantine.MaxPage)
		page, err := s.list(ctx, q, q.PageSize())
		if err != nil {
			return n, err
		}
		n += len(page.Holds)
		if q.After = page.Next; page.Next == "" {
			break
		}
	}
	return min(n, limit), nil
}

// sizes adds up the lengths of indexes of which no two have the same member.
func (s Finder) sizes(ctx context.Context, keys []string, limit int) (n int, err error) {
	cmds := make([]*redis.IntCmd, len(keys))
	if err := s.g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for i, key := range keys {
			cmds[i] = p.ZCard(ctx, s.g.IndexKey(key))
		}
	}); err != nil {
		return 0, err
	}
	for _, cmd := range cmds {
		n += int(min(cmd.Val(), int64(limit)))
	}
	return min(n, limit), nil
}
