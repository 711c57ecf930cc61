// Package noted keeps the send log in the journal of the node as well as in the shared store:
// what left here is known also when the store is away, or loses it.
package noted

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"postern/abuse/sent"
	"postern/internal/store/redis/journal"
)

const kind = "sent"

// Keep is how long the journal stands for a row that the shared store has.
const Keep = 24 * time.Hour

// Times of the work.
const (
	farTime = 2 * time.Second // mail waits no longer for the shared store
	every   = 5 * time.Second
	atOnce  = 500  // rows of one round that are brought or forgotten
	askMost = 5000 // rows of one round that are asked for
)

// Far is the shared store.
type Far interface {
	sent.Store
	// Same reports which rows stand there, found by what leads to them, with just these texts
	// in JSON.
	Same(ctx context.Context, texts map[string][]byte) (map[string]bool, error)
}

// Options are what a Store works with.
type Options struct {
	Now func() time.Time
	Log *slog.Logger
}

// Store implements sent.Store. What it reads is what the shared store says.
type Store struct {
	sent.Store // the shared store; what is not overridden goes there
	far        Far
	jrn        *journal.Journal
	o          Options
	seed       maphash.Seed
	locks      [64]sync.Mutex

	mu     sync.Mutex
	mine   map[string]*state
	losses int // how often all became due again
}

// state is what is known of a row in the journal.
type state struct {
	at  time.Time // of the last change
	due bool      // the shared store may lack it
	old bool      // it most likely has it: due since a restart or a loss
}

// note is the record in the journal: a row that was begun here, or what became of copies of
// one that was begun elsewhere.
type note struct {
	Row    *sent.Row   `json:"row,omitempty"`
	Serial string      `json:"serial"`
	Copies []sent.Copy `json:"copies,omitempty"`
	At     time.Time   `json:"at"`
}

// New joins the shared store and the journal. What an earlier life of the node left is looked
// after in the first rounds.
func New(far Far, j *journal.Journal, o Options) *Store {
	s := &Store{Store: far, far: far, jrn: j, o: o, seed: maphash.MakeSeed(), mine: map[string]*state{}}
	ids, _ := j.IDs(kind)
	for _, id := range ids {
		n, err := s.read(id)
		if err != nil {
			o.Log.Error("a row of the send log in the journal cannot be read", "serial", id, "error", err)
			continue
		}
		s.mine[id] = &state{at: n.At, due: true, old: true}
	}
	return s
}

func (s *Store) lock(serial string) func() {
	l := &s.locks[maphash.String(s.seed, serial)%uint64(len(s.locks))]
	l.Lock()
	return l.Unlock
}

func (s *Store) read(serial string) (n note, err error) {
	e, err := s.jrn.Get(kind, serial)
	if err != nil {
		return n, err
	}
	err = json.Unmarshal(e.Record, &n)
	if err == nil && n.Serial != serial {
		err = fmt.Errorf("the note of %s is one of %.40q", serial, n.Serial)
	}
	return n, err
}

// keep writes a note, synced. The caller holds the lock of the serial.
func (s *Store) keep(ctx context.Context, n note) error {
	n.At = s.o.Now().UTC()
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	if err := s.jrn.Set(ctx, journal.Item{Kind: kind, ID: n.Serial, Record: text, State: journal.Live}); err != nil {
		return fmt.Errorf("send log: %w", err)
	}
	s.mark(n.Serial, n.At, true)
	return nil
}

func (s *Store) mark(serial string, at time.Time, due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mine[serial] = &state{at: at, due: due}
}

// there notes that the shared store has what the journal has.
func (s *Store) there(serial string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.mine[serial]; st != nil {
		st.due = false
	}
}

// Begin implements sent.Store. The journal comes first; where the shared store does not take
// the row now, it is brought later, and mail goes on.
func (s *Store) Begin(ctx context.Context, r sent.Row) error {
	r = r.Fit()
	defer s.lock(r.Serial)()
	n, err := s.read(r.Serial)
	switch {
	case err == nil && n.Row != nil:
		if r, err = n.Row.Joined(r); err != nil {
			return err
		}
	case err == nil:
		r, _ = r.Settled(n.Copies)
	case !errors.Is(err, journal.ErrNotFound):
		return err
	}
	if err := s.keep(ctx, note{Row: &r, Serial: r.Serial}); err != nil {
		return err
	}
	far, cancel := context.WithTimeout(ctx, farTime)
	defer cancel()
	err = s.Store.Begin(far, r)
	if errors.Is(err, sent.ErrExists) {
		return err
	}
	if err == nil {
		s.there(r.Serial)
	}
	return nil // what the shared store lacks is due
}

// Settle implements sent.Store.
func (s *Store) Settle(ctx context.Context, serial string, copies []sent.Copy) error {
	defer s.lock(serial)()
	n, err := s.read(serial)
	known := err == nil
	switch {
	case known && n.Row != nil:
		row, changed := n.Row.Settled(copies)
		if !changed {
			return nil
		}
		n.Row = &row
	case known:
		n.Copies = append(n.Copies, copies...)
	case errors.Is(err, journal.ErrNotFound):
		n = note{Serial: serial, Copies: copies}
	default:
		return err
	}
	ferr := s.Store.Settle(ctx, serial, copies)
	if errors.Is(ferr, sent.ErrNotFound) && !known {
		return ferr
	}
	if err := s.keep(context.WithoutCancel(ctx), n); err != nil {
		return errors.Join(ferr, err)
	}
	if ferr == nil {
		s.there(serial)
	}
	return nil
}

// BySerial implements sent.Store. What the shared store lacks, or cannot say, the journal may
// know.
func (s *Store) BySerial(ctx context.Context, serial string) (sent.Row, error) {
	r, err := s.Store.BySerial(ctx, serial)
	if err == nil || errors.Is(err, sent.ErrNotFound) && !s.isDue(serial) {
		return r, err
	}
	if n, jerr := s.read(serial); jerr == nil && n.Row != nil {
		return *n.Row, nil
	}
	return r, err
}

// isDue reports whether the shared store may lack a row that stands here.
func (s *Store) isDue(serial string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.mine[serial]
	return st != nil && st.due
}

// Run brings to the shared store what it lacks, and forgets what is old, until ctx ends.
func (s *Store) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.Step(ctx)
		}
	}
}

// Step is one round of Run.
func (s *Store) Step(ctx context.Context) {
	if err := s.ask(ctx); err != nil {
		return // the next round tries again
	}
	due, old := s.work()
	for _, serial := range due {
		if err := s.push(ctx, serial); err != nil {
			return // the next round tries again
		}
	}
	if len(old) == 0 {
		return
	}
	items := make([]journal.Item, len(old))
	for i, serial := range old {
		items[i] = journal.Item{Kind: kind, ID: serial, State: journal.Gone}
	}
	if err := s.jrn.Set(ctx, items...); err != nil {
		s.o.Log.Warn("old rows of the send log stay in the journal for now", "error", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, serial := range old {
		delete(s.mine, serial)
	}
}

// ask finds out, many at once, what of the rows due since a restart or a loss the shared store
// has as they are here; the others are brought.
func (s *Store) ask(ctx context.Context) error {
	s.mu.Lock()
	losses, asked := s.losses, map[string]*state{}
	for serial, st := range s.mine {
		if st.due && st.old && len(asked) < askMost {
			asked[serial] = st
		}
	}
	s.mu.Unlock()
	if len(asked) == 0 {
		return nil
	}
	texts := make(map[string][]byte, len(asked))
	for serial := range asked {
		if e, err := s.jrn.Get(kind, serial); err == nil {
			var n struct {
				Row json.RawMessage `json:"row"`
			}
			if json.Unmarshal(e.Record, &n) == nil && len(n.Row) > 0 {
				texts[serial] = n.Row
			}
		}
	}
	same, err := s.far.Same(ctx, texts)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.losses != losses {
		return nil // what was there may not be there any more
	}
	for serial, st := range asked { // one that changed meanwhile has another state by now
		st.old, st.due = false, !same[serial]
	}
	return nil
}

// Size implements sent.Store. What the shared store was too slow to take is brought first: its
// count would be short of rows that stand here. After a loss of the store Step brings the many.
func (s *Store) Size(ctx context.Context) (rows, bytes int64, err error) {
	for _, serial := range s.lacking() {
		if err := s.push(ctx, serial); err != nil {
			return 0, 0, err
		}
	}
	return s.Store.Size(ctx)
}

// lacking are rows that the shared store may lack, a few rounds of Step at most.
func (s *Store) lacking() (due []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for serial, st := range s.mine {
		if st.due && len(due) < 10*atOnce {
			due = append(due, serial)
		}
	}
	return due
}

// work is what is to be brought, and what the shared store alone may keep from now on.
func (s *Store) work() (due, old []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Now()
	for serial, st := range s.mine {
		switch {
		case st.due && !st.old && len(due) < atOnce:
			due = append(due, serial)
		case !st.due && now.Sub(st.at) > Keep && len(old) < atOnce:
			old = append(old, serial)
		}
	}
	return due, old
}

// push brings a row to the shared store. What was settled here of a row that is nowhere is
// given up after a while.
func (s *Store) push(ctx context.Context, serial string) error {
	defer s.lock(serial)()
	n, err := s.read(serial)
	if err != nil {
		s.there(serial)
		return nil
	}
	if n.Row != nil {
		err = s.Store.Begin(ctx, *n.Row)
	} else {
		err = s.Store.Settle(ctx, serial, n.Copies)
	}
	if errors.Is(err, sent.ErrExists) || errors.Is(err, sent.ErrNotFound) && s.o.Now().Sub(n.At) > time.Hour {
		s.o.Log.Warn("a row of the send log is not what the shared store has", "serial", serial, "error", err)
		err = nil
	}
	if err == nil {
		s.there(serial)
	}
	if errors.Is(err, sent.ErrNotFound) {
		return nil // its node has not brought it yet
	}
	return err
}

// Lost is told that the shared store may have lost something: all is brought again.
func (s *Store) Lost(context.Context, string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.losses++
	for _, st := range s.mine {
		st.due, st.old = true, true
	}
	return nil
}
