// Package audit keeps the audit of several nodes in a store that they share: one chain, numbered
// without gaps. Each node keeps what it wrote of late in a synced file of its own too, so that
// what it did is written down while the store is away, and written again when the store lost it.
package audit

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"postern/internal/record"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/sealed"
	"postern/internal/store/redis/synced"
)

const (
	// WriteTime is how long an entry waits for the store: a person waits for it.
	WriteTime = 2 * time.Second
	// patience is how long an entry waits altogether, while others come first.
	patience = 5 * WriteTime
	// Keep is how long a node keeps what it wrote. The store's own disk is older than that
	// only when an old dump was brought back, which is then said with the number of entries.
	Keep = 24 * time.Hour
	// Look is how often the store is looked at for what is owed to it or was lost.
	Look = 5 * time.Second
	// fileMax bounds what a node keeps; some 400 bytes an entry.
	fileMax = 64 << 20
)

// Options are what Open needs.
type Options struct {
	File   string // the node's synced file
	Conn   *conn.Conn
	Ring   *sealed.Ring
	Node   string
	Format int // in which entries are written, 1 or 2; 0 = 1. Both are read.
	Now    func() time.Time
	Log    *slog.Logger
	Event  func(key, text string, over bool) // raises an alert, or says that it is over
}

// Audit implements record.AuditStore. It is safe for concurrent use.
type Audit struct {
	o    Options
	file *synced.File
	turn chan struct{} // is full while somebody talks with the store; who does may change what is below

	mu    sync.Mutex       // of what is below; not held while the store or the disk is waited for
	own   map[string]*kept // they are replaced, not changed
	order int64            // of the newest
	known known
	wrote known     // known, as the file has it
	rest  time.Time // until then the store is not tried by who only wants to append
	lost  bool      // an alert is up that the store lost entries
	owed  bool      // an alert is up that entries wait for the store
}

// kept is an entry that this node wrote.
type kept struct {
	ID    string       `json:"id"`
	Order int64        `json:"order"`
	Note  string       `json:"note,omitempty"` // of the entry, without what became of it
	Entry record.Entry `json:"entry"`          // Seq 0: not known to be in the store
	// From is the length of the chain when the entry was given to the store last: it stands at
	// most atOnce after that, if it came there and nobody told us.
	From  int64 `json:"from"`
	tried bool  // it was given to the store, or may have been before the last restart
}

// known is the last entry of the chain that this node has seen.
type known struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"`
}

// knownName is the record of the file that holds known.
const knownName = "@known"

// Open reads what this node wrote of late; the store is not asked.
func Open(o Options) (*Audit, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Event == nil {
		o.Event = func(string, string, bool) {}
	}
	o.Format = max(o.Format, 1)
	file, err := synced.Open(synced.Options{Path: o.File, MaxLive: fileMax, Now: o.Now, Log: o.Log})
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	a := &Audit{o: o, file: file, own: map[string]*kept{}, turn: make(chan struct{}, 1)}
	for name, text := range file.All() {
		if name == knownName {
			err = json.Unmarshal(text, &a.known)
		} else {
			k := &kept{tried: true}
			err = json.Unmarshal(text, k)
			a.own[name] = k
			a.order = max(a.order, k.Order)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("audit: %s: %q: %w", o.File, name, err), file.Close())
		}
	}
	a.wrote = a.known
	if aside := file.Aside(); aside != "" {
		o.Event("audit-damaged", "entries of the audit that this node kept were damaged on disk; what could not be read is in "+aside, false)
	}
	return a, nil
}

// Close closes the file.
func (a *Audit) Close() error { return a.file.Close() }

// Degraded says why entries can no longer be written on this node, or nil.
func (a *Audit) Degraded() error { return a.file.Degraded() }

// Append implements record.AuditStore. While the store is away the entry is kept in the file of
// this node and returned with Seq 0; Flush gives it its number. What an operator does is thus
// never held up by the store, and never goes without an entry.
func (a *Audit) Append(ctx context.Context, e record.Entry) (record.Entry, error) {
	if _, err := record.Seal(record.Entry{}, e); err != nil {
		return record.Entry{}, err
	}
	e.Seq, e.Prev, e.Hash = 0, "", ""
	a.mu.Lock()
	a.order++
	k := &kept{ID: rand.Text(), Order: a.order, Note: e.Note, Entry: e, From: a.known.Seq}
	resting := a.o.Now().Before(a.rest)
	a.mu.Unlock()
	c, err := change(k)
	if err == nil {
		err = a.put(c)
	}
	if err != nil {
		return record.Entry{}, err
	}
	a.mu.Lock()
	a.own[k.ID] = k
	a.mu.Unlock()
	if resting {
		return e, nil
	}
	now, err := a.number(ctx, k)
	if err != nil {
		a.o.Log.Warn("an entry of the audit waits for the store", "action", e.Action, "object", e.Object, "error", err)
	}
	return now, nil
}

// number gives the store what waits, and returns the entry as it is then: whoever had the turn
// before may have taken it along.
func (a *Audit) number(ctx context.Context, k *kept) (record.Entry, error) {
	soon, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := a.begin(soon); err != nil {
		return k.Entry, err
	}
	defer a.end()
	var err error
	if a.entry(k).Seq == 0 {
		err = a.settle(soon)
	}
	return a.entry(k), err
}

// begin takes the turn, end gives it back.
func (a *Audit) begin(ctx context.Context) error {
	select {
	case a.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", conn.ErrAway, ctx.Err())
	}
}

func (a *Audit) end() { <-a.turn }

// entry is an entry as it is now.
func (a *Audit) entry(k *kept) record.Entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := a.own[k.ID]; now != nil {
		return now.Entry
	}
	return k.Entry
}

func change(k *kept) (synced.Change, error) {
	text, err := json.Marshal(k)
	if err != nil {
		return synced.Change{}, fmt.Errorf("audit: %w", err)
	}
	return synced.Change{Name: k.ID, Value: text}, nil
}

func (a *Audit) put(changes ...synced.Change) error {
	if err := a.file.Put(changes...); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// keep writes entries, and what is known of the chain, to the file. The caller has the turn.
func (a *Audit) keep(all ...*kept) error {
	a.mu.Lock()
	known := a.known
	same := known == a.wrote
	a.mu.Unlock()
	if len(all) == 0 && same {
		return nil
	}
	var changes []synced.Change
	for _, k := range all {
		c, err := change(k)
		if err != nil {
			return err
		}
		changes = append(changes, c)
	}
	text, err := json.Marshal(known)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if err := a.put(append(changes, synced.Change{Name: knownName, Value: text})...); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, k := range all {
		a.own[k.ID] = k
	}
	a.wrote = known
	return nil
}

// Flush gives the store the entries that were written while it was away.
func (a *Audit) Flush(ctx context.Context) error { return a.Lost(ctx) }

// Lost finds out whether the store lost entries, and writes those anew that this node wrote of
// late. It also gives the store what waits for it.
func (a *Audit) Lost(ctx context.Context) error {
	if err := a.begin(ctx); err != nil {
		return err
	}
	defer a.end()
	before := a.alarmed()
	if err := a.settle(ctx); err != nil {
		return err
	}
	if before && a.alarmed() {
		a.alarm(false)
		a.o.Event("audit-lost", "", true)
	}
	if err := a.keep(); err != nil {
		return err
	}
	return a.prune()
}

func (a *Audit) alarmed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lost
}

func (a *Audit) alarm(lost bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lost = lost
}

// Pending is how many entries wait for the store.
func (a *Audit) Pending() int { return len(a.pending()) }

// prune forgets what the store has had for long.
func (a *Audit) prune() error {
	var changes []synced.Change
	a.mu.Lock()
	for id, k := range a.own {
		if k.Entry.Seq > 0 && a.o.Now().Sub(k.Entry.Time) > Keep {
			changes = append(changes, synced.Change{Name: id})
		}
	}
	a.mu.Unlock()
	if err := a.put(changes...); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range changes {
		delete(a.own, c.Name)
	}
	return nil
}

// Loops are what runs on its own clock.
func (a *Audit) Loops() map[string]func(ctx context.Context) error {
	return map[string]func(ctx context.Context) error{"audit": a.Run}
}

// Run looks after the store until ctx ends.
func (a *Audit) Run(ctx context.Context) error {
	tick := time.NewTicker(Look)
	defer tick.Stop()
	for {
		err := a.Lost(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		a.say(err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// say raises an alert while entries wait, once.
func (a *Audit) say(err error) {
	waiting := a.Pending()
	a.mu.Lock()
	was := a.owed
	a.owed = err != nil && (waiting > 0 || !errors.Is(err, conn.ErrAway))
	now := a.owed
	a.mu.Unlock()
	if now && !was {
		text := fmt.Sprintf("the shared audit does not take entries; %d wait on this node: %v", waiting, err)
		a.o.Log.Error(text)
		a.o.Event("audit-waits", text, false)
	}
	if was && !now {
		a.o.Event("audit-waits", "", true)
	}
}
