package greylist

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/filter/greylist"
	"postern/internal/store/redis/conn"
)

// Bounds of what one call reads.
const (
	page  = 1000
	pages = 100
)

// GetWaiting implements greylist.Store.
func (s *Store) GetWaiting(ctx context.Context, id string) (greylist.Waiting, error) {
	tries, err := s.leadsTo(ctx, id, nil)
	if err != nil {
		return greylist.Waiting{}, err
	}
	if len(tries) > 0 {
		entries, err := s.entries(ctx, conn.Write, tries[:1])
		if err != nil {
			return greylist.Waiting{}, err
		}
		if w, ok := read(entries[0].Val(), tries[0]); ok && w.ID == id {
			return w, nil
		}
	}
	return greylist.Waiting{}, fmt.Errorf("%w: %s", greylist.ErrNotFound, id)
}

// leadsTo are the parts of the entry with an ID, none if there is none; what is queued goes
// with the question.
func (s *Store) leadsTo(ctx context.Context, id string, queue func(redis.Pipeliner)) ([]string, error) {
	var tries *redis.StringCmd
	_, err := s.conn.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		if id != "" {
			tries = p.Get(ctx, s.id(id))
		}
		if queue != nil {
			queue(p)
		}
	})
	if err != nil || tries == nil {
		return nil, err
	}
	return strings.Fields(tries.Val()), nil
}

// ListWaiting implements greylist.Store. What the index lists and is not there any more is
// taken out of it.
func (s *Store) ListWaiting(ctx context.Context, after string, limit int, now time.Time) ([]greylist.Waiting, error) {
	from, last := "-inf", ""
	var first float64
	if after != "" {
		w, err := s.GetWaiting(ctx, after)
		if err != nil {
			return nil, err
		}
		first, last = float64(w.First.UnixMilli()), member(&w)
		from = strconv.FormatFloat(first, 'f', 0, 64)
	}
	var out []greylist.Waiting
	var gone []string
	for n := range int64(pages) {
		listed, err := s.listed(ctx, &redis.ZRangeBy{Min: from, Max: "+inf", Offset: n * page, Count: page})
		if err != nil {
			return nil, err
		}
		for _, l := range listed {
			switch {
			case last != "" && l.score <= first && l.member <= last:
			case l.entry == nil:
				gone = append(gone, l.member)
			case len(out) < limit && l.entry.Live(now):
				out = append(out, *l.entry)
			}
		}
		if len(listed) < page || len(out) == limit {
			break
		}
	}
	return out, s.unlist(ctx, gone)
}

// listed is a member of the index, with its entry unless that is gone, and the parts that lead
// there.
type listed struct {
	member string
	score  float64
	entry  *greylist.Waiting
	tries  []string
}

// listed reads a part of the index and the entries it lists, in two round trips.
func (s *Store) listed(ctx context.Context, part *redis.ZRangeBy) ([]listed, error) {
	cmds, err := s.conn.Pipe(ctx, conn.Background, func(p redis.Pipeliner) { p.ZRangeByScoreWithScores(ctx, s.index(), part) })
	if err != nil {
		return nil, err
	}
	var all []listed
	var under []string
	for _, z := range cmds[0].(*redis.ZSliceCmd).Val() {
		m, _ := z.Member.(string)
		_, u := split(m)
		all, under = append(all, listed{member: m, score: z.Score}), append(under, u)
	}
	entries, err := s.entries(ctx, conn.Background, under)
	for i, cmd := range entries {
		if w, ok := read(cmd.Val(), under[i]); ok && member(&w) == all[i].member {
			all[i].entry, all[i].tries = &w, strings.Fields(parts(w.Keys))
		}
	}
	return all, err
}

// end ends the entry at KEYS[1] if it has the ID.
const end = `local v=redis.pcall('HGET',KEYS[1],'i')
if v==ARGV[1] then redis.call('DEL',KEYS[1]) end
return 1`

// remove ends what was listed, and what leads there.
func (s *Store) remove(ctx context.Context, all []listed) error {
	if len(all) == 0 {
		return nil
	}
	_, err := s.conn.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
		for _, l := range all {
			id, under := split(l.member)
			conn.Script(end).Run(ctx, p, []string{s.entry(under)}, id)
			p.Unlink(ctx, s.id(id))
			p.ZRem(ctx, s.index(), l.member)
			for _, t := range l.tries {
				p.Unlink(ctx, s.try(t))
			}
		}
	})
	return err
}

// unlist takes out of the index what leads nowhere.
func (s *Store) unlist(ctx context.Context, members []string) error {
	if len(members) == 0 {
		return nil
	}
	_, err := s.conn.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
		for _, m := range members {
			id, _ := split(m)
			p.ZRem(ctx, s.index(), m)
			p.Unlink(ctx, s.id(id))
		}
	})
	return err
}

// evict removes the n oldest entries.
func (s *Store) evict(ctx context.Context, n int64) error {
	for ; n > 0; n -= page {
		oldest, err := s.listed(ctx, &redis.ZRangeBy{Min: "-inf", Max: "+inf", Count: min(n, page)})
		if err != nil {
			return err
		}
		if err := s.remove(ctx, oldest); err != nil {
			return err
		}
	}
	return nil
}

// Settle implements greylist.Store: the source is let in first, so that what breaks off in
// between leaves at most an entry that has waited long enough.
func (s *Store) Settle(ctx context.Context, id string, keys []string, k greylist.Known) error {
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	if id == "" && len(keys) == 0 {
		return nil
	}
	tries, err := s.leadsTo(ctx, id, func(p redis.Pipeliner) {
		for _, key := range keys {
			p.Set(ctx, s.source(key), known(key, text), lifetime(k.Until.Sub(k.Last), spareKnown))
		}
	})
	if err != nil || len(tries) == 0 {
		return err
	}
	return s.remove(ctx, []listed{{member: id + " " + tries[0], tries: tries}})
}

// Prune implements greylist.Store: of what is listed, the oldest. Known sources the server
// forgets by itself.
func (s *Store) Prune(ctx context.Context, before time.Time, limit int) error {
	for range pages {
		oldest, err := s.listed(ctx, &redis.ZRangeBy{Min: "-inf", Max: "+inf", Count: page})
		if err != nil {
			return err
		}
		var over []listed
		for _, l := range oldest {
			switch {
			case l.entry == nil:
				over = append(over, l)
			case l.entry.Expires.Before(before) && limit > 0:
				over = append(over, l)
				limit--
			}
		}
		if err := s.remove(ctx, over); err != nil || len(oldest) < page || len(over) < page/2 {
			return err
		}
	}
	return nil
}
