package limit

import (
	"context"
	"fmt"
	"time"
)

// Window is a fixed window of the clock that nodes share, by its number since 1970, and what
// was counted in it and in the one before.
type Window struct {
	Number   int64
	Now, Old int32
}

// Windows are those of a minute, an hour and a day.
type Windows [3]Window

// Count is all that this node counted of one name. It is no difference to what was handed
// over before, so that handing it over twice, late or not at all does no harm.
type Count struct {
	Symbol, Name string
	Windows      Windows
	Keep         time.Duration // how long it may count
}

// Shared is where nodes tell each other what they counted.
type Shared interface {
	// Exchange hands over counts and returns for each what all other nodes counted, by the
	// same windows, and the time of the clock they share. Without counts it tells the time.
	Exchange(ctx context.Context, counts []Count) (others []Windows, now time.Time, err error)
}

// Bounds of an exchange.
const (
	batch  = 512             // names at once
	rounds = 16              // batches in a row
	last   = 2 * time.Second // for the last one, when the node ends
)

// ledger is what nodes tell each other of one name.
type ledger struct {
	symbol, name string
	keep         time.Duration
	mine, others Windows
	queued       bool
}

// sharing is a Limiter's side of it. Until the shared clock was seen our own stands in.
type sharing struct {
	on    bool
	seen  bool
	ahead time.Duration // the shared clock since 1970, less Limiter.tick
	queue []*ledger     // names that were looked at since they were handed over
}

// add counts in the window with a number.
func (w *Window) add(number int64) {
	switch number - w.Number {
	case 0, -1: // clocks of servers differ a little
	case 1:
		w.Old, w.Now, w.Number = w.Now, 0, number
	default:
		*w = Window{Number: number}
	}
	w.Now++
}

// at is what it counts for when a part of the window before the one with a number is left in
// the sliding window. Nothing stays longer than that: what nobody renews fades out.
func (w *Window) at(number int64, left float64) int {
	switch number - w.Number {
	case 0:
		return int(w.Now) + int(float64(w.Old)*left)
	case 1:
		return int(float64(w.Now) * left)
	case -1:
		return int(w.Now) + int(w.Old)
	}
	return 0
}

// of returns the number of a fixed window and how much of the one before still counts.
func of(at, length time.Duration) (number int64, left float64) {
	return int64(at / length), 1 - float64(at%length)/float64(length)
}

// longest is how long a count of a name with this rate may matter.
func (r Rate) longest() time.Duration {
	for i, bound := range [3]int{r.Day, r.Hour, r.Minute} {
		if bound > 0 {
			return 2 * windows[2-i].length
		}
	}
	return 0
}

// share queues a name to be handed over, n messages of it being new.
func (l *Limiter) share(s subject, c *counter, n int, at time.Duration) {
	if !l.sharing.on {
		return
	}
	if c.ledger == nil {
		c.ledger = &ledger{symbol: s.symbol, name: s.name}
	}
	b := c.ledger
	b.keep = s.rate.longest()
	for range n {
		for i, w := range windows {
			number, _ := of(l.sharing.ahead+at, w.length)
			b.mine[i].add(number)
		}
	}
	if !b.queued && len(l.sharing.queue) < l.cfg.keys() {
		b.queued = true
		l.sharing.queue = append(l.sharing.queue, b)
	}
}

// Share exchanges counts with other nodes every so often until the context ends, and once
// more then. No mail waits for it: a name that is new here counts what came to this node
// until the next exchange. Without the shared place each node counts for itself; what others
// counted before fades, and nothing counted meanwhile is lost to them.
func (l *Limiter) Share(ctx context.Context, s Shared, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		_ = l.Exchange(ctx, s) // the shared place says itself that it is away
		select {
		case <-tick.C:
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), last)
			defer cancel()
			_ = l.Exchange(end, s)
			return nil
		}
	}
}

// Exchange hands over what was counted and takes what others counted.
func (l *Limiter) Exchange(ctx context.Context, s Shared) error {
	if !l.synchronized() {
		_, now, err := s.Exchange(ctx, nil)
		if err != nil {
			return err
		}
		l.follow(now)
	}
	for range rounds {
		books, counts := l.handOver()
		if len(books) == 0 {
			return nil
		}
		others, now, err := s.Exchange(ctx, counts)
		if err == nil && len(others) != len(counts) {
			err = fmt.Errorf("limit: %d answers for %d names", len(others), len(counts))
		}
		if err != nil {
			l.again(books)
			return err
		}
		l.mu.Lock()
		for i, b := range books {
			b.others = others[i]
		}
		l.mu.Unlock()
		l.follow(now)
	}
	return nil
}

// synchronized begins to share, and reports whether the shared clock was seen.
func (l *Limiter) synchronized() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := l.tick(); !l.sharing.on {
		l.sharing.on = true
		l.sharing.ahead = time.Duration(l.last.UnixNano()) - at
	}
	return l.sharing.seen
}

// follow sets the shared clock.
func (l *Limiter) follow(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sharing.seen = true
	l.sharing.ahead = time.Duration(now.UnixNano()) - l.tick()
}

// handOver takes names off the queue. The counts are brought to the windows of now, of which
// a name that is only asked about has none.
func (l *Limiter) handOver() ([]*ledger, []Count) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(batch, len(l.sharing.queue))
	books := append([]*ledger(nil), l.sharing.queue[:n]...)
	l.sharing.queue = append(l.sharing.queue[:0], l.sharing.queue[n:]...)
	at := l.sharing.ahead + l.tick()
	counts := make([]Count, n)
	for i, b := range books {
		b.queued = false
		counts[i] = Count{Symbol: b.symbol, Name: b.name, Windows: b.mine.to(at), Keep: b.keep}
	}
	return books, counts
}

// to is the counts by the windows of a time.
func (w Windows) to(at time.Duration) Windows {
	for i := range w {
		number, _ := of(at, windows[i].length)
		switch number - w[i].Number {
		case 0, -1:
		case 1:
			w[i] = Window{Number: number, Old: w[i].Now}
		default:
			w[i] = Window{Number: number}
		}
	}
	return w
}

// again queues names that could not be handed over.
func (l *Limiter) again(books []*ledger) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range books {
		if !b.queued && len(l.sharing.queue) < l.cfg.keys() {
			b.queued = true
			l.sharing.queue = append(l.sharing.queue, b)
		}
	}
}
