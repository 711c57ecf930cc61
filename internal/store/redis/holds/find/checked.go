package find

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/ground"
	"postern/internal/store/redis/holds/index"
	"postern/quarantine"
)

// checkedLife is how long indexes by score are believed whose sizes are right. Nodes of an older
// version do not write them; what one added and another took away cancels out in the sizes.
const checkedLife = 10 * time.Minute

// checked remembers when this process compared the indexes by score with those of the states, and
// by how many entries they differed afterwards: holds that do not verify stand in the one alone.
type checked struct {
	revising sync.Mutex // one compares at a time
	seed     maphash.Seed

	mu   sync.Mutex
	at   map[quarantine.State]time.Time
	left map[quarantine.State]int64
}

func newChecked() *checked {
	return &checked{seed: maphash.MakeSeed(), at: map[quarantine.State]time.Time{}, left: map[quarantine.State]int64{}}
}

// good reports whether a difference of sizes is the one that was left.
func (c *checked) good(state quarantine.State, differ int64, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.at[state]
	age := now.Sub(at)
	return ok && age >= 0 && age < checkedLife && c.left[state] == differ
}

func (c *checked) keep(state quarantine.State, differ int64, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at[state], c.left[state] = now, differ
}

// complete makes sure that the indexes by score name the holds of some states, and adds what is
// missing, as after an upgrade, or while nodes of an older version write. usable is false when
// they cannot be asked.
func (s Finder) complete(ctx context.Context, states []quarantine.State) (usable bool, err error) {
	bad, usable, err := s.differing(ctx, states)
	if err != nil || !usable || len(bad) == 0 {
		return usable, err
	}
	s.checked.revising.Lock()
	defer s.checked.revising.Unlock()
	if bad, usable, err = s.differing(ctx, states); err != nil || !usable {
		return usable, err
	}
	for _, state := range bad {
		if err := s.revise(ctx, state); err != nil {
			return false, err
		}
		differ, _, err := s.differ(ctx, []quarantine.State{state})
		if err != nil {
			return false, err
		}
		s.checked.keep(state, differ[0], s.g.Now())
	}
	return true, nil
}

// differing are the states whose indexes must be compared.
func (s Finder) differing(ctx context.Context, states []quarantine.State) (bad []quarantine.State, usable bool, err error) {
	differ, usable, err := s.differ(ctx, states)
	if err != nil || !usable {
		return nil, usable, err
	}
	for i, state := range states {
		if !s.checked.good(state, differ[i], s.g.Now()) {
			bad = append(bad, state)
		}
	}
	return bad, true, nil
}

// differ is how many holds more the index of each state names than those by score.
func (s Finder) differ(ctx context.Context, states []quarantine.State) (differ []int64, usable bool, err error) {
	cmds := make([][3]*redis.IntCmd, len(states))
	if err := s.g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for i, state := range states {
			cmds[i][0] = p.ZCard(ctx, s.g.IndexKey(index.StateKey(state)))
			for d, name := range index.Directions() {
				cmds[i][1+d] = p.ZCard(ctx, s.g.IndexKey(index.ScoreKey(state, name)))
			}
		}
	}); err != nil {
		return nil, false, err
	}
	for _, c := range cmds {
		for _, cmd := range c {
			if cmd.Err() != nil {
				return nil, false, nil //nolint:nilerr // a key of the wrong type; Pipe has said so
			}
		}
		differ = append(differ, c[0].Val()-c[1].Val()-c[2].Val())
	}
	return differ, true, nil
}

// revise compares the indexes by score of a state with that of the state. What they lack is read
// and written, what they have alone is taken away.
func (s Finder) revise(ctx context.Context, state quarantine.State) error {
	have := map[uint64]bool{} // by hash: the members of a large store would be much
	sum := func(member string) uint64 { return maphash.String(s.checked.seed, member) }
	for _, d := range index.Directions() {
		if err := s.each(ctx, index.ScoreKey(state, d), func(members []string) error {
			for _, m := range members {
				have[sum(index.Bare(m))] = true
			}
			return nil
		}); err != nil {
			return err
		}
	}
	if err := s.each(ctx, index.StateKey(state), func(members []string) error {
		var ids []string
		for _, m := range members {
			if h := sum(m); have[h] {
				delete(have, h)
			} else {
				ids = append(ids, index.ID(m))
			}
		}
		return s.add(ctx, ids)
	}); err != nil || len(have) == 0 {
		return err
	}
	for _, d := range index.Directions() {
		key := index.ScoreKey(state, d)
		if err := s.each(ctx, key, func(members []string) error {
			var stale []ground.Entry
			for _, m := range members {
				if have[sum(index.Bare(m))] {
					stale = append(stale, ground.Entry{Key: key, Member: m})
				}
			}
			return s.g.Clean(ctx, stale)
		}); err != nil {
			return err
		}
	}
	return nil
}

// add writes the entries by score of holds.
func (s Finder) add(ctx context.Context, ids []string) error {
	rows, err := s.g.Rows(ctx, ids)
	if err != nil || len(rows) == 0 {
		return err
	}
	return s.g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for _, r := range rows {
			if !r.Good {
				continue
			}
			for _, e := range index.Entries(r.Hold) {
				if index.ByScore(e.Key) {
					s.g.QueueEntries(ctx, p, []index.Entry{e})
				}
			}
		}
	})
}

// each gives all members of an index to f, many at a time.
func (s Finder) each(ctx context.Context, key string, f func(members []string) error) error {
	for low := "-"; ; {
		var page *redis.StringSliceCmd
		if err := s.g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
			page = p.ZRangeByLex(ctx, s.g.IndexKey(key), &redis.ZRangeBy{Min: low, Max: "+", Count: maxBatch})
		}); err != nil {
			return err
		}
		members, err := page.Result()
		if err != nil {
			return err
		}
		if err := f(members); err != nil {
			return err
		}
		if len(members) < maxBatch {
			return nil
		}
		low = "(" + members[len(members)-1]
	}
}
