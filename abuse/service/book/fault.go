package book

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"postern/internal/entity"
)

// Fault is a trouble of a node from its begin to its end.
type Fault struct {
	ID      string    `json:"id"`
	Node    string    `json:"node"`
	Key     string    `json:"key"`
	Summary string    `json:"summary"`
	Begin   time.Time `json:"begin"`
	End     time.Time `json:"end,omitzero"` // zero: it stands
	Seen    time.Time `json:"seen"`         // when it last stood for sure
	Lost    bool      `json:"lost,omitempty"`
}

// Until is when a fault ended, or when it last stood for sure.
func (f Fault) Until() time.Time {
	if f.End.IsZero() {
		return f.Seen
	}
	return f.End
}

// Faults are the records of faults.
func (b *Book) Faults() entity.Table[Fault] {
	return entity.Table[Fault]{Store: b.Store, Kind: kindFault, ID: func(f *Fault) string { return f.ID }, Keys: func(f *Fault) []entity.Key {
		keys := []entity.Key{{Index: byDay, At: f.Begin.UnixMilli()}}
		if f.End.IsZero() {
			keys = append(keys, entity.Key{Index: "open", Value: f.Node, At: f.Begin.UnixMilli()})
		}
		return keys
	}}
}

// maxFaults bounds those that wait to be written, and those that stand at once.
const maxFaults = 1000

// Fault notes that a trouble began, or is over. One that stands already goes on.
func (b *Book) Fault(key, summary string, at time.Time, over bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at = at.UTC()
	f, stands := b.open[key]
	switch {
	case over && !stands, !over && !stands && len(b.open) >= maxFaults:
		return
	case over:
		f.End, f.Seen = at, at
		if f.End.Before(f.Begin) {
			f.End = f.Begin
		}
		delete(b.open, key)
	case stands:
		return
	default:
		f = Fault{ID: fmt.Sprintf("%d:%s:%s", at.UnixMilli(), named(b.Node), named(key)), Node: b.Node, Key: clean(key), Summary: clean(summary), Begin: at, Seen: at}
		if b.open == nil {
			b.open = map[string]Fault{}
		}
		b.open[key] = f
	}
	if b.faults == nil {
		b.faults = map[string]Fault{}
	}
	if _, ok := b.faults[f.ID]; ok || len(b.faults) < maxFaults {
		b.faults[f.ID] = f
	}
}

// flushFaults writes new faults, ends, and that those which stand still do.
func (b *Book) flushFaults(ctx context.Context) error {
	now := b.Now().UTC()
	b.mu.Lock()
	write := b.faults
	b.faults = nil
	if write == nil {
		write = map[string]Fault{}
	}
	for key, f := range b.open {
		f.Seen = later(f.Seen, now)
		b.open[key], write[f.ID] = f, f
	}
	b.mu.Unlock()
	var errs []error
	for _, f := range write {
		err := put(ctx, b.Faults(), f, f.ID, func(stored *Fault) { *stored = f })
		if err == nil {
			continue
		}
		errs = append(errs, err)
		b.mu.Lock()
		if b.faults == nil {
			b.faults = map[string]Fault{}
		}
		if _, newer := b.faults[f.ID]; !newer && len(b.faults) < maxFaults {
			b.faults[f.ID] = f
		}
		b.mu.Unlock()
	}
	return errors.Join(errs...)
}

// Settle ends the faults that a process of this node left behind, at the time when they last
// stood for sure. It is called before the first fault of this process.
func (b *Book) Settle(ctx context.Context) error {
	rows, _, err := b.Faults().Find(ctx, entity.Query{Index: "open", Value: b.Node, Limit: entity.MaxPage})
	if err != nil {
		return err
	}
	for _, r := range rows {
		_, err = b.Faults().Change(ctx, r.Value.ID, func(f *Fault) error {
			f.End, f.Lost = f.Seen, true
			return nil
		})
		if err != nil && !errors.Is(err, entity.ErrNotFound) {
			return err
		}
	}
	return nil
}

// Between lists the faults that stood in a period, in the order of their begin. One that began
// more than Keep before is not found.
func (b *Book) Between(ctx context.Context, from, to time.Time) ([]Fault, error) {
	var out []Fault
	q := entity.Query{Index: byDay, From: from.Add(-Keep).UnixMilli(), To: to.UnixMilli(), Rising: true, Limit: entity.MaxPage}
	err := b.Faults().Each(ctx, q, func(r entity.Row[Fault]) error {
		if f := r.Value; f.Begin.Before(to) && f.Until().After(from) {
			out = append(out, f)
		}
		return nil
	})
	slices.SortFunc(out, func(x, y Fault) int { return cmp.Or(x.Begin.Compare(y.Begin), cmp.Compare(x.ID, y.ID)) })
	return out, err
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
