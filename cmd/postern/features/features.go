// Package features keeps for some days what the verdict of each message rests on, never what
// the message says: changes of rules are rehearsed on it.
package features

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"sync"
	"time"

	"postern/filter"
	"postern/internal/entity"
	"postern/rules"
	"postern/rules/replay"
)

// Bounds of what waits to be written, and when it is.
const (
	BlockSize = 256 << 10       // octets of records that are written together
	MaxBlocks = 16              // that wait for a store which is away; more are dropped
	linger    = 5 * time.Minute // how long a record waits for others; a process that is killed loses these
	look      = 10 * time.Second
	maxPrints = 100 // revisions of rules whose prints are at hand
)

// Keep is for how long features are kept, and how many stored octets those of a node take.
type Keep struct {
	For   time.Duration // 0 = nothing is kept
	Bytes int64
}

// Parts are what a Book stands on.
type Parts struct {
	Store entity.Store
	Node  string
	Now   func() time.Time
	Log   *slog.Logger
	Keep  func() Keep
	Rules func() *rules.Set // in force
}

// Book takes features down. It implements filter.Observer.
type Book struct {
	p Parts

	mu      sync.Mutex
	open    block
	sealed  []block                  // wait for the store
	prints  map[string]replay.Prints // by revision, of rules that judged
	said    map[string]bool          // revisions whose prints are kept
	dropped int                      // not yet in a day's count
	share   float64                  // of the messages, that is kept now

	writing sync.Mutex // a block is written, or old ones go
	failing bool
	pruned  time.Time
}

// block is records that are written together.
type block struct {
	w        replay.Writer
	from, to time.Time
	share    float64
	seen     int // messages, of which those in it are the share
	rules    map[string]bool
}

// New makes a Book. Nothing runs yet.
func New(p Parts) *Book {
	return &Book{p: p, prints: map[string]replay.Prints{}, said: map[string]bool{}, share: 1}
}

// Done implements filter.Observer. It waits for no store and never fails.
func (b *Book) Done(_ context.Context, m *filter.Message, o filter.Outcome) error {
	if b.p.Keep().For <= 0 {
		return nil
	}
	r, ok := replay.Of(m, o)
	if !ok {
		return nil
	}
	set := b.p.Rules()
	b.mu.Lock()
	_, known := b.prints[r.Rules]
	b.mu.Unlock()
	var prints replay.Prints
	if !known && set.Revision() == r.Rules {
		prints = replay.PrintsOf(set)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if prints != nil {
		if len(b.prints) >= maxPrints {
			clear(b.prints) // those of blocks not yet written are read anew from what is kept, or missed
		}
		b.prints[r.Rules] = prints
	}
	b.take(r)
	return nil
}

// take adds a record to the open block, or counts it alone. The lock is held.
func (b *Book) take(r replay.Record) {
	if len(b.sealed) >= MaxBlocks {
		b.dropped++
		return
	}
	now := b.p.Now()
	if b.open.seen == 0 {
		b.open = block{from: now, share: b.share, rules: map[string]bool{}}
	}
	b.open.seen++
	b.open.to = now
	if !chosen(r.ID, b.open.share) {
		return
	}
	b.open.rules[r.Rules] = true
	if b.open.w.Add(r); b.open.w.Size() >= BlockSize {
		b.seal()
	}
}

// chosen says whether a message is in the sample. Its ID decides, of which the end is random.
func chosen(id string, share float64) bool {
	if share >= 1 {
		return true
	}
	raw, _ := filter.IDBytes(id)
	return float64(binary.BigEndian.Uint32(raw[12:])) < share*(1<<32)
}

// seal ends the open block. The lock is held.
func (b *Book) seal() {
	if b.open.seen > 0 {
		b.sealed = append(b.sealed, b.open)
	}
	b.open = block{}
}

// Loop writes blocks that are full or old, and forgets those that are too old, until ctx ends.
func (b *Book) Loop(ctx context.Context) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			b.report(b.Flush(last))
			return nil
		case <-tick.C:
			b.report(b.Turn(ctx))
		}
	}
}

// report says once that features cannot be kept, and once that they can again.
func (b *Book) report(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	if (err != nil) != b.failing {
		if b.failing = err != nil; b.failing {
			b.p.Log.Error("features for rehearsals of rules cannot be written", "err", err)
		} else {
			b.p.Log.Info("features for rehearsals of rules are written again")
		}
	}
}

// Turn writes what is full or has waited long enough, and prunes now and then.
func (b *Book) Turn(ctx context.Context) error {
	b.mu.Lock()
	if b.open.seen > 0 && b.p.Now().Sub(b.open.from) >= linger {
		b.seal()
	}
	b.mu.Unlock()
	if err := b.write(ctx); err != nil {
		return err
	}
	now := b.p.Now()
	if now.Sub(b.pruned) < time.Hour && !now.Before(b.pruned) {
		return nil
	}
	if err := b.Prune(ctx); err != nil {
		return err
	}
	b.pruned = now
	return nil
}

// Flush writes all that waits, so that what passed until now is found.
func (b *Book) Flush(ctx context.Context) error {
	b.mu.Lock()
	b.seal()
	b.mu.Unlock()
	return b.write(ctx)
}

// Dropped counts the messages whose features were dropped and are in no day's count yet.
func (b *Book) Dropped() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dropped
}
