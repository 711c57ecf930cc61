package features

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"postern/filter"
	"postern/internal/entity"
	"postern/internal/store/move"
	"postern/rules/replay"
)

// Total is what is kept since a time, over all nodes.
type Total struct {
	Kept    int   `json:"kept"`
	Seen    int   `json:"seen"` // messages that passed
	Dropped int   `json:"dropped"`
	Bytes   int64 `json:"bytes"`
}

// Total counts by whole days.
func (b *Book) Total(ctx context.Context, since time.Time) (t Total, err error) {
	err = b.days().Each(ctx, entity.Query{Index: byTime, From: since.UTC().Truncate(24*time.Hour).UnixMilli() - 1, To: b.p.Now().UnixMilli() + day}, func(r entity.Row[Day]) error {
		t.Kept, t.Seen, t.Dropped, t.Bytes = t.Kept+r.Value.Kept, t.Seen+r.Value.Seen, t.Dropped+r.Value.Dropped, t.Bytes+r.Value.Bytes
		return nil
	})
	return t, err
}

// Page calls f for the records of one block since a time, the newest block first, with the
// prints of the rules that judged each and how many messages it stands for. next is where to go
// on; "" = this was the last. A block that cannot be read is passed over and counted.
func (b *Book) Page(ctx context.Context, since time.Time, after string, f func(r replay.Record, prints replay.Prints, stands float64)) (next string, damaged int, err error) {
	rows, next, err := b.blocks().Find(ctx, entity.Query{Index: byTime, From: since.UnixMilli(), To: b.p.Now().UnixMilli() + day, After: after, Limit: 1})
	if err != nil {
		return "", 0, err
	}
	prints := map[string]replay.Prints{}
	for _, row := range rows {
		raw, err := unpress(row.Value.Data)
		if err != nil {
			damaged++
			continue
		}
		err = replay.Each(raw, func(r replay.Record) error {
			if id, ok := filter.IDBytes(r.ID); ok {
				if _, at := filter.IDOf(id); at.Before(since) {
					return nil
				}
			}
			p, known := prints[r.Rules]
			if !known {
				if p, err = b.printsOf(ctx, r.Rules); err != nil {
					return err
				}
				prints[r.Rules] = p
			}
			f(r, p, 1/max(row.Value.Share, leastShare))
			return nil
		})
		if errors.Is(err, replay.ErrDamaged) {
			damaged, err = damaged+1, nil
		}
		if err != nil {
			return "", damaged, err
		}
	}
	return next, damaged, nil
}

// printsOf are the prints of a revision; nil where they are not kept.
func (b *Book) printsOf(ctx context.Context, revision string) (replay.Prints, error) {
	b.mu.Lock()
	p, known := b.prints[revision]
	b.mu.Unlock()
	if known || revision == "" {
		return p, nil
	}
	row, err := b.revisions().Get(ctx, revision)
	if err != nil && !errors.Is(err, entity.ErrNotFound) && !errors.Is(err, entity.ErrInvalid) {
		return nil, err
	}
	return row.Value.Prints, nil
}

// Merges join what two homes have of the same: a node goes on counting its day wherever it works.
// The larger count stays: adding would count twice what is merged again.
func Merges() map[entity.Kind]move.Merge {
	larger := func(old, there []byte) ([]byte, error) {
		var a, b Day
		if err := errors.Join(json.Unmarshal(old, &a), json.Unmarshal(there, &b)); err != nil {
			return nil, fmt.Errorf("a day of features: %w", err)
		}
		if a.Seen > b.Seen {
			return old, nil
		}
		return there, nil
	}
	same := func(_, there []byte) ([]byte, error) { return there, nil }
	return map[entity.Kind]move.Merge{KindDay: larger, KindRules: same, KindBlock: same}
}
