package find

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/index"
	"postern/quarantine"
)

const (
	// few is how many holds are read and sorted by score; where more match, the indexes by score
	// are walked.
	few = 1000
	// gathered is how many members of the indexes by score are sorted by time; where more match,
	// the indexes by time are walked.
	gathered = 10_000
)

// rated finds what a list by time shows that asks for scores or directions, where the indexes by
// score have less of it than the route.
func (s Finder) rated(ctx context.Context, plan index.Plan, r route, least int64) (route, error) {
	usable, err := s.complete(ctx, plan.Named())
	if err != nil || !usable {
		return r, err
	}
	way := plan.ScoreWay()
	low, high := plan.ScoreRange()
	n, err := s.between(ctx, way, low, high, gathered+1)
	if err != nil || n > gathered || n >= least {
		return r, err
	}
	all := plan.ByScore("")
	members, _, err := s.members(ctx, way, all, gathered+1)
	if err != nil {
		return r, err
	}
	out := r.behind(nil)
	out.found = make([]string, 0, len(members))
	for _, m := range members {
		if m = index.Bare(m); plan.Within(m) {
			out.found = append(out.found, m)
		}
	}
	slices.Sort(out.found)
	if !plan.Rising {
		slices.Reverse(out.found)
	}
	return out, nil
}

// behind is the route when other indexes lead: what led is asked.
func (r route) behind(lead []string) route {
	if len(r.lead) == 1 && !index.OfState(r.lead[0]) {
		r.others = append(slices.Clip(r.others), r.lead)
	}
	r.lead = lead
	return r
}

// between counts the members of indexes within bounds, of each up to limit. It is a script because
// what is counted need not be sent. What is no index has none.
func (s Finder) between(ctx context.Context, way []string, low, high string, limit int) (n int64, err error) {
	cmds := make([]*redis.Cmd, len(way))
	if err := s.g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for i, key := range way {
			cmds[i] = count.Run(ctx, p, []string{s.g.IndexKey(key)}, low, high, limit)
		}
	}); err != nil {
		return 0, err
	}
	for _, cmd := range cmds {
		here, err := cmd.Int64()
		if err != nil {
			return 0, err
		}
		n += here
	}
	return n, nil
}

// count is how many members an index has within bounds, up to a limit.
// KEYS: index. ARGV: low, high, limit.
const count conn.Script = `
if redis.call('TYPE', KEYS[1])['ok'] ~= 'zset' then return 0 end
return #redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])`

// byScore lists by score: of few holds all that match are read and sorted, of many the indexes by
// score say which come first.
func (s Finder) byScore(ctx context.Context, q quarantine.Query, size int) (quarantine.Page, error) {
	behind, err := s.scorePlace(ctx, q.After)
	if err != nil {
		return quarantine.Page{}, err
	}
	plan, ok := index.NewPlan(q, "")
	if !ok {
		return quarantine.Page{}, nil
	}
	r, least, err := s.ways(ctx, plan)
	if err != nil || len(r.lead) == 0 {
		return quarantine.Page{}, err
	}
	if plan.Bounded() && least > few {
		n, err := s.between(ctx, plan.Ways[0], plan.Min, plan.Max, few+1)
		if err != nil {
			return quarantine.Page{}, err
		}
		if n <= few { // the states lead, and what the others lead to is asked
			r, least = r.behind(plan.Ways[0]), n
		}
	}
	usable := false
	if least > few {
		if usable, err = s.complete(ctx, plan.Named()); err != nil {
			return quarantine.Page{}, err
		}
	}
	if !usable {
		return s.sorted(ctx, plan, r, behind, size)
	}
	r = r.behind(plan.ScoreWay())
	r.byScore = &plan
	return s.walk(ctx, plan.ByScore(behind), r, size)
}

// scorePlace is where a page of a list by score begins: a cursor, or the ID of a hold.
func (s Finder) scorePlace(ctx context.Context, after string) (string, error) {
	if after == "" {
		return "", nil
	}
	if m, ok := index.ScorePlace(after); ok {
		return m, nil
	}
	r, err := s.g.Row(ctx, after)
	if errors.Is(err, quarantine.ErrNotFound) {
		return "", fmt.Errorf("%w: %.100q", quarantine.ErrCursor, after)
	}
	return index.ScoreMember(r.Hold), err
}

// sorted reads all that a route leads to and sorts what matches.
func (s Finder) sorted(ctx context.Context, plan index.Plan, r route, behind string, size int) (page quarantine.Page, err error) {
	type place struct {
		member string
		hold   quarantine.Hold
	}
	var all []place
	scores := plan.ByScore(behind)
	for more := true; more; {
		var members []string
		if members, more, err = s.members(ctx, r.lead, plan, maxBatch); err != nil {
			return page, err
		}
		if len(members) > 0 {
			plan.Behind(members[len(members)-1])
		}
		if members, err = s.inOthers(ctx, r, members); err != nil {
			return page, err
		}
		var part quarantine.Page
		if _, err = s.match(ctx, plan, r, members, len(members), &part, new(string)); err != nil {
			return page, err
		}
		for _, h := range part.Holds {
			if m := index.ScoreMember(h); scores.Within(m) {
				all = append(all, place{m, h})
			}
		}
	}
	slices.SortFunc(all, func(a, b place) int { return strings.Compare(a.member, b.member) })
	if !plan.Rising {
		slices.Reverse(all)
	}
	for _, p := range all[:min(size, len(all))] {
		page.Holds = append(page.Holds, p.hold)
	}
	if len(all) > size {
		page.Next = index.ScoreCursor(all[size-1].member)
	}
	return page, nil
}
