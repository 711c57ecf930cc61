package holds

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/index"
	"postern/quarantine"
)

// statsLife is how old what is counted may be.
const statsLife = time.Second

// tally counts bodies.
type tally struct{ bodies, bytes int64 }

// families are both families of bodies, and where each stands in a count.
var families = [...]string{heldBodies, evidenceBodies}

func familyIndex(name string) int {
	if name == evidenceBodies {
		return 1
	}
	return 0
}

// counts remembers what was counted. The counters of bodies lie in one key, far from the holds:
// what this process adds is kept until they are read next, and a process that dies takes a
// little with it; Reindex counts anew. States are the sizes of their indexes.
type counts struct {
	reading sync.Mutex // one reads at a time

	mu      sync.Mutex
	at      time.Time // when it was read; zero: it must be read
	states  map[quarantine.State]int
	read    [2]tally // of the server
	pending [2]tally // ours, not added there yet
	reserve [2]int64 // bytes that are being written
	done    []string // provisional entries that are no more needed
	writing int      // writes of this process that are under way
	asking  bool     // it is being read
	vague   bool     // a write was under way, while it was read
	epoch   int      // counts what made it out of date
}

// maxDone bounds the entries that wait to be taken away: DropBefore finds the others.
const maxDone = 4096

// begin says that a write begins that put or confirmed will correct what was read by.
func (c *counts) begin() (end func()) {
	c.mu.Lock()
	c.writing++
	c.vague = c.vague || c.asking
	c.mu.Unlock()
	return func() {
		c.mu.Lock()
		c.writing--
		c.mu.Unlock()
	}
}

// put corrects what was read by a hold that was put.
func (c *counts) put() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.states != nil {
		c.states[quarantine.Provisional]++
	}
}

// confirmed corrects it by holds that were confirmed.
func (c *counts) confirmed(entries []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.states != nil {
		c.states[quarantine.Provisional] -= len(entries)
		c.states[quarantine.Held] += len(entries)
	}
	if len(c.done)+len(entries) <= maxDone {
		c.done = append(c.done, entries...)
	}
}

// changed forgets what was read.
func (c *counts) changed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = time.Time{}
	c.epoch++
}

func (c *counts) add(family string, bodies, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := &c.pending[familyIndex(family)]
	p.bodies += bodies
	p.bytes += bytes
}

// known is what was counted, if that is not long ago. What was read while this process wrote
// is good enough as long as it goes on writing.
func (c *counts) known(now time.Time) (st quarantine.Stats, byFamily [2]int64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if age := now.Sub(c.at); c.at.IsZero() || age >= statsLife || age < 0 || c.vague && c.writing == 0 {
		return st, byFamily, false
	}
	st.States = map[quarantine.State]int{}
	for state, n := range c.states {
		if n > 0 {
			st.States[state] = n
		}
	}
	for f := range families {
		bodies, bytes := c.read[f].bodies+c.pending[f].bodies, c.read[f].bytes+c.pending[f].bytes
		st.Bodies += int(max(bodies, 0))
		st.Bytes += max(bytes, 0)
		byFamily[f] = max(bytes, 0) + c.reserve[f]
	}
	return st, byFamily, true
}

// Stats implements quarantine.Store: at most a second old, and with all that this process did.
func (s *Store) Stats(ctx context.Context) (quarantine.Stats, error) {
	st, _, err := s.stats(ctx)
	return st, err
}

func (s *Store) stats(ctx context.Context) (quarantine.Stats, [2]int64, error) {
	for range 3 {
		if st, f, ok := s.counts.known(time.Now()); ok {
			return st, f, nil
		}
		if err := s.count(ctx); err != nil {
			return quarantine.Stats{}, [2]int64{}, err
		}
	}
	// Others write all the time: what was read last is as good as it gets.
	s.counts.mu.Lock()
	s.counts.vague = false
	s.counts.at = time.Now()
	s.counts.mu.Unlock()
	st, f, _ := s.counts.known(time.Now())
	return st, f, nil
}

// allStates are the states that have an index of their own.
func allStates() []quarantine.State {
	return []quarantine.State{quarantine.Held, quarantine.Releasing, quarantine.Refused, quarantine.Released, quarantine.Deleted, quarantine.Expired}
}

func counterField(f int, what string) string { return families[f] + what }

// count adds what is ours to the counters and reads them all.
func (s *Store) count(ctx context.Context) error {
	c := &s.counts
	c.reading.Lock()
	defer c.reading.Unlock()
	if _, _, ok := c.known(time.Now()); ok { // another one has just read it
		return nil
	}
	c.mu.Lock()
	pending, done := c.pending, c.done
	c.pending, c.done = [2]tally{}, nil
	c.asking, c.vague = true, c.writing > 0
	epoch := c.epoch
	c.mu.Unlock()
	began := time.Now()
	states := map[quarantine.State]*redis.IntCmd{}
	var fields *redis.SliceCmd
	err := s.pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		s.queueDone(ctx, p, done)
		key := s.conn.Key("count")
		for f, t := range pending {
			if t != (tally{}) {
				p.HIncrBy(ctx, key, counterField(f, "n"), t.bodies)
				p.HIncrBy(ctx, key, counterField(f, "z"), t.bytes)
			}
		}
		fields = p.HMGet(ctx, key, counterField(0, "n"), counterField(0, "z"), counterField(1, "n"), counterField(1, "z"))
		states[quarantine.Provisional] = p.ZCard(ctx, s.indexKey(index.Provisional))
		for _, st := range allStates() {
			states[st] = p.ZCard(ctx, s.indexKey(index.StateKey(st)))
		}
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asking = false
	if err != nil { // it may have been added: too much is said rather than too little
		for f, t := range pending {
			c.pending[f].bodies += t.bodies
			c.pending[f].bytes += t.bytes
		}
		return fmt.Errorf("count holds: %w", err)
	}
	c.at, c.states = began, map[quarantine.State]int{}
	for st, cmd := range states {
		c.states[st] = int(cmd.Val())
	}
	c.read = readTallies(fields.Val())
	if c.epoch != epoch {
		c.at = time.Time{}
	}
	return nil
}

func (s *Store) queueDone(ctx context.Context, p redis.Pipeliner, done []string) {
	if len(done) > 0 {
		p.ZRem(ctx, s.indexKey(index.Provisional), anys(done)...)
	}
}

func anys(from []string) []any {
	out := make([]any, len(from))
	for i, v := range from {
		out[i] = v
	}
	return out
}

func readTallies(fields []any) (out [2]tally) {
	for f := range out {
		if len(fields) == 4 {
			out[f] = tally{toInt(fields[2*f]), toInt(fields[2*f+1])}
		}
	}
	return out
}

func toInt(v any) int64 {
	text, _ := v.(string)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// room makes sure that size more stored bytes fit below the cap of a family, with all that is
// being written, and returns how to give the room back.
func (s *Store) room(ctx context.Context, family string, size int64) (free func(), err error) {
	limit := s.caps.Holds
	f := familyIndex(family)
	if f == 1 {
		limit = s.caps.Evidence
	}
	if limit <= 0 {
		return func() {}, nil
	}
	_, used, err := s.stats(ctx)
	if err != nil {
		return nil, err
	}
	c := &s.counts
	c.mu.Lock()
	defer c.mu.Unlock()
	if used[f]+size > limit {
		return nil, fmt.Errorf("%w: %d of %d bytes are used", quarantine.ErrFull, used[f], limit)
	}
	c.reserve[f] += size
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.reserve[f] -= size
	}, nil
}
