package book

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"sync"
	"time"

	"postern/internal/entity"
)

// Kinds of records.
const (
	kindDay     entity.Kind = "service-day"
	kindTenants entity.Kind = "service-tenants"
	kindFault   entity.Kind = "service-fault"
)

const byDay = "day"

// Book collects what a node sees and writes it down at each Flush. What waits is bounded: by
// the minutes, by the domains of a day, and by maxDays days.
type Book struct {
	Store entity.Store
	Node  string
	Zone  func() *time.Location // the days of the guarantee are days there
	Now   func() time.Time
	Log   *slog.Logger

	mu      sync.Mutex
	days    map[string]*Day
	tenants map[string]*Tenants
	faults  map[string]Fault // by ID, to be written
	open    map[string]Fault // by key, that stand
	flush   sync.Mutex       // one at a time
}

// maxDays bounds the days that wait for a store that does not take them.
const maxDays = 7

// Days are the records of days.
func (b *Book) Days() entity.Table[Day] {
	return entity.Table[Day]{Store: b.Store, Kind: kindDay, ID: func(d *Day) string { return d.ID }, Keys: func(d *Day) []entity.Key {
		return []entity.Key{{Index: byDay, At: d.From.UnixMilli()}}
	}}
}

// Domains are the records of the mail of domains.
func (b *Book) Domains() entity.Table[Tenants] {
	return entity.Table[Tenants]{Store: b.Store, Kind: kindTenants, ID: func(t *Tenants) string { return t.ID }, Keys: func(t *Tenants) []entity.Key {
		return []entity.Key{{Index: byDay, At: t.From.UnixMilli()}}
	}}
}

// named is a node's name as part of an ID.
func named(node string) string {
	for _, r := range node {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' {
			sum := sha256.Sum256([]byte(node))
			return hex.EncodeToString(sum[:12])
		}
	}
	if len(node) > 80 {
		return node[:80]
	}
	return node
}

// begin is when the day of a moment begins in a zone.
func begin(at time.Time, zone *time.Location) time.Time {
	y, m, d := at.In(zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, zone)
}

// day is the record of the day of a moment; the caller has the lock. nil: too much waits.
func (b *Book) day(at time.Time) *Day {
	zone := b.Zone()
	from := begin(at, zone)
	date := from.Format(time.DateOnly)
	if d := b.days[date]; d != nil {
		return d
	}
	if len(b.days) >= maxDays {
		return nil
	}
	if b.days == nil {
		b.days = map[string]*Day{}
	}
	d := &Day{ID: date + ":" + named(b.Node), Date: date, Node: b.Node, Zone: zone.String(), From: from.UTC(), Minutes: map[string]string{}, Delays: map[string]Delay{}, Ages: map[string]Age{}}
	b.days[date] = d
	return d
}

// Probed notes that somebody looked whether a group of doors answers, and what came of it.
func (b *Book) Probed(group string, at time.Time, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := b.day(at)
	if d == nil {
		return
	}
	letter := byte(Good)
	if err != nil {
		letter = Failed
		if len(d.Failures) < maxFailures {
			d.Failures = append(d.Failures, Failure{At: at.UTC(), Group: group, Why: clean(err.Error())})
		}
	}
	d.Minutes[group] = mark(d.Minutes[group], int(at.Sub(d.From)/time.Minute), letter)
}

// Delayed notes how long a message took.
func (b *Book) Delayed(way, tenant, message string, at time.Time, took time.Duration) {
	ms := max(0, took.Milliseconds())
	one := Delay{Count: 1, Sum: ms, Max: ms}
	b.mu.Lock()
	defer b.mu.Unlock()
	d := b.day(at)
	if d == nil {
		return
	}
	if took > TooLate {
		one.Over = 1
		if len(d.Slow) < maxSlow {
			d.Slow = append(d.Slow, Slow{At: at.UTC(), Way: way, Tenant: tenant, Message: message, Delay: ms})
		}
	}
	b.count(d, way, tenant, one)
}

// Held notes a copy that went to the quarantine.
func (b *Book) Held(way, tenant string, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if d := b.day(at); d != nil {
		b.count(d, way, tenant, Delay{Held: 1})
	}
}

func (b *Book) count(d *Day, way, tenant string, one Delay) {
	d.Delays[way] = d.Delays[way].plus(one)
	h := fnv.New32a()
	_, _ = h.Write([]byte(tenant)) // of a hash, it never fails
	id := fmt.Sprintf("%s:%d", d.ID, h.Sum32()%parts)
	t := b.tenants[id]
	if t == nil {
		if b.tenants == nil {
			b.tenants = map[string]*Tenants{}
		}
		t = &Tenants{ID: id, Date: d.Date, Node: d.Node, From: d.From}
		b.tenants[id] = t
	}
	t.add(&Tenants{Delays: map[string]map[string]Delay{tenant: {way: one}}})
}

// Sample notes an age or a duration.
func (b *Book) Sample(name string, at time.Time, value time.Duration, note string) {
	s := max(0, value.Seconds())
	b.mu.Lock()
	defer b.mu.Unlock()
	if d := b.day(at); d != nil {
		d.Ages[name] = d.Ages[name].Plus(Age{Count: 1, Sum: s, Max: s, MaxAt: at.UTC(), Last: s, Note: clean(note)})
	}
}

// Flush writes down what was collected. What cannot be written waits for the next time.
func (b *Book) Flush(ctx context.Context) error {
	b.flush.Lock()
	defer b.flush.Unlock()
	b.mu.Lock()
	days, tenants := b.days, b.tenants
	b.days, b.tenants = nil, nil
	b.mu.Unlock()
	var errs []error
	for _, d := range days {
		if err := put(ctx, b.Days(), *d, d.ID, func(stored *Day) { stored.add(d) }); err != nil {
			errs = append(errs, err)
			b.again(d)
		}
	}
	for _, t := range tenants {
		if err := put(ctx, b.Domains(), *t, t.ID, func(stored *Tenants) { stored.add(t) }); err != nil {
			errs = append(errs, err)
			b.againTenants(t)
		}
	}
	return errors.Join(append(errs, b.flushFaults(ctx))...)
}

func put[T any](ctx context.Context, t entity.Table[T], v T, id string, change func(*T)) error {
	for range 3 {
		_, err := t.Change(ctx, id, func(stored *T) error { change(stored); return nil })
		if !errors.Is(err, entity.ErrNotFound) {
			return err
		}
		if _, err = t.Create(ctx, v); !errors.Is(err, entity.ErrExists) {
			return err
		}
	}
	return entity.ErrConflict
}

// again puts what could not be written before what was seen since.
func (b *Book) again(d *Day) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if newer := b.days[d.Date]; newer != nil {
		d.add(newer)
	}
	if b.days == nil {
		b.days = map[string]*Day{}
	}
	b.days[d.Date] = d
}

func (b *Book) againTenants(t *Tenants) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if newer := b.tenants[t.ID]; newer != nil {
		t.add(newer)
	}
	if b.tenants == nil {
		b.tenants = map[string]*Tenants{}
	}
	b.tenants[t.ID] = t
}

// Keep is how long the book goes back: a year, which fault-free days are counted over, and the
// month that is reported.
const Keep = 400 * 24 * time.Hour

// Purge forgets what is older than Keep.
func (b *Book) Purge(ctx context.Context) error {
	q := entity.Query{Index: byDay, From: 1, To: b.Now().Add(-Keep).UnixMilli(), Limit: 200}
	return errors.Join(purge(ctx, b.Days(), q), purge(ctx, b.Domains(), q), purge(ctx, b.Faults(), q))
}

func purge[T any](ctx context.Context, t entity.Table[T], q entity.Query) error {
	rows, _, err := t.Find(ctx, q)
	for _, r := range rows {
		if err := t.Remove(ctx, r); err != nil && !errors.Is(err, entity.ErrConflict) {
			return err
		}
	}
	return err
}
