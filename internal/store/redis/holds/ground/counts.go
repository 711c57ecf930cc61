package ground

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

// Tally counts bodies.
type Tally struct{ Bodies, Bytes int64 }

// Families are both families of bodies, in the order in which they are counted.
func Families() [2]string { return [...]string{HeldBodies, EvidenceBodies} }

func familyIndex(name string) int {
	if name == EvidenceBodies {
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
	read    [2]Tally // of the server
	pending [2]Tally // ours, not added there yet
	reserve [2]int64 // bytes that are being written
	done    []string // provisional entries that are no more needed
	writing int      // writes of this process that are under way
	asking  bool     // it is being read
	vague   bool     // a write was under way, while it was read
	epoch   int      // counts what made it out of date
}

// maxDone bounds the entries that wait to be taken away: DropBefore finds the others.
const maxDone = 4096

// Begin says that a write begins that put or confirmed will correct what was read by.
func (c *counts) Begin() (end func()) {
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

// Put corrects what was read by a hold that was put.
func (c *counts) Put() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.states != nil {
		c.states[quarantine.Provisional]++
	}
}

// Confirmed corrects it by holds that were confirmed.
func (c *counts) Confirmed(entries []string) {
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

// Changed forgets what was read.
func (c *counts) Changed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = time.Time{}
	c.epoch++
}

func (c *counts) Add(family string, bodies, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := &c.pending[familyIndex(family)]
	p.Bodies += bodies
	p.Bytes += bytes
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
	for f := range c.pending {
		bodies, bytes := c.read[f].Bodies+c.pending[f].Bodies, c.read[f].Bytes+c.pending[f].Bytes
		st.Bodies += int(max(bodies, 0))
		st.Bytes += max(bytes, 0)
		byFamily[f] = max(bytes, 0) + c.reserve[f]
	}
	return st, byFamily, true
}

// Stats implements quarantine.Store: at most a second old, and with all that this process did.
func (g *Ground) Stats(ctx context.Context) (quarantine.Stats, error) {
	st, _, err := g.stats(ctx)
	return st, err
}

func (g *Ground) stats(ctx context.Context) (quarantine.Stats, [2]int64, error) {
	for range 3 {
		if st, f, ok := g.Counts.known(time.Now()); ok {
			return st, f, nil
		}
		if err := g.count(ctx); err != nil {
			return quarantine.Stats{}, [2]int64{}, err
		}
	}
	// Others write all the time: what was read last is as good as it gets.
	g.Counts.mu.Lock()
	g.Counts.vague = false
	g.Counts.at = time.Now()
	g.Counts.mu.Unlock()
	st, f, _ := g.Counts.known(time.Now())
	return st, f, nil
}

// AllStates are the states that have an index of their own.
func AllStates() []quarantine.State {
	return []quarantine.State{quarantine.Held, quarantine.Releasing, quarantine.Refused, quarantine.Released, quarantine.Deleted, quarantine.Expired}
}

func counterField(f int, what string) string { return Families()[f] + what }

// count adds what is ours to the counters and reads them all.
func (g *Ground) count(ctx context.Context) error {
	c := &g.Counts
	c.reading.Lock()
	defer c.reading.Unlock()
	if _, _, ok := c.known(time.Now()); ok { // another one has just read it
		return nil
	}
	c.mu.Lock()
	pending, done := c.pending, c.done
	c.pending, c.done = [2]Tally{}, nil
	c.asking, c.vague = true, c.writing > 0
	epoch := c.epoch
	c.mu.Unlock()
	began := time.Now()
	states := map[quarantine.State]*redis.IntCmd{}
	var fields *redis.SliceCmd
	err := g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		g.queueDone(ctx, p, done)
		key := g.Conn.Key("count")
		for f, t := range pending {
			if t != (Tally{}) {
				p.HIncrBy(ctx, key, counterField(f, "n"), t.Bodies)
				p.HIncrBy(ctx, key, counterField(f, "z"), t.Bytes)
			}
		}
		fields = p.HMGet(ctx, key, counterField(0, "n"), counterField(0, "z"), counterField(1, "n"), counterField(1, "z"))
		states[quarantine.Provisional] = p.ZCard(ctx, g.IndexKey(index.Provisional))
		for _, st := range AllStates() {
			states[st] = p.ZCard(ctx, g.IndexKey(index.StateKey(st)))
		}
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asking = false
	if err != nil { // it may have been added: too much is said rather than too little
		for f, t := range pending {
			c.pending[f].Bodies += t.Bodies
			c.pending[f].Bytes += t.Bytes
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

func (g *Ground) queueDone(ctx context.Context, p redis.Pipeliner, done []string) {
	if len(done) > 0 {
		p.ZRem(ctx, g.IndexKey(index.Provisional), Anys(done)...)
	}
}

func Anys(from []string) []any {
	out := make([]any, len(from))
	for i, v := range from {
		out[i] = v
	}
	return out
}

func readTallies(fields []any) (out [2]Tally) {
	for f := range out {
		if len(fields) == 4 {
			out[f] = Tally{ToInt(fields[2*f]), ToInt(fields[2*f+1])}
		}
	}
	return out
}

func ToInt(v any) int64 {
	text, _ := v.(string)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Room makes sure that size more stored bytes fit below the cap of a family, with all that is
// being written, and returns how to give the room back.
func (g *Ground) Room(ctx context.Context, family string, size int64) (free func(), err error) {
	limit := g.caps.Holds
	f := familyIndex(family)
	if f == 1 {
		limit = g.caps.Evidence
	}
	if limit <= 0 {
		return func() {}, nil
	}
	_, used, err := g.stats(ctx)
	if err != nil {
		return nil, err
	}
	c := &g.Counts
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

// Correct moves the counters to what was found.
func (g *Ground) Correct(ctx context.Context, found [2]Tally) error {
	g.Counts.Changed()
	if _, err := g.Stats(ctx); err != nil { // with it, what is ours is added
		return err
	}
	g.Counts.mu.Lock()
	read := g.Counts.read
	g.Counts.mu.Unlock()
	for f := range found {
		g.Counts.Add(Families()[f], found[f].Bodies-read[f].Bodies, found[f].Bytes-read[f].Bytes)
	}
	g.Counts.Changed()
	_, err := g.Stats(ctx)
	return err
}
