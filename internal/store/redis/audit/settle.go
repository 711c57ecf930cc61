package audit

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	cryptorand "crypto/rand"

	"github.com/redis/go-redis/v9"

	"postern/internal/record"
	"postern/internal/store/redis/conn"
)

// Actions of entries that this package writes or shows.
const (
	ActionLost   = "audit-lost"   // the store lost the end of the chain, or all of it
	ActionForged = "audit-forged" // an entry that was not written by us, in the place where it stands
)

const (
	tries    = 100   // appends of other nodes that may come first
	atOnce   = 100   // entries appended in one step
	scanMost = 10000 // entries from the end of the chain that are searched for ours
)

// loss is the After of an ActionLost entry: the last entry that a node had seen.
type loss struct {
	Last int64  `json:"last"`
	Hash string `json:"hash"`
	Left int64  `json:"left"` // entries that the store still has
}

// do makes one call within WriteTime. That the time is over is the store's fault.
func (a *Audit) do(ctx context.Context, f func(ctx context.Context, r redis.UniversalClient) error) error {
	soon, cancel := context.WithTimeout(ctx, WriteTime)
	defer cancel()
	err := a.o.Conn.Do(soon, conn.Write, f)
	if err != nil && soon.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", conn.ErrAway, err)
	}
	return err
}

// pending are the entries that wait for the store, in order.
func (a *Audit) pending() []*kept {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []*kept
	for _, k := range a.own {
		if k.Entry.Seq == 0 {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(x, y *kept) int { return cmp.Compare(x.Order, y.Order) })
	return all
}

// settle gives the store what waits for it, after what it lost. The caller has the turn.
func (a *Audit) settle(ctx context.Context) error {
	err := a.settleAll(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rest = time.Time{}
	if err != nil {
		a.rest = a.o.Now().Add(Look)
	}
	return err
}

func (a *Audit) settleAll(ctx context.Context) error {
	for moved := 0; moved < tries; {
		e, err := a.look(ctx)
		if err != nil {
			return err
		}
		if !e.whole {
			if err := a.recover(ctx, e); err != nil {
				return err
			}
		}
		if err := a.find(ctx, e); err != nil {
			return err
		}
		waiting := a.pending()
		if len(waiting) == 0 {
			a.saw(e.last)
			return nil
		}
		waiting = waiting[:min(len(waiting), atOnce)]
		switch err := a.give(ctx, e, waiting); {
		case errors.Is(err, errMoved):
			moved++
			if err := pause(ctx, moved); err != nil {
				return err
			}
		case err != nil:
			return err
		}
	}
	return errMoved
}

// pause waits a random while, longer the more often others came first.
func pause(ctx context.Context, moved int) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(rand.N(time.Duration(min(moved, 20)) * time.Millisecond)):
		return nil
	}
}

// saw notes the end of the chain, so that its loss is noticed.
func (a *Audit) saw(last record.Entry) {
	if last.Action != ActionForged {
		a.knows(known{last.Seq, last.Hash})
	}
}

func (a *Audit) knows(k known) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known = k
}

// give appends waiting entries to the chain and notes their numbers.
func (a *Audit) give(ctx context.Context, e end, waiting []*kept) error {
	var moved []*kept
	for i, k := range waiting {
		if k.From != e.length || !k.tried {
			now := *k
			now.From, now.tried = e.length, true
			if k.From != e.length { // where to look for it after a restart
				moved = append(moved, &now)
			}
			waiting[i] = &now
		}
	}
	if err := a.keep(moved...); err != nil {
		return err
	}
	a.tried(waiting)
	lines := make([]line, len(waiting))
	for i, k := range waiting {
		lines[i] = line{ID: k.ID, Node: a.o.Node, Entry: k.Entry}
	}
	lines, err := a.push(ctx, e, lines)
	if err != nil {
		return err
	}
	done := make([]*kept, len(waiting))
	for i, k := range waiting {
		now := *k
		now.Entry = lines[i].Entry
		done[i] = &now
	}
	a.saw(lines[len(lines)-1].Entry)
	return a.keep(done...)
}

// tried notes that entries are given to the store.
func (a *Audit) tried(all []*kept) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, k := range all {
		a.own[k.ID] = k
	}
}

// find looks in the chain for entries that were given to the store without an answer. A script
// appended them where the chain ended when they were given, or not at all, so that nothing is
// read but what follows there.
func (a *Audit) find(ctx context.Context, e end) error {
	doubtful, from := map[string]*kept{}, map[int64]bool{}
	for _, k := range a.pending() {
		if k.tried && k.From < e.length {
			doubtful[k.ID], from[k.From] = k, true
		}
	}
	var done []*kept
	read := int64(0)
	for _, first := range slices.Sorted(maps.Keys(from)) {
		last := min(first+atOnce, e.length)
		err := a.each(ctx, max(first, read), last, func(l line) {
			if k := doubtful[l.ID]; k != nil {
				now := *k
				now.Entry = l.Entry
				done = append(done, &now)
				delete(doubtful, l.ID)
			}
		})
		if err != nil {
			return err
		}
		read = last
	}
	if len(done) == 0 {
		return nil
	}
	return a.keep(done...)
}

// each gives the entries after from, up to the one with number to, to f.
func (a *Audit) each(ctx context.Context, from, to int64, f func(line)) error {
	for from < to {
		lines, err := a.read(ctx, from, int(min(to-from, record.MaxPage)))
		if err != nil {
			return err
		}
		if len(lines) == 0 {
			return errMoved // the chain is being cut as we read
		}
		for _, l := range lines {
			f(l)
		}
		from += int64(len(lines))
	}
	return nil
}

// recover prepares what the store lost to be written anew: an entry that says so, unless
// another node wrote one, and the entries of this node that are in the chain no more.
func (a *Audit) recover(ctx context.Context, e end) error {
	there := map[string]record.Entry{}
	said := false
	err := a.each(ctx, max(0, e.length-scanMost), e.length, func(l line) {
		there[l.ID] = l.Entry
		var lost loss
		if l.Entry.Action == ActionLost && json.Unmarshal(l.Entry.After, &lost) == nil && lost.Last >= a.known.Seq {
			said = true
		}
	})
	if err != nil {
		return err
	}
	var changed []*kept
	first := int64(0)
	a.mu.Lock()
	own := slices.Collect(maps.Values(a.own))
	a.mu.Unlock()
	for _, k := range own {
		first = min(first, k.Order)
		now := *k
		switch entry, ok := there[k.ID]; {
		case ok:
			now.Entry = entry
		case k.Entry.Seq > 0 && k.Entry.Seq > e.length-scanMost: // else it is too old to be looked for
			now.Entry.Note = fmt.Sprintf("%s (was entry %d, hash %s, before the store lost it)", k.Note, k.Entry.Seq, k.Entry.Hash)
			now.Entry.Seq, now.Entry.Prev, now.Entry.Hash = 0, "", ""
			now.From = e.length
		default:
			continue
		}
		changed = append(changed, &now)
	}
	text := fmt.Sprintf("the shared store lost entries of the audit: this node had seen entry %d, hash %s; the store has %d; what this node wrote of late is written again", a.known.Seq, a.known.Hash, e.length)
	a.o.Log.Error(text)
	a.o.Event("audit-lost", text, false)
	a.alarm(true)
	if !said {
		mark, err := a.mark(e, first-1)
		if err != nil {
			return err
		}
		changed = append(changed, mark)
	}
	before := a.known
	a.knows(known{})
	for part := range slices.Chunk(changed, 1000) {
		if err := a.keep(part...); err != nil {
			a.knows(before)
			return err
		}
	}
	return nil
}

// mark is the entry that says what was lost.
func (a *Audit) mark(e end, order int64) (*kept, error) {
	text := fmt.Sprintf("the store lost the audit up to entry %d, hash %s, all but the %d entries before this one; what the nodes had kept follows", a.known.Seq, a.known.Hash, e.length)
	after, err := json.Marshal(loss{Last: a.known.Seq, Hash: a.known.Hash, Left: e.length})
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	entry := record.Entry{Time: a.o.Now(), Actor: a.o.Node, Action: ActionLost, Object: fmt.Sprintf("entry %d", a.known.Seq), After: after, Note: text}
	return &kept{ID: cryptorand.Text(), Order: order, Entry: entry, Note: text, From: e.length}, nil
}

// Losses returns the entries that say that the store lost entries before them. A chain is
// unbroken where record.Verify finds it so; it is whole when there are none of these.
func Losses(ctx context.Context, s record.AuditStore) ([]record.Entry, error) {
	var found []record.Entry
	for after := int64(0); ; {
		part, err := s.Entries(ctx, after, 500)
		if err != nil || len(part) == 0 {
			return found, err
		}
		for _, e := range part {
			after = e.Seq
			if e.Action == ActionLost {
				found = append(found, e)
			}
		}
	}
}
