package decisions

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/synced"
)

const (
	page     = 500              // records read at once
	pushPage = 200              // records written at once
	again    = 10 * time.Second // between sweeps for a store that has too few records
	sayEvery = 10 * time.Second // between two lines about a store that is not the one it was

	// maxFields bounds what is read of the store in one sweep: more than the file of a node holds.
	maxFields = 2_000_000
)

// Sync brings this node and the store together: what other nodes decided is merged, what the
// store does not have or has in a worse form is pushed.
func (d *Decisions) Sync(ctx context.Context) error {
	d.syncing.Lock()
	defer d.syncing.Unlock()
	if d.mustSweep() {
		if err := d.sweep(ctx); err != nil {
			return err
		}
	}
	if err := d.push(ctx); err != nil {
		return err
	}
	for {
		n, err := d.pull(ctx, d.seen, page)
		if err != nil {
			return err
		}
		if !n.known || d.mustSweep() || int(n.size) < d.shared() && d.o.Now().Sub(d.swept) > again {
			d.sayStrange("the shared store is not the one this node knew; it is compared with what this node has", "revision", n.revision, "known", d.seen.revision, "records", n.size)
			return errors.Join(d.sweep(ctx), d.push(ctx))
		}
		if err := d.receive(n.records); err != nil {
			return err
		}
		d.seen = n.point
		if len(n.records) < page {
			break
		}
	}
	return d.push(ctx)
}

// sayStrange says what is noticed again and again with a store that goes back all the time.
func (d *Decisions) sayStrange(what string, args ...any) {
	now := d.o.Now()
	if since := now.Sub(d.said); d.said.IsZero() || since < 0 || since >= sayEvery {
		d.said = now
		d.o.Log.Warn(what, args...)
	}
}

func (d *Decisions) mustSweep() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.strange || d.swept.IsZero() || !d.o.Now().Before(d.next)
}

// shared is how many records the store should have at least.
func (d *Decisions) shared() int {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.records) - len(d.dirty)
}

// receive merges what the store has, and notes which of it must be pushed over. That the file
// of this node does not take it is alerted and does not stop the exchange.
func (d *Decisions) receive(found []stored) error {
	opened := make([]*held, len(found))
	var good []*held
	forged := 0
	for i, s := range found {
		switch opened[i] = d.open(s); {
		case opened[i] != nil:
			good = append(good, opened[i])
		case s.raw != "":
			forged++
		}
	}
	d.forged += forged
	if err := d.take(good); err != nil && !d.readOnly() && !errors.Is(err, synced.ErrFull) {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, s := range found {
		mine := d.records[s.field]
		if mine != nil && (opened[i] == nil || better(mine, opened[i])) {
			d.dirty[s.field] = true
		} else {
			delete(d.dirty, s.field)
		}
	}
	return nil
}

// sweep compares everything. The revision is read before, so that what is written meanwhile is
// pulled afterwards.
func (d *Decisions) sweep(ctx context.Context) (err error) {
	d.mu.Lock()
	d.last, d.strange = point{}, false // what is written from now on is in the store that is compared
	d.mu.Unlock()
	defer func() {
		if err != nil {
			d.mu.Lock()
			d.strange = true // still not compared
			d.mu.Unlock()
		}
	}()
	n, err := d.pull(ctx, point{}, 0)
	if err != nil {
		return err
	}
	d.forged = 0
	there := map[string]bool{}
	var old []replacement // removals that need not be remembered any longer
	read := 0             // also pages without a record: a scan may never end
	for cursor := uint64(0); ; {
		found, next, err := d.scan(ctx, cursor)
		if err != nil {
			return err
		}
		if read += len(found) + 1; read > maxFields {
			return fmt.Errorf("%w: it has more than %d records", errOdd, maxFields)
		}
		for part := range slices.Chunk(found, page) {
			if err := d.receive(part); err != nil {
				return err
			}
			for _, s := range part {
				there[s.field] = true
				if d.forgettable(d.get(s.field)) {
					old = append(old, replacement{field: s.field, old: s.raw})
				}
			}
		}
		if cursor = next; next == 0 {
			break
		}
	}
	if err := d.missing(there, n.revision > 0); err != nil {
		return err
	}
	if err := d.forget(ctx, old); err != nil {
		return err
	}
	d.seen = n.point
	d.swept = d.o.Now()
	d.next = d.swept.Add(Sweep - Sweep/5 + rand.N(2*Sweep/5)) // nodes started together part ways
	if d.forged == 0 {
		d.over("decisions-forged")
	}
	return d.note()
}

func (d *Decisions) readOnly() bool { return d.file.Degraded() != nil }

// forgettable reports whether a removal is so old that no node can bring the entry back.
func (d *Decisions) forgettable(h *held) bool {
	return h != nil && h.Deleted && d.o.Now().Sub(h.At) > Keep
}

// stampEvery is how often it is written down that all was compared.
const stampEvery = time.Hour

// missing decides about what this node has and the store has not: it is pushed. Only when this
// node was away for so long that removals are forgotten, and the store was in use meanwhile, are
// the list entries dropped that it had before.
func (d *Decisions) missing(there map[string]bool, used bool) error {
	stale := used && !d.stamp.IsZero() && d.o.Now().Sub(d.stamp) > Keep
	var drop []*held
	var owed []string
	d.mu.RLock() // who asks is not kept waiting
	for field, h := range d.records {
		switch {
		case there[field]:
		case d.forgettable(h), stale && h.Kind == KindList && h.At.Before(d.stamp.Add(2*stampEvery)):
			drop = append(drop, h)
		default:
			owed = append(owed, field)
		}
	}
	d.mu.RUnlock()
	for part := range slices.Chunk(owed, page) {
		d.mu.Lock()
		for _, field := range part {
			d.dirty[field] = true
		}
		d.mu.Unlock()
	}
	if stale {
		d.o.Log.Warn("this node was away for long: list entries that no other node has any more are dropped", "since", d.stamp, "dropped", len(drop))
	}
	return d.drop(drop)
}

// drop takes records out of this node, if they are still the same.
func (d *Decisions) drop(records []*held) error {
	for part := range slices.Chunk(records, page) {
		if err := d.dropPart(part); err != nil {
			return err
		}
	}
	return nil
}

func (d *Decisions) dropPart(records []*held) error {
	for i := range d.stripes {
		d.stripes[i].Lock()
		defer d.stripes[i].Unlock()
	}
	var changes []synced.Change
	for _, h := range records {
		if d.get(h.field) == h {
			changes = append(changes, synced.Change{Name: h.field})
		}
	}
	if err := d.file.Put(changes...); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range changes {
		d.rev[d.records[c.Name].Kind]++
		delete(d.records, c.Name)
		delete(d.dirty, c.Name)
	}
	return nil
}

// forget takes old removals out of the store and this node.
func (d *Decisions) forget(ctx context.Context, old []replacement) error {
	for part := range slices.Chunk(old, pushPage) {
		done, err := d.set(ctx, conn.Background, part)
		if err != nil {
			return err
		}
		var drop []*held
		for i, r := range part {
			if h := d.get(r.field); done[i] && d.forgettable(h) {
				drop = append(drop, h)
			}
		}
		if err := d.drop(drop); err != nil {
			return err
		}
	}
	return nil
}

// note writes down that all was compared.
func (d *Decisions) note() error {
	now := d.o.Now().UTC()
	if now.Sub(d.stamp) < stampEvery && !now.Before(d.stamp) {
		return nil
	}
	d.stamp = now
	if d.readOnly() { // which was alerted
		return nil
	}
	return d.file.Put(synced.Change{Name: stampName, Value: []byte(now.Format(time.RFC3339Nano))})
}

// push gives the store what it must still be given.
func (d *Decisions) push(ctx context.Context) error {
	kinds := map[string]bool{}
	defer func() {
		for kind := range kinds {
			d.o.Publish(kind)
		}
	}()
	for tried := map[string]int{}; ; {
		fields := d.someDirty(tried)
		if len(fields) == 0 {
			return nil
		}
		found, err := d.fetch(ctx, conn.Background, fields)
		if err != nil {
			return err
		}
		if err := d.receive(found); err != nil { // it may be there by now, or a better one
			return err
		}
		var mine []*held
		var all []replacement
		for _, s := range found {
			if h := d.get(s.field); h != nil && d.isDirty(s.field) {
				mine = append(mine, h)
				all = append(all, replacement{field: s.field, old: s.raw, text: h.text})
			}
		}
		if len(all) == 0 {
			continue
		}
		done, err := d.set(ctx, conn.Background, all)
		if err != nil {
			return err
		}
		d.mu.Lock()
		for i, h := range mine {
			if done[i] && d.records[h.field] == h {
				delete(d.dirty, h.field)
				kinds[h.Kind] = true
			}
		}
		d.mu.Unlock()
	}
}

func (d *Decisions) isDirty(field string) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.dirty[field]
}

// someDirty are fields to push now, each a few times at most.
func (d *Decisions) someDirty(tried map[string]int) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var fields []string
	for field := range d.dirty {
		if d.records[field] == nil {
			delete(d.dirty, field)
			continue
		}
		if tried[field] < tries {
			tried[field]++
			fields = append(fields, field)
		}
		if len(fields) == pushPage {
			break
		}
	}
	return fields
}
