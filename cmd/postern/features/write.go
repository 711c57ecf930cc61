package features

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/klauspost/compress/zstd"

	"postern/internal/entity"
	"postern/rules/replay"
)

// The kinds of records.
const (
	KindBlock entity.Kind = "features"       // blocks
	KindDay   entity.Kind = "features-day"   // what a node kept of a day
	KindRules entity.Kind = "features-rules" // prints of the patterns of a revision
)

// Keys of blocks: of all nodes, and of one.
const (
	byTime = "at"
	byNode = "node"
)

// stored is a block as it is kept.
type stored struct {
	ID    string    `json:"id"`
	Node  string    `json:"node"` // marked, not named
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Share float64   `json:"share"`
	Kept  int       `json:"kept"`
	Seen  int       `json:"seen"`
	Data  []byte    `json:"data"` // zstd
}

// Day is what a node kept of a day.
type Day struct {
	ID      string    `json:"id"`
	Node    string    `json:"node"`
	From    time.Time `json:"from"`
	Bytes   int64     `json:"bytes"` // as stored
	Full    int64     `json:"full"`  // what they would have been of all messages
	Kept    int       `json:"kept"`
	Seen    int       `json:"seen"`
	Dropped int       `json:"dropped,omitempty"` // for which there was no room, or no store
}

// patterns are the prints of a revision.
type patterns struct {
	ID     string        `json:"id"`
	Seen   time.Time     `json:"seen"`
	Prints replay.Prints `json:"prints"`
}

func (b *Book) blocks() entity.Table[stored] {
	return entity.Table[stored]{Store: b.p.Store, Kind: KindBlock, ID: func(s *stored) string { return s.ID }, Keys: func(s *stored) []entity.Key {
		return []entity.Key{{Index: byTime, At: s.To.UnixMilli()}, {Index: byNode, Value: s.Node, At: s.To.UnixMilli()}}
	}}
}

func (b *Book) days() entity.Table[Day] {
	return entity.Table[Day]{Store: b.p.Store, Kind: KindDay, ID: func(d *Day) string { return d.ID }, Keys: func(d *Day) []entity.Key {
		return []entity.Key{{Index: byTime, At: d.From.UnixMilli()}}
	}}
}

func (b *Book) revisions() entity.Table[patterns] {
	return entity.Table[patterns]{Store: b.p.Store, Kind: KindRules, ID: func(p *patterns) string { return p.ID }, Keys: func(p *patterns) []entity.Key {
		return []entity.Key{{Index: byTime, At: p.Seen.UnixMilli()}}
	}}
}

// node is the mark of a node's name, as part of an ID.
func (b *Book) node() string {
	sum := sha256.Sum256([]byte(b.p.Node))
	return hex.EncodeToString(sum[:8])
}

// write writes the blocks that wait, oldest first, until one cannot be written.
func (b *Book) write(ctx context.Context) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	for {
		b.mu.Lock()
		if len(b.sealed) == 0 {
			b.mu.Unlock()
			return nil
		}
		one := b.sealed[0]
		b.mu.Unlock()
		if err := b.writeOne(ctx, one); err != nil {
			return err
		}
		b.mu.Lock()
		b.sealed = b.sealed[1:]
		b.mu.Unlock()
	}
}

func (b *Book) writeOne(ctx context.Context, one block) error {
	for revision := range one.rules {
		if err := b.saveRules(ctx, revision, one.to); err != nil {
			return err
		}
	}
	if one.w.Count() == 0 { // none of them is in the sample
		return b.count(ctx, one, 0)
	}
	data, err := press(one.w.Bytes())
	if err != nil {
		return err
	}
	node := b.node()
	s := stored{Node: node, From: one.from.UTC(), To: one.to.UTC(), Share: one.share, Kept: one.w.Count(), Seen: one.seen, Data: data,
		ID: fmt.Sprintf("%s:%s:%d", one.from.UTC().Format("20060102T150405.000000000"), node, one.w.Count())}
	raw, err := json.Marshal(s)
	if err != nil {
		return err
	}
	size := int64(len(raw))
	if _, err := b.blocks().Create(ctx, s); err != nil && !errors.Is(err, entity.ErrExists) { // it was written, and the day was not
		return err
	}
	return b.count(ctx, one, size)
}

// count adds a block to its day, and says of how many messages features are kept from now on.
func (b *Book) count(ctx context.Context, one block, size int64) error {
	b.mu.Lock()
	dropped := b.dropped
	b.mu.Unlock()
	from := one.from.UTC().Truncate(24 * time.Hour)
	day := Day{ID: dayID(from, b.node()), Node: b.node(), From: from}
	add := func(d *Day) error {
		d.Bytes += size
		d.Full += int64(float64(size) / max(one.share, 1e-6))
		d.Kept, d.Seen, d.Dropped = d.Kept+one.w.Count(), d.Seen+one.seen, d.Dropped+dropped
		return nil
	}
	row, err := b.days().Change(ctx, day.ID, add)
	if errors.Is(err, entity.ErrNotFound) {
		_ = add(&day) // it has no error
		row, err = b.days().Create(ctx, day)
	}
	if err != nil {
		return err
	}
	before, err := b.days().Get(ctx, dayID(from.AddDate(0, 0, -1), b.node()))
	if err != nil && !errors.Is(err, entity.ErrNotFound) {
		return err
	}
	keep := b.p.Keep()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dropped -= dropped
	b.share = sample(row.Value.Bytes, before.Value.Full, keep.Bytes/max(1, int64(keep.For/(24*time.Hour))))
	return nil
}

func dayID(from time.Time, node string) string { return from.Format(time.DateOnly) + ":" + node }

// leastShare is the smallest sample.
const leastShare = 1.0 / 1024

// sample is the share of messages that is kept: by what a whole day before would have taken, and
// half of that each time that half of what was left for today is used.
func sample(today, before, budget int64) float64 {
	if budget <= 0 || today >= budget {
		return leastShare
	}
	share := 1.0
	if before > 0 {
		share = min(1, 0.9*float64(budget)/float64(before))
	}
	if left := float64(budget-today) / float64(budget); left <= 0.5 {
		share *= math.Exp2(-math.Floor(math.Log2(1 / left)))
	}
	return max(share, leastShare)
}

// saveRules keeps the prints of a revision, and when it was last in use, to the day.
func (b *Book) saveRules(ctx context.Context, revision string, at time.Time) error {
	at = at.UTC().Truncate(24 * time.Hour)
	b.mu.Lock()
	prints, done := b.prints[revision], b.said[revision+at.Format(time.DateOnly)]
	b.mu.Unlock()
	if done || prints == nil || revision == "" {
		return nil
	}
	_, err := b.revisions().Change(ctx, revision, func(p *patterns) error {
		if !p.Seen.Before(at) {
			return entity.ErrUnchanged
		}
		p.Seen = at
		return nil
	})
	if errors.Is(err, entity.ErrNotFound) {
		_, err = b.revisions().Create(ctx, patterns{ID: revision, Seen: at, Prints: prints})
	}
	if err != nil && !errors.Is(err, entity.ErrExists) {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.said) > 1000 { // of long ago
		clear(b.said)
	}
	b.said[revision+at.Format(time.DateOnly)] = true
	return nil
}

// Prune forgets what is too old, and of this node's the oldest while there is more than may be.
func (b *Book) Prune(ctx context.Context) error {
	keep := b.p.Keep()
	before := b.p.Now().Add(-keep.For).UnixMilli()
	for {
		rows, _, err := b.blocks().Find(ctx, entity.Query{Index: byTime, From: 1, To: before, Rising: true, Limit: 100})
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := b.remove(ctx, r); err != nil {
				return err
			}
		}
		if len(rows) == 0 {
			break
		}
	}
	if err := forget(ctx, b.days(), before-day); err != nil {
		return err
	}
	if err := forget(ctx, b.revisions(), before-day); err != nil {
		return err
	}
	return b.bound(ctx, keep.Bytes)
}

const day = int64(24 * time.Hour / time.Millisecond)

func forget[T any](ctx context.Context, t entity.Table[T], before int64) error {
	rows, _, err := t.Find(ctx, entity.Query{Index: byTime, From: 1, To: before, Rising: true, Limit: 200})
	if err != nil {
		return err
	}
	for _, r := range rows {
		if err := t.Remove(ctx, r); err != nil && !errors.Is(err, entity.ErrConflict) {
			return err
		}
	}
	return nil
}

// remove forgets a block and takes it out of the count of its day.
func (b *Book) remove(ctx context.Context, r entity.Row[stored]) error {
	if err := b.blocks().Remove(ctx, r); err != nil {
		if errors.Is(err, entity.ErrConflict) {
			return nil
		}
		return err
	}
	raw, err := json.Marshal(r.Value)
	if err != nil {
		return err
	}
	_, err = b.days().Change(ctx, dayID(r.Value.From.UTC().Truncate(24*time.Hour), r.Value.Node), func(d *Day) error {
		d.Bytes, d.Kept, d.Seen = max(0, d.Bytes-int64(len(raw))), max(0, d.Kept-r.Value.Kept), max(0, d.Seen-r.Value.Seen)
		return nil
	})
	if errors.Is(err, entity.ErrNotFound) {
		return nil
	}
	return err
}

// bound drops the oldest blocks of this node while all of them take more than may be.
func (b *Book) bound(ctx context.Context, most int64) error {
	used := int64(0)
	err := b.days().Each(ctx, entity.Query{Index: byTime}, func(r entity.Row[Day]) error {
		if r.Value.Node == b.node() {
			used += r.Value.Bytes
		}
		return nil
	})
	for err == nil && used > most {
		var rows []entity.Row[stored]
		rows, _, err = b.blocks().Find(ctx, entity.Query{Index: byNode, Value: b.node(), Rising: true, Limit: 1})
		if err != nil || len(rows) == 0 {
			return err
		}
		raw, bad := json.Marshal(rows[0].Value)
		if bad != nil {
			return bad
		}
		used -= int64(len(raw))
		err = b.remove(ctx, rows[0])
	}
	return err
}

func press(b []byte) ([]byte, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	defer func() { _ = enc.Close() }() // all was encoded at once: nothing waits in it
	return enc.EncodeAll(b, nil), nil
}

func unpress(b []byte) ([]byte, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(4*BlockSize))
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	return dec.DecodeAll(b, nil)
}
