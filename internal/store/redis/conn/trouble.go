package conn

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Times of what is said.
const (
	every  = 10 * time.Second // trouble is said once in this time, and its end as well
	settle = 2 * time.Second  // it is not over before it stayed away for this long
	stale  = 15 * time.Second // what failed in one kind of calls this long ago no longer counts
)

// Status is how the connection does.
type Status struct {
	Up              bool
	Since           time.Time // that Up is what it is
	Reason          string    // why it is not up
	Trips, Commands int64
	Waited          int64            // of Trips, those of mail: all but Background
	Faults          map[string]int64 // how often, by reason
}

// Status is how the connection does now.
func (c *Conn) Status() Status {
	s := c.trouble.status()
	s.Trips, s.Waited, s.Commands = c.trips.Load(), c.waited.Load(), c.commands.Load()
	return s
}

// Trips counts the round trips made so far; a pipeline is one.
func (c *Conn) Trips() int64 { return c.trips.Load() }

// trouble keeps what fails, says once in a while that it does, and once that it is over.
type trouble struct {
	log  *slog.Logger
	now  func() time.Time
	calm atomic.Bool // nothing fails and all is said: the usual case needs no lock

	mu     sync.Mutex
	last   [kinds]time.Time // last fault of calls of a kind; zero: none since they worked
	silent [kinds]bool      // it was that nobody answered
	change time.Time        // of up
	down   bool
	reason string
	faults map[string]int64

	told   bool // that it is away, and not yet that it is back
	said   time.Time
	back   time.Time
	unsaid int
}

func newTrouble(log *slog.Logger, now func() time.Time) *trouble {
	return &trouble{log: log, now: now, change: now(), faults: map[string]int64{}}
}

// failed notes a fault.
func (t *trouble) failed(kind Kind, f *Fault) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	t.calm.Store(false)
	t.last[kind], t.reason, t.silent[kind] = now, f.Reason, f.rest && !f.reply()
	t.faults[f.Reason]++
	if !t.down {
		t.down, t.change = true, now
	}
	if within(t.said, now, every) {
		t.unsaid++
		return
	}
	t.log.Error("redis is away", "reason", f.Reason, "error", f.Err, "since", t.change, "failures_not_said", t.unsaid)
	t.told, t.said, t.unsaid = true, now, 0
}

// worked notes that calls of a kind are answered.
func (t *trouble) worked(kind Kind) {
	if t.calm.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last[kind] = time.Time{}
	t.look()
}

// answered notes that the server answers in time for calls of some kinds: where nobody makes
// such calls just now, they would be found to work much later.
func (t *trouble) answered(kinds ...Kind) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range kinds {
		if t.silent[k] {
			t.last[k] = time.Time{}
		}
	}
	t.look()
}

// look finds out whether all is well again, and says so. The caller holds mu.
func (t *trouble) look() {
	now := t.now()
	for k, at := range t.last {
		switch {
		case at.IsZero():
		case within(at, now, stale):
			return
		default:
			t.last[k] = time.Time{}
		}
	}
	if t.down {
		t.down, t.change = false, now
	}
	recent := within(t.change, now, settle) || within(t.back, now, every)
	if !t.told {
		t.calm.Store(true)
		return
	}
	if recent {
		return
	}
	t.log.Info("redis is back", "failures_not_said", t.unsaid)
	t.told, t.back, t.unsaid = false, now, 0
	t.calm.Store(true)
}

// why is what failed last.
func (t *trouble) why() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reason
}

func (t *trouble) status() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Status{Up: !t.down, Since: t.change, Faults: maps.Clone(t.faults)}
	if t.down {
		s.Reason = t.reason
	}
	return s
}

// within reports whether a time is at most d ago; one that lies ahead is not.
func within(at, now time.Time, d time.Duration) bool {
	return !at.IsZero() && now.Sub(at) < d && !now.Before(at)
}

// counter counts round trips and commands.
type counter struct{ trips, waited, commands *atomic.Int64 }

func (c counter) note(ctx context.Context, commands int) {
	c.trips.Add(1)
	c.commands.Add(int64(commands))
	if of, ok := ctx.Value(callKey{}).(*call); ok && of != nil && of.kind != Background {
		c.waited.Add(1)
	}
}

func (c counter) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (c counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.note(ctx, 1)
		return next(ctx, cmd)
	}
}

func (c counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.note(ctx, len(cmds))
		return next(ctx, cmds)
	}
}
