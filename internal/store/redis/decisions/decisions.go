// Package decisions keeps what people decide, own lists and account states, on every node and
// in a store that all nodes share.
//
// What is asked is always answered from the memory of this node, which mirrors a synced file of
// its own: with the store away nothing changes. A decision is agreed on with the store, then
// written to the file; while the store is away it counts on this node and is pushed later. The
// store is a place to meet, not an authority: a record counts when it carries our seal and is
// better than the one this node has, and a store that was emptied or set back is filled again.
package decisions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/sealed"
	"postern/internal/store/redis/synced"
)

const (
	// WriteTime is how long a decision waits for the store: a person waits for it.
	WriteTime = 2 * time.Second
	// Poll is how often the store is asked for changes.
	Poll = 250 * time.Millisecond
	// Sweep is how often all records are compared, whether or not the store reports changes.
	Sweep = 10 * time.Minute
	// Keep is how long it is remembered that a list entry was removed. A node that was off for
	// longer may not bring entries back; nodes are hardly ever off for a month, and a removal
	// takes some 300 bytes.
	Keep = 90 * 24 * time.Hour
)

// Options are what Open needs.
type Options struct {
	File    string // the node's synced file
	Conn    *conn.Conn
	Ring    *sealed.Ring
	Node    string
	Format  int // in which records are written, 1 or 2; 0 = 1. Both are read.
	Now     func() time.Time
	Log     *slog.Logger
	Publish func(kind string)                 // tells other nodes to look now; must not wait long
	Event   func(key, text string, over bool) // raises an alert, or says that it is over

	cut func() error // in tests: why the store cannot be reached
}

// Decisions are the decisions this node knows. It is safe for concurrent use.
type Decisions struct {
	o    Options
	file *synced.File
	wake chan struct{}
	// stripes let one writer at a time at a record; all of them are taken, in order, to merge
	// what came from the store. They come before mu.
	stripes [64]sync.Mutex

	mu      sync.RWMutex     // of what is below; never held while the file or the store is waited for
	records map[string]*held // by field
	dirty   map[string]bool  // fields the store must still be given
	rev     map[string]uint64
	alarms  map[string]bool
	last    point // the last that this node wrote
	strange bool  // a write found that the store is not the one written to before

	syncing sync.Mutex // of what is below
	seen    point      // up to which all of the store is known
	swept   time.Time  // zero: not since Open
	next    time.Time  // of the sweep
	stamp   time.Time  // when a sweep was completed last, as the file says
	forged  int        // records without seal in this sweep
	said    time.Time  // that the store is not the one it was
}

// Open reads the file of this node and looks at the store if it can be reached soon.
func Open(ctx context.Context, o Options) (*Decisions, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Publish == nil {
		o.Publish = func(string) {}
	}
	if o.Event == nil {
		o.Event = func(string, string, bool) {}
	}
	o.Format = max(o.Format, 1)
	file, err := synced.Open(synced.Options{Path: o.File, Now: o.Now, Log: o.Log})
	if err != nil {
		return nil, fmt.Errorf("decisions: %w", err)
	}
	d := &Decisions{
		o: o, file: file, wake: make(chan struct{}, 1),
		records: map[string]*held{}, dirty: map[string]bool{}, rev: map[string]uint64{}, alarms: map[string]bool{},
	}
	if err := d.load(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	soon, cancel := context.WithTimeout(ctx, WriteTime)
	defer cancel()
	if err := d.Sync(soon); err != nil {
		o.Log.Warn("decisions of other nodes are not known yet; those in the file of this node count", "error", err, "records", len(d.records))
	}
	return d, nil
}

// stampName is the record of the file that says when all was last compared with the store.
const stampName = "@swept"

func (d *Decisions) load() error {
	for name, text := range d.file.All() {
		if strings.HasPrefix(name, "@") {
			continue
		}
		h, err := decode(text)
		if err == nil && h.field != name {
			err = errors.New("it stands under another name")
		}
		if err != nil { // only a later version can have written it: this one cannot act on it
			d.alarm("decisions-damaged", fmt.Sprintf("%s holds a record that cannot be read: %v", d.o.File, err))
			continue
		}
		d.records[name] = h
	}
	if text, ok := d.file.Get(stampName); ok {
		if err := d.stamp.UnmarshalText(text); err != nil {
			return fmt.Errorf("decisions: %s: %w", d.o.File, err)
		}
	}
	if aside := d.file.Aside(); aside != "" {
		d.alarm("decisions-damaged", "the decisions of this node were damaged on disk; what could not be read is in "+aside)
	}
	return nil
}

// Close closes the file.
func (d *Decisions) Close() error { return d.file.Close() }

// Degraded says why decisions can no longer be written on this node, or nil.
func (d *Decisions) Degraded() error { return d.file.Degraded() }

// Changed says that another node decided something: the store is looked at now.
func (d *Decisions) Changed() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Loops are what runs on its own clock.
func (d *Decisions) Loops() map[string]func(ctx context.Context) error {
	return map[string]func(ctx context.Context) error{"decisions": d.Run}
}

// Run follows the store until ctx ends.
func (d *Decisions) Run(ctx context.Context) error {
	tick := time.NewTicker(Poll)
	defer tick.Stop()
	for {
		err := d.Sync(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			d.over("decisions-sync")
		case !errors.Is(err, conn.ErrAway): // the connection says itself that the store is away
			d.alarm("decisions-sync", fmt.Sprintf("decisions are not shared with other nodes: %v", err))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-d.wake:
		}
	}
}

// alarm raises an alert, once until it is over.
func (d *Decisions) alarm(key, text string) {
	d.mu.Lock()
	known := d.alarms[key]
	d.alarms[key] = true
	d.mu.Unlock()
	if !known {
		d.o.Log.Error(text)
		d.o.Event(key, text, false)
	}
}

func (d *Decisions) over(key string) {
	d.mu.Lock()
	known := d.alarms[key]
	delete(d.alarms, key)
	d.mu.Unlock()
	if known {
		d.o.Event(key, "", true)
	}
}

// get is the record under field, or nil.
func (d *Decisions) get(field string) *held {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.records[field]
}

// all returns the records of a kind that were not removed, by name, and the revision they
// belong to.
func (d *Decisions) all(kind string) ([]*held, uint64) {
	d.mu.RLock()
	found := make([]*held, 0, len(d.records))
	for _, h := range d.records {
		if h.Kind == kind && !h.Deleted {
			found = append(found, h)
		}
	}
	rev := d.rev[kind]
	d.mu.RUnlock()
	slices.SortFunc(found, func(a, b *held) int { return strings.Compare(a.Name, b.Name) })
	return found, rev
}

func (d *Decisions) revision(kind string) uint64 {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.rev[kind]
}

// take merges records that came from the store.
func (d *Decisions) take(records []*held) error {
	for i := range d.stripes {
		d.stripes[i].Lock()
		defer d.stripes[i].Unlock()
	}
	return d.keep(records...)
}

// keep writes those records that are better than what this node has to its file and counts
// them. The caller holds their stripes. A record that the file does not take counts all the
// same: the store or another node has it.
func (d *Decisions) keep(records ...*held) error {
	news := map[string]*held{}
	changes := make([]synced.Change, 0, len(records))
	for _, h := range records {
		old := d.get(h.field)
		if old != nil && !better(h, old) {
			continue
		}
		if old != nil && old.Version == h.Version {
			d.o.Log.Warn("two nodes decided about the same while they could not reach each other; the first counts", "kind", h.Kind, "name", h.Name,
				"first_by", h.By, "first_at", h.At, "second_by", old.By, "second_at", old.At, "version", h.Version)
		}
		news[h.field] = h
		changes = append(changes, synced.Change{Name: h.field, Value: h.text})
	}
	if len(news) == 0 {
		return nil
	}
	err := d.file.Put(changes...)
	if err != nil {
		err = fmt.Errorf("decisions: what is decided counts, but this node could not write it down: %w", err)
		d.alarm("decisions-file", err.Error())
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.Copy(d.records, news)
	for _, h := range news {
		d.rev[h.Kind]++
	}
	return err
}

// stripe locks a record against other writers.
func (d *Decisions) stripe(field string) *sync.Mutex {
	return &d.stripes[(int(field[0])*16+int(field[1]))%len(d.stripes)]
}
