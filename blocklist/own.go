package blocklist

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postern/blocklist/zone"
	"postern/internal/said"
)

// OwnParts is the world around Own.
type OwnParts struct {
	Store Store
	Now   func() time.Time
	Log   *slog.Logger
	Poll  time.Duration // how often the revision is looked at; 0 = 500 ms
}

// Own are the operator's lists, matched in memory. A change made here is in effect when Add
// or Remove returns, one made elsewhere within a second.
type Own struct {
	store Store
	now   func() time.Time
	log   *slog.Logger
	poll  time.Duration
	wake  chan struct{}

	load  sync.Mutex // one reload at a time
	table atomic.Pointer[table]
}

// NewOwn makes the matcher; it knows nothing before Load.
func NewOwn(parts OwnParts) *Own {
	o := &Own{store: parts.Store, now: parts.Now, log: parts.Log, poll: parts.Poll, wake: make(chan struct{}, 1)}
	if o.now == nil {
		o.now = time.Now
	}
	if o.log == nil {
		o.log = slog.New(slog.DiscardHandler)
	}
	if o.poll <= 0 {
		o.poll = 500 * time.Millisecond
	}
	return o
}

// Load reads the store whatever its revision.
func (o *Own) Load(ctx context.Context) error {
	o.load.Lock()
	defer o.load.Unlock()
	entries, rev, err := o.store.ListEntries(ctx)
	if err != nil {
		return fmt.Errorf("blocklist: own lists: %w", err)
	}
	o.table.Store(newTable(entries, rev))
	return nil
}

// refresh loads if the store has another revision.
func (o *Own) refresh(ctx context.Context) error {
	rev, err := o.store.ListRevision(ctx)
	if err != nil {
		return fmt.Errorf("blocklist: own lists: %w", err)
	}
	if t := o.table.Load(); t != nil && t.revision == rev {
		return nil
	}
	return o.Load(ctx)
}

// Run follows the store until ctx ends. While the store cannot be read the last lists stay.
func (o *Own) Run(ctx context.Context) error {
	tick := time.NewTicker(o.poll)
	defer tick.Stop()
	failed := false
	for {
		err := o.refresh(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !failed {
			o.log.Error("own lists are not read", "error", err)
		}
		failed = err != nil
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-o.wake:
		}
	}
}

// Changed says that the lists were changed elsewhere: they are looked at now.
func (o *Own) Changed() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// Add writes an entry and puts it into effect. It returns the entry as stored; the error
// wraps ErrEntry when the entry is at fault.
func (o *Own) Add(ctx context.Context, e Entry) (Entry, error) {
	e, err := e.Normalize()
	if err != nil {
		return e, err
	}
	if e.Created.IsZero() {
		e.Created = o.now().UTC()
	}
	if e.Expired(o.now()) {
		return e, said.Errorf("list.it-expires-at-which-is-past", "%w: it expires at %s, which is past", "kind", ErrEntry, "expires", e.Expires.Format(time.RFC3339))
	}
	if err := o.store.PutListEntry(ctx, e); err != nil {
		return e, fmt.Errorf("blocklist: add: %w", err)
	}
	return e, o.Load(ctx)
}

// Remove ends an entry by its key; ErrNotFound if there is none.
func (o *Own) Remove(ctx context.Context, key string) error {
	if err := o.store.RemoveListEntry(ctx, key); err != nil {
		return fmt.Errorf("blocklist: remove: %w", err)
	}
	return o.Load(ctx)
}

// Why tells which entries name an IP address, a domain or a mail address.
func (o *Own) Why(of string) []Answer {
	t := o.table.Load()
	if t == nil {
		return nil
	}
	hits, kind := t.find(of)
	var all []Answer
	for _, e := range o.live(hits) {
		symbol := OwnBlock
		if e.Allow {
			symbol = OwnAllow
		}
		all = append(all, Answer{List: "own", Of: kind, Subject: of, Listed: true, Codes: []string{e.Key()}, Symbols: []string{symbol}, Text: e.Reason})
	}
	return all
}

// find returns the entries that name an IP address, a mail address or a domain, and which of
// them it is.
func (t *table) find(of string) (hits []*Entry, kind Kind) {
	if ip, err := netip.ParseAddr(strings.Trim(of, "[]")); err == nil {
		return t.byIP(ip), OfIP
	}
	if a := subject(of); a != "" {
		return t.byAddress(a), OfDomain
	}
	if d := zone.Domain(of); d != "" {
		return t.byAddress(d), OfDomain
	}
	return nil, OfDomain
}

// Now is the time that entries expire by.
func (o *Own) Now() time.Time { return o.now() }

// Younger orders entries, the youngest first.
func Younger(a, b *Entry) int {
	if c := b.Created.Compare(a.Created); c != 0 {
		return c
	}
	return strings.Compare(a.Key(), b.Key())
}

// Entries are all entries as the store has them now, the youngest first. Not to be changed.
func (o *Own) Entries(ctx context.Context) ([]*Entry, error) {
	if err := o.refresh(ctx); err != nil {
		return nil, err
	}
	return o.table.Load().sorted(), nil
}

// About are the entries that hold for one of some IPs, networks, domains or addresses, as the
// store has them now; one may be named more than once.
func (o *Own) About(ctx context.Context, about []string) (all []*Entry, err error) {
	if err := o.refresh(ctx); err != nil {
		return nil, err
	}
	t := o.table.Load()
	for _, of := range about {
		if net, err := netip.ParsePrefix(of); err == nil {
			all = append(all, t.nets[net.Masked()]...)
			continue
		}
		hits, _ := t.find(of)
		all = append(all, hits...)
	}
	return all, nil
}

// live are those that have not expired.
func (o *Own) live(hits []*Entry) []*Entry {
	now := o.now()
	out := hits[:0:0]
	for _, e := range hits {
		if !e.Expired(now) {
			out = append(out, e)
		}
	}
	return out
}
