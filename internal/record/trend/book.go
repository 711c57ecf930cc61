package trend

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"sync"
	"time"

	"postern/internal/entity"
	"postern/internal/record"
)

// How long is kept what was counted.
const (
	KeepMinutes = 48 * time.Hour
	KeepHours   = 400 * 24 * time.Hour
)

// Kinds of records.
const (
	kindHour entity.Kind = "figures-hour" // the minutes of an hour
	kindDay  entity.Kind = "figures-day"  // the hours of a day
	byTime               = "at"
)

// Period is a record: the minutes of an hour, or the hours of a day, as one node saw them.
type Period struct {
	ID    string       `json:"id"`
	Node  string       `json:"node"`
	From  time.Time    `json:"from"`
	Parts map[int]Span `json:"parts"` // by number of the minute or hour
}

// Book counts for one node and reads what all have counted.
type Book struct {
	Store  entity.Store
	Node   string
	Now    func() time.Time
	Log    *slog.Logger
	Sample func(ctx context.Context) (gauges map[string]float64, lists map[string]List) // at the end of each minute

	mu     sync.Mutex
	now    Span
	unsaid []minute // that could not be written yet
	purged time.Time
}

type minute struct {
	at   time.Time
	span Span
}

// maxUnsaid bounds the minutes that wait for a store that is away.
const maxUnsaid = 120

// Count counts a message.
func (b *Book) Count(r record.Row) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now.count(r)
}

// Loop writes down each minute when it is over, until ctx ends.
func (b *Book) Loop(ctx context.Context) error {
	for {
		wait := time.Minute - time.Duration(b.Now().UnixNano()%int64(time.Minute))
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			b.said(b.Turn(last))
			return nil
		case <-time.After(wait):
			b.said(b.Turn(ctx))
		}
	}
}

func (b *Book) said(err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		b.Log.Error("figures were not written", "err", err)
	}
}

// Turn ends the minute that is counted, and writes down what waits.
func (b *Book) Turn(ctx context.Context) error {
	gauges, lists := b.Sample(ctx)
	b.mu.Lock()
	at := b.Now().Add(-time.Second).UTC().Truncate(time.Minute) // just after its end it is the one before
	span := b.now
	span.Gauges, span.Lists = gauges, lists
	b.now = Span{}
	b.unsaid = append(b.unsaid, minute{at, span})
	if len(b.unsaid) > maxUnsaid {
		b.unsaid = b.unsaid[len(b.unsaid)-maxUnsaid:]
	}
	todo := b.unsaid
	b.unsaid = nil
	b.mu.Unlock()
	for i, m := range todo {
		if err := b.write(ctx, m); err != nil {
			b.mu.Lock()
			b.unsaid = append(todo[i:], b.unsaid...)
			b.mu.Unlock()
			return err
		}
	}
	if now := b.Now(); now.Sub(b.purged) >= time.Hour || now.Before(b.purged) {
		if err := b.Purge(ctx); err != nil {
			return err
		}
		b.purged = now
	}
	return nil
}

func (b *Book) write(ctx context.Context, m minute) error {
	hour := m.at.Truncate(time.Hour)
	if err := b.put(ctx, kindHour, hour, m.at.Minute(), m.span); err != nil {
		return err
	}
	return b.put(ctx, kindDay, m.at.Truncate(24*time.Hour), m.at.Hour(), m.span)
}

// put adds what was counted to a part of a record.
func (b *Book) put(ctx context.Context, kind entity.Kind, from time.Time, part int, s Span) error {
	t := b.table(kind)
	id := b.id(from)
	for range 3 {
		_, err := t.Change(ctx, id, func(p *Period) error {
			if p.Parts == nil {
				p.Parts = map[int]Span{}
			}
			p.Parts[part] = p.Parts[part].Plus(s)
			return nil
		})
		if !errors.Is(err, entity.ErrNotFound) {
			return err
		}
		_, err = t.Create(ctx, Period{ID: id, Node: b.Node, From: from, Parts: map[int]Span{part: s}})
		if !errors.Is(err, entity.ErrExists) {
			return err
		}
	}
	return entity.ErrConflict
}

func (b *Book) id(from time.Time) string { return from.Format("2006-01-02T15") + ":" + named(b.Node) }

func (b *Book) table(kind entity.Kind) entity.Table[Period] {
	return entity.Table[Period]{Store: b.Store, Kind: kind, ID: func(p *Period) string { return p.ID }, Keys: func(p *Period) []entity.Key {
		return []entity.Key{{Index: byTime, At: p.From.UnixMilli()}}
	}}
}

// named is a node's name as part of an ID.
func named(node string) string {
	sum := sha256.Sum256([]byte(node))
	return hex.EncodeToString(sum[:8])
}

// Purge forgets what is too old.
func (b *Book) Purge(ctx context.Context) error {
	for kind, keep := range map[entity.Kind]time.Duration{kindHour: KeepMinutes + time.Hour, kindDay: KeepHours} {
		t := b.table(kind)
		rows, _, err := t.Find(ctx, entity.Query{Index: byTime, From: 1, To: b.Now().Add(-keep).UnixMilli(), Rising: true, Limit: 200})
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := t.Remove(ctx, r); err != nil && !errors.Is(err, entity.ErrConflict) {
				return err
			}
		}
	}
	return nil
}
