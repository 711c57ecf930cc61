// Package find looks holds up: by what people search for, by the key of a mail, by time.
package find

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/ground"
	"postern/internal/store/redis/holds/index"
	"postern/internal/store/redis/holds/record"
	"postern/quarantine"
)

// Finder looks holds up. It is safe for concurrent use. Its methods are those of quarantine.Store.
type Finder struct {
	g       *ground.Ground
	checked *checked
}

// New makes a Finder.
func New(g *ground.Ground) Finder { return Finder{g, newChecked()} }

const (
	// maxWords is how many words a beginning may stand for and still lead a search.
	maxWords = 200
	// maxLooked is how many holds one page reads, maxAsked how many entries of an index it walks:
	// one that found little by then says where to go on.
	maxLooked = 50_000
	maxAsked  = 200_000
)

// List implements quarantine.Store. The smallest set of indexes that holds all that match
// leads; the others are asked which of its entries they have too, and what is left is read and
// matched. A page may have less than it could and still name a next one, when much had to be
// looked at.
func (s Finder) List(ctx context.Context, q quarantine.Query) (quarantine.Page, error) {
	return s.list(ctx, q, q.PageSize())
}

func (s Finder) list(ctx context.Context, q quarantine.Query, size int) (quarantine.Page, error) {
	if q.Order.ByScore() {
		return s.byScore(ctx, q, size)
	}
	after := ""
	if q.After != "" {
		var err error
		if after, err = s.place(ctx, q.After); err != nil {
			return quarantine.Page{}, err
		}
	}
	plan, ok := index.NewPlan(q, after)
	if !ok {
		return quarantine.Page{}, nil
	}
	r, least, err := s.ways(ctx, plan)
	if err != nil || len(r.lead) == 0 {
		return quarantine.Page{}, err
	}
	if plan.Rated() {
		if r, err = s.rated(ctx, plan, r, least); err != nil || r.found != nil && len(r.found) == 0 {
			return quarantine.Page{}, err
		}
	}
	return s.walk(ctx, plan, r, size)
}

// route is how a list is walked: down the indexes that lead, past what the others do not have.
type route struct {
	lead    []string
	others  [][]string  // of each, one index must have an entry
	found   []string    // the members that are walked, where they were read before; no index leads then
	byScore *index.Plan // the bounds of time, where indexes by score lead
}

// bare is a member as indexes by time have it.
func (r route) bare(member string) string {
	if r.byScore != nil {
		return index.Bare(member)
	}
	return member
}

// member is the member of a hold in the indexes that lead.
func (r route) member(h quarantine.Hold) string {
	if r.byScore != nil {
		return index.ScoreMember(h)
	}
	return index.Member(h)
}

// cursor is a place on the route as text.
func (r route) cursor(member string) string {
	if r.byScore != nil {
		return index.ScoreCursor(member)
	}
	return index.Cursor(member)
}

// place is where a page begins: a cursor, or the ID of a hold.
func (s Finder) place(ctx context.Context, after string) (string, error) {
	if m, ok := index.Place(after); ok {
		return m, nil
	}
	if _, ok := index.ScorePlace(after); ok {
		return "", quarantine.ErrCursor
	}
	r, err := s.g.Row(ctx, after)
	if err != nil {
		return "", fmt.Errorf("page after %.100q: %w", after, err)
	}
	return index.Member(r.Hold), nil
}

// unknown is more entries than any index has.
const unknown = math.MaxInt64

// ways chooses the indexes that lead, none when one of those needed is empty, and those that
// are asked; least is how many entries the leading ones have.
func (s Finder) ways(ctx context.Context, plan index.Plan) (r route, least int64, err error) {
	ways := plan.Ways
	if len(ways) == 1 && len(plan.Prefixes) == 0 {
		return route{lead: ways[0]}, unknown, nil
	}
	words := make([]*redis.StringSliceCmd, len(plan.Prefixes))
	if err := s.g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for i, prefix := range plan.Prefixes {
			words[i] = p.ZRangeByLex(ctx, s.g.IndexKey(index.Vocabulary), &redis.ZRangeBy{Min: "[" + prefix, Max: "[" + prefix + "\xff", Count: maxWords + 1})
		}
	}); err != nil {
		return route{}, 0, err
	}
	for _, cmd := range words {
		found := cmd.Val()
		if len(found) > maxWords || cmd.Err() != nil {
			continue
		}
		var way []string
		for _, w := range found {
			way = append(way, index.WordKey(w))
		}
		ways = append(slices.Clip(ways), way)
	}
	best, least, err := s.smallest(ctx, ways)
	if err != nil || best < 0 {
		return route{}, 0, err
	}
	r.lead = ways[best]
	for i, way := range ways[1:] { // the first is that of the states, which change
		if i+1 != best && len(way) == 1 {
			r.others = append(r.others, way)
		}
	}
	return r, least, nil
}

// smallest is the number of the way with the fewest entries, -1 when it has none.
func (s Finder) smallest(ctx context.Context, ways [][]string) (best int, least int64, err error) {
	sizes := make([][]*redis.IntCmd, len(ways))
	if err := s.g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for i, way := range ways {
			for _, key := range way {
				sizes[i] = append(sizes[i], p.ZCard(ctx, s.g.IndexKey(key)))
			}
		}
	}); err != nil {
		return -1, 0, err
	}
	best, least = -1, -1
	for i := range ways {
		sum, broken := int64(0), false
		for _, cmd := range sizes[i] {
			sum += cmd.Val()
			broken = broken || cmd.Err() != nil
		}
		if !broken && (least < 0 || sum < least) {
			least, best = sum, i
		}
	}
	if least == 0 {
		return -1, 0, nil
	}
	return best, least, nil
}

// walk goes down the indexes that lead until a page is full.
func (s Finder) walk(ctx context.Context, plan index.Plan, r route, size int) (page quarantine.Page, err error) {
	batch, most := min(size+1, ground.MaxRows), ground.MaxRows
	if len(r.others) > 0 || r.byScore != nil && r.byScore.Bounded() {
		batch, most = ground.MaxRows, maxBatch
	}
	last := ""
	for looked, asked := 0, 0; looked < maxLooked && asked < maxAsked; {
		members, more, err := s.next(ctx, &r, plan, batch)
		if err != nil {
			return page, err
		}
		likely, err := s.inOthers(ctx, r, members)
		if err != nil {
			return page, err
		}
		for part := range slices.Chunk(likely, size+1) {
			full, err := s.match(ctx, plan, r, part, size, &page, &last)
			if err != nil {
				return page, err
			}
			if full {
				page.Next = r.cursor(last)
				return page, nil
			}
		}
		if !more {
			return page, nil
		}
		looked += len(likely)
		asked += len(members)
		last = members[len(members)-1]
		plan.Behind(last)
		batch = min(4*batch, most)
	}
	page.Next = r.cursor(last)
	return page, nil
}

// next takes the next members of a route.
func (s Finder) next(ctx context.Context, r *route, plan index.Plan, n int) (members []string, more bool, err error) {
	if r.found == nil {
		return s.members(ctx, r.lead, plan, n)
	}
	n = min(n, len(r.found))
	members, r.found = r.found[:n], r.found[n:]
	return members, len(r.found) > 0, nil
}

// members reads the next ones of a way, in the order of the plan.
func (s Finder) members(ctx context.Context, way []string, plan index.Plan, n int) (members []string, more bool, err error) {
	by := &redis.ZRangeBy{Min: plan.Min, Max: plan.Max, Count: int64(n)}
	cmds := make([]*redis.StringSliceCmd, len(way))
	if err := s.g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for i, key := range way {
			if plan.Rising {
				cmds[i] = p.ZRangeByLex(ctx, s.g.IndexKey(key), by)
			} else {
				cmds[i] = p.ZRevRangeByLex(ctx, s.g.IndexKey(key), by)
			}
		}
	}); err != nil {
		return nil, false, err
	}
	read := make([][]string, len(cmds))
	for i, cmd := range cmds {
		read[i] = cmd.Val()
	}
	members, more = plan.Merge(read, n)
	return members, more, nil
}

// match reads the holds behind members and adds those that match to the page; full is true
// when there was one more than fits. last is the member of the last one on the page.
func (s Finder) match(ctx context.Context, plan index.Plan, r route, members []string, size int, page *quarantine.Page, last *string) (full bool, err error) {
	ids := make([]string, len(members))
	for i, m := range members {
		ids[i] = index.ID(r.bare(m))
	}
	rows, err := s.g.Rows(ctx, ids)
	if err != nil {
		return false, err
	}
	var stale []ground.Entry
	for i, row := range rows {
		if row.Missing() || row.Good && r.member(row.Hold) != members[i] {
			for _, key := range r.lead {
				stale = append(stale, ground.Entry{Key: key, Member: members[i]})
			}
			continue
		}
		if !row.Good || !plan.Match(row.Hold) {
			if row.Good && row.Hold.State != quarantine.Provisional {
				stale = append(stale, elsewhere(row.Hold, r.lead, members[i])...)
			}
			continue
		}
		if len(page.Holds) == size {
			full = true
			break
		}
		page.Holds = append(page.Holds, row.Hold)
		*last = members[i]
	}
	return full, s.g.Clean(ctx, stale)
}

// elsewhere are the entries of a way that a hold has no more, when it has none of them.
func elsewhere(h quarantine.Hold, way []string, member string) []ground.Entry {
	var out []ground.Entry
	for _, e := range index.Entries(h) {
		if e.Member == member && slices.Contains(way, e.Key) {
			return nil
		}
	}
	for _, key := range way {
		out = append(out, ground.Entry{Key: key, Member: member})
	}
	return out
}

// FindKey implements quarantine.Store. It stands in the way of every mail: one short round trip
// for a key that nobody has.
func (s Finder) FindKey(ctx context.Context, key string, since time.Time) (quarantine.Hold, bool, error) {
	if key == "" {
		return quarantine.Hold{}, false, nil
	}
	var entry *redis.StringCmd
	if err := s.g.Pipe(ctx, conn.Lookup, func(p redis.Pipeliner) { entry = p.Get(ctx, s.g.KeyKey(key)) }); err != nil {
		return quarantine.Hold{}, false, err
	}
	id := record.Unpack(entry.Val())
	if id == "" {
		return quarantine.Hold{}, false, nil
	}
	found, err := s.g.Rows(ctx, []string{id})
	if err != nil || !found[0].Good {
		return quarantine.Hold{}, false, err
	}
	h := found[0].Hold
	if h.Key != key || h.State == quarantine.Provisional || h.Ended != nil && h.Ended.At.UnixMilli() < since.UnixMilli() {
		return quarantine.Hold{}, false, nil
	}
	return h, true, nil
}
