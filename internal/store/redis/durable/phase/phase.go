// Package phase is what keeping holds and keeping entries of the outbox in two places have in
// common: when what is given back to a store that lost it.
package phase

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"postern/internal/store/redis/journal"
	"postern/quarantine"
)

// ErrRestoring refuses what could happen twice while a store that was born anew is given back
// what it lost.
var ErrRestoring = errors.New("the store is being restored, try again in a moment")

// Options are the same for both.
type Options struct {
	Grace time.Duration // for other nodes to bring their ends; 0 = 15 s
	Now   func() time.Time
	Log   *slog.Logger
	// Alarm is told, once in a while, that this node found the store without what it must have:
	// every node must be told with Lost.
	Alarm func(why string)
	// Born is asked before what could happen twice: when the store was last found to be a new
	// one, by anybody, and what time it is now, both by its own clock. nil: only Lost says so.
	Born func(ctx context.Context) (born, now time.Time, err error)
}

// Filled has a value in every field.
func (o Options) Filled() Options {
	if o.Grace <= 0 {
		o.Grace = 15 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Alarm == nil {
		o.Alarm = func(string) {}
	}
	return o
}

// Status says how the node's own copies stand.
type Status struct {
	Live, Tombstones int
	Bytes            int64     // of the whole journal
	OldestUnpushed   time.Time // zero: the shared store has everything
	Pushed           int64     // entries given back to the store since the start
}

// How much is asked at once, and kept for how long.
const (
	Batch = 128 // entries looked at in one question
	// AlarmEvery is how often one entry may raise the alarm.
	AlarmEvery = time.Hour
	Keep       = 24 * time.Hour // how long a confirmed hold stays in the journal
)

// Phases is how far the store has been given back what it lost.
type Phases struct {
	o    Options
	jrn  *journal.Journal
	name string

	mu     sync.Mutex
	born   time.Time // when the store was last found to be a new one
	refuse bool      // what could happen twice is refused; not for the check at the start
	ends   bool      // ends are to be brought
	live   bool      // what is open is to be brought, after the grace
	next   []string  // what the scrub looks at next
	seen   time.Time // what Born said last
}

// lostKind is under what the journal has the time of the last loss.
const lostKind = "lost"

// New begins with a check of everything: the store may have lost something before. A node that
// dies while a store is being restored goes on with that; name tells what the phases are of.
func New(o Options, j *journal.Journal, name string) *Phases {
	p := &Phases{o: o, jrn: j, name: name, born: o.Now(), ends: true, live: true}
	if e, err := j.Get(lostKind, name); err == nil {
		born, err := time.Parse(time.RFC3339Nano, string(e.Record))
		if since := o.Now().Sub(born); err == nil && since >= 0 && since < 2*o.Grace {
			p.born, p.refuse = born, true
		}
	}
	return p
}

// Lost says that the store may have lost something now.
func (p *Phases) Lost(ctx context.Context, why string) {
	p.mu.Lock()
	p.born, p.refuse, p.ends, p.live = p.o.Now(), true, true, true
	born := p.born
	p.mu.Unlock()
	p.o.Log.Warn("the shared store may have lost something; it is given back", "what", p.name, "why", why)
	it := journal.Item{Kind: lostKind, ID: p.name, Record: []byte(born.Format(time.RFC3339Nano))}
	if err := p.jrn.Set(context.WithoutCancel(ctx), it); err != nil {
		p.o.Log.Warn("the time of the loss is not in the journal", "error", err)
	}
}

// Alarm is Lost on the node's own evidence; not again while it is being put right.
func (p *Phases) Alarm(ctx context.Context, why string) {
	p.mu.Lock()
	busy := p.refuse && (p.ends || p.live || p.o.Now().Sub(p.born) < 2*p.o.Grace)
	p.live = true
	p.mu.Unlock()
	if !busy {
		p.Lost(ctx, why)
		p.o.Alarm(why)
	}
}

// Restoring reports whether what could happen twice must wait: other nodes bring their ends in
// the first grace, what is open and what is on its way in the second.
func (p *Phases) Restoring() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refuse && (p.ends || p.live || p.o.Now().Sub(p.born) < 2*p.o.Grace)
}

// Sure returns an error when what could happen twice must wait. It asks the store, so that a node
// that was not told yet, or has just begun, waits too.
func (p *Phases) Sure(ctx context.Context) error {
	if p.o.Born != nil {
		born, now, err := p.o.Born(ctx)
		if err != nil {
			return err
		}
		p.mu.Lock()
		before := p.seen
		p.seen = born
		p.mu.Unlock()
		news := !before.IsZero() && !before.Equal(born) || before.IsZero() && now.Sub(born) < 2*p.o.Grace // this node's clock may be off
		if news && !p.Restoring() {
			p.Lost(ctx, "another node found it born anew")
		}
	}
	if p.Restoring() {
		return ErrRestoring
	}
	return nil
}

// Due says what is to be brought now. Born names the loss it is for.
func (p *Phases) Due() (ends, live bool, born time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	since := p.o.Now().Sub(p.born)
	return p.ends || since < 2*p.o.Grace, p.live && since >= p.o.Grace, p.born
}

// Done notes what was brought, unless the store was lost again meanwhile.
func (p *Phases) Done(ends, live bool, born time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.born.Equal(born) {
		p.ends, p.live = p.ends && !ends, p.live && !live
	}
}

// Scrub is the next few entries of a walk over all of them.
func (p *Phases) Scrub(all func() []string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.next) == 0 {
		p.next = all()
	}
	n := min(Batch, len(p.next))
	out := p.next[:n]
	p.next = p.next[n:]
	return out
}

// some bounds what is looked at every few seconds.
const some = 1024

// Some is a part of the IDs, bounded, taken from a list in no order.
func Some(ids []string) []string { return ids[:min(len(ids), some)] }

// Batches calls f with a bounded number of IDs at a time.
func Batches(ctx context.Context, ids []string, f func(ids []string) error) error {
	for len(ids) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(Batch, len(ids))
		if err := f(ids[:n]); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

// beside is how many entries are given back at once: each waits for the store's disk several
// times, and mail needs the way there too.
const beside = 8

// Beside calls f for some entries, several at once, but those of a group one after the other. It
// begins no more of them after an error.
func Beside(ctx context.Context, n int, group func(i int) string, f func(i int) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	groups := map[string][]int{}
	for i := range n {
		groups[group(i)] = append(groups[group(i)], i)
	}
	work := make(chan []int, len(groups))
	for _, g := range groups {
		work <- g
	}
	close(work)
	var all sync.WaitGroup
	for range min(beside, len(groups)) {
		all.Go(func() {
			for g := range work {
				for _, i := range g {
					if ctx.Err() != nil {
						return
					}
					if err := f(i); err != nil {
						stop(err)
						return
					}
				}
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// Run calls step until ctx ends.
func Run(ctx context.Context, log *slog.Logger, every time.Duration, step func(ctx context.Context) error) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if err := step(ctx); err != nil && ctx.Err() == nil {
			log.Debug("the journal and the shared store could not be compared", "error", err)
		}
	}
}

// Stripes keep two from changing the journal's copy of one entry at a time.
type Stripes [64]sync.Mutex

// Lock takes the stripe of an entry.
func (s *Stripes) Lock(id string) (unlock func()) {
	n := uint32(0)
	for i := range len(id) {
		n = n*31 + uint32(id[i])
	}
	m := &s[n%uint32(len(s))]
	m.Lock()
	return m.Unlock
}

// Sorted gives an error of the journal the name that the callers of a store know.
func Sorted(err error) error {
	for _, c := range []struct{ is, as error }{
		{journal.ErrFull, quarantine.ErrFull}, {journal.ErrReadOnly, quarantine.ErrReadOnly}, {journal.ErrCorrupt, quarantine.ErrCorrupt},
	} {
		if errors.Is(err, c.is) {
			return fmt.Errorf("%w: %w", c.as, err)
		}
	}
	return err
}
