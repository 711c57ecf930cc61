package sheaf

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync"
	"time"

	"postern/abuse/intake/shelf"
	"postern/internal/entity"
)

// Bounds of a sheaf.
const (
	Most     = 40       // reports
	EachMost = 64 << 10 // octets of one report: a larger one is kept by itself
	allMost  = 1 << 20  // octets of a sheaf, from which on nothing is added

	// Wait is how long the first of a sheaf waits for others: at a flood's pace of ten thousand
	// in ten minutes every sixteenth report waits for a sync.
	Wait = time.Second

	writeMost  = 30 * time.Second
	retriesOf  = 5000 // reports whose retry is known as such, twice
	wholeSumOf = 12   // octets of a digest that name a sheaf
)

// Gatherer brings reports together. Its zero value with a Home is ready.
type Gatherer struct {
	Home entity.Home
	Wait time.Duration // 0 = Wait

	mu         sync.Mutex
	open       *gathering
	known, old map[string]string // report -> where it stands, for a retry of the same mail
}

// gathering is a sheaf that is not written yet.
type gathering struct {
	fold    string
	members []shelf.Report
	text    bytes.Buffer
	done    chan struct{} // closed when it is written, or was not
	err     error
}

// Keep keeps a report of a flood, and returns its ID when it is synced together with those that
// came within a moment. r.ID is the same for a retry: what was kept lately is not kept again.
func (g *Gatherer) Keep(ctx context.Context, r shelf.Report, fold string, text []byte) (string, error) {
	g.mu.Lock()
	for _, all := range []map[string]string{g.known, g.old} {
		if id := all[r.ID]; id != "" {
			g.mu.Unlock()
			return id, nil
		}
	}
	if g.open != nil && g.open.fold != fold {
		g.close(ctx, g.open)
	}
	if g.open == nil {
		g.begin(ctx, fold)
	}
	one, n := g.open, len(g.open.members)
	for i, m := range one.members {
		if m.ID == r.ID { // it came again before it was answered
			n = i
		}
	}
	if n == len(one.members) {
		g.add(ctx, one, r, text)
	}
	g.mu.Unlock()
	select {
	case <-one.done:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if one.err != nil {
		return "", one.err
	}
	return one.members[n].ID, nil
}

// add puts a report into a sheaf. The caller holds the lock.
func (g *Gatherer) add(ctx context.Context, one *gathering, r shelf.Report, text []byte) {
	sum := sha256.Sum256(text)
	r.SHA256, r.Size = hex.EncodeToString(sum[:]), int64(len(text))
	one.members = append(one.members, r)
	one.text.Write(text)
	if len(one.members) == Most || one.text.Len() >= allMost {
		g.close(ctx, one)
	}
}

// begin opens a sheaf. The caller holds the lock.
func (g *Gatherer) begin(ctx context.Context, fold string) {
	one := &gathering{fold: fold, done: make(chan struct{})}
	g.open = one
	wait := g.Wait
	if wait <= 0 {
		wait = Wait
	}
	time.AfterFunc(wait, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.open == one {
			g.close(ctx, one)
		}
	})
}

// close has a sheaf written. The caller holds the lock.
func (g *Gatherer) close(ctx context.Context, one *gathering) {
	g.open = nil
	go func() { // whoever came first may be gone by now: the others wait for it all the same
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeMost)
		defer cancel()
		defer close(one.done)
		one.err = g.write(ctx, one)
	}()
}

// write makes a sheaf durable: the bytes and then the record.
func (g *Gatherer) write(ctx context.Context, one *gathering) error {
	f := Sheaf{At: one.members[0].At, Fold: one.fold, State: shelf.New, Members: append([]shelf.Report(nil), one.members...)}
	name := sha256.New()
	for _, m := range one.members {
		fmt.Fprintf(name, "%s %d\n", m.ID, m.At.UnixNano())
		if m.At.Before(f.At) {
			f.At = m.At
		}
	}
	f.ID = "q-" + hex.EncodeToString(name.Sum(nil)[:wholeSumOf])
	for i := range f.Members {
		f.Members[i].ID = f.ID + "." + strconv.Itoa(i+1)
	}
	sum, _, err := g.Home.PutBlob(ctx, entity.Intake, bytes.NewReader(one.text.Bytes()))
	if err != nil {
		return fmt.Errorf("keeping the bytes of %d reports: %w", len(f.Members), err)
	}
	f.SHA256 = sum
	if _, err := Shelf(g.Home).Create(ctx, f); err != nil {
		return fmt.Errorf("keeping %d reports: %w", len(f.Members), err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range f.Members {
		g.note(one.members[i].ID, f.Members[i].ID)
	}
	one.members, one.text = f.Members, bytes.Buffer{}
	return nil
}

// note remembers where a report stands. The caller holds the lock.
func (g *Gatherer) note(report, id string) {
	if g.known == nil || len(g.known) >= retriesOf {
		g.old, g.known = g.known, map[string]string{}
	}
	g.known[report] = id
}
