package inbox

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"postern/filter"
	"postern/internal/entity"
)

// Counts say what became of the mail of a domain, each recipient counted.
type Counts struct {
	Kept     int64 `json:"kept"`
	Held     int64 `json:"held"`     // of those kept: anybody else's would have been held
	Blocked  int64 `json:"blocked"`  // refused for good
	Deferred int64 `json:"deferred"` // asked to come again
}

func (c Counts) plus(o Counts) Counts {
	return Counts{c.Kept + o.Kept, c.Held + o.Held, c.Blocked + o.Blocked, c.Deferred + o.Deferred}
}

// Counters are the counts since a time.
type Counters struct {
	Counts

	Since   time.Time         `json:"since,omitzero"` // of the first that is counted
	Domains map[string]Counts `json:"domains"`
}

// counted is what one node counted.
type counted struct {
	Node    string            `json:"node"`
	Since   time.Time         `json:"since"`
	Domains map[string]Counts `json:"domains"`
}

func (b *Box) counts() entity.Table[counted] {
	return entity.Table[counted]{
		Store: b.Home, Kind: KindCount, ID: func(c *counted) string { return c.Node },
		Keys: func(c *counted) []entity.Key { return []entity.Key{{Index: "all", At: c.Since.UnixMilli()}} },
	}
}

// Done counts what became of a message. It implements filter.Observer.
func (b *Box) Done(_ context.Context, m *filter.Message, o filter.Outcome) error {
	some := false
	for i, f := range o.Fates {
		domain := domainOf(f.Recipient)
		if domain == "" || !b.Has(domain) {
			continue
		}
		one := Counts{}
		switch f.State {
		case filter.Delivered:
			one.Kept = 1
			if i < len(o.Verdicts) && o.Verdicts[i].Action == filter.Quarantine {
				one.Held = 1
			}
		case filter.Rejected, filter.Held: // held: refused beside others who get it
			one.Blocked = 1
		default:
			one.Deferred = 1
		}
		b.mu.Lock()
		b.pending[domain] = b.pending[domain].plus(one)
		b.mu.Unlock()
		some = true
	}
	if some {
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

func domainOf(address string) string {
	_, domain, _ := strings.Cut(address[max(strings.LastIndexByte(address, '@'), 0):], "@")
	return strings.ToLower(domain)
}

// flush writes what was counted; what cannot be written waits.
func (b *Box) flush(ctx context.Context) {
	b.mu.Lock()
	more := b.pending
	b.pending = map[string]Counts{}
	b.mu.Unlock()
	if len(more) == 0 {
		return
	}
	add := func(c *counted) error {
		if c.Domains == nil {
			c.Domains = map[string]Counts{}
		}
		for domain, n := range more {
			c.Domains[domain] = c.Domains[domain].plus(n)
		}
		return nil
	}
	_, err := b.counts().Change(ctx, b.Node, add)
	if errors.Is(err, entity.ErrNotFound) {
		first := counted{Node: b.Node, Since: b.Now().UTC()}
		_ = add(&first) // it never fails
		_, err = b.counts().Create(ctx, first)
	}
	if err == nil {
		return
	}
	if ctx.Err() == nil {
		b.Log.Warn("counters of the test inbox", "err", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for domain, n := range more {
		b.pending[domain] = b.pending[domain].plus(n)
	}
}

// Counters are what all nodes counted. What another node counted just now may be missing.
func (b *Box) Counters(ctx context.Context) (Counters, error) {
	b.flush(ctx)
	out := Counters{Domains: map[string]Counts{}}
	err := b.counts().Each(ctx, entity.Query{Index: "all"}, func(r entity.Row[counted]) error {
		if out.Since.IsZero() || r.Value.Since.Before(out.Since) {
			out.Since = r.Value.Since
		}
		for _, domain := range slices.Sorted(maps.Keys(r.Value.Domains)) {
			n := r.Value.Domains[domain]
			out.Domains[domain] = out.Domains[domain].plus(n)
			out.Counts = out.plus(n)
		}
		return nil
	})
	return out, err
}

// Reset lets the counters begin at nothing.
func (b *Box) Reset(ctx context.Context) error {
	b.flush(ctx)
	return b.counts().Each(ctx, entity.Query{Index: "all"}, func(r entity.Row[counted]) error {
		err := b.counts().Remove(ctx, r)
		if errors.Is(err, entity.ErrConflict) { // it counted in the meantime: those stay
			return nil
		}
		return err
	})
}
