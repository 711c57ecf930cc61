// Package owed keeps what is owed in the journal of the node that took it on, and in the shared
// store.
package owed

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"postern/filter"
	"postern/internal/relay/outbox"
	"postern/internal/store/redis/durable/phase"
	"postern/internal/store/redis/journal"
	"postern/quarantine"
)

const outboxKind = "outbox"

// Outbox is the shared store of what is owed.
type Outbox interface {
	outbox.Store
	Count(ctx context.Context) (int, error)
	// Look returns entries in the order of their IDs; a zero one for what is missing or does not
	// verify.
	Look(ctx context.Context, ids []string) ([]outbox.Entry, error)
	// Push writes e as it is where nothing or a lower version is stored.
	Push(ctx context.Context, e outbox.Entry, body func() (io.ReadCloser, error)) error
}

// Ends tells the nodes of each other's ends of entries of the outbox, of which the shared store
// keeps nothing.
type Ends interface {
	Mark(ctx context.Context, ids []string) error
	Ended(ctx context.Context, ids []string) ([]bool, error)
}

// Store is an outbox.Store whose entries stand in the journal and in the shared store. What
// it reads is what the shared store says: an entry that could not be brought there yet is neither
// claimed nor listed nor counted.
type Store struct {
	Outbox // the shared store; what is not overridden goes there
	marks  Ends
	jrn    *journal.Journal
	phases *phase.Phases
	o      phase.Options

	locks  phase.Stripes
	pushed atomic.Int64

	mu   sync.Mutex
	live map[string]*copied
}

// copied is what is known of an entry in the journal.
type copied struct {
	version  int64
	unpushed time.Time // since when the shared store could not be given it; zero: it had it
	body     bool      // this node added it; else it only knows how far it came
	alarm    time.Time // when its loss was said last
	gone     bool      // the shared store did not have it when it was asked last
}

// New joins the shared store and the journal.
func New(far Outbox, marks Ends, j *journal.Journal, o phase.Options) *Store {
	o = o.Filled()
	s := &Store{Outbox: far, marks: marks, jrn: j, o: o, phases: phase.New(o, j, outboxKind), live: map[string]*copied{}}
	ids, _ := j.IDs(outboxKind)
	for _, id := range ids {
		e, body, err := s.read(id)
		if err != nil {
			o.Log.Error("an outbox entry in the journal cannot be read", "entry", id, "error", err)
			continue
		}
		s.live[id] = &copied{version: e.Version, body: body}
	}
	return s
}

func (s *Store) read(id string) (e outbox.Entry, body bool, err error) {
	it, err := s.jrn.Get(outboxKind, id)
	if err != nil {
		return e, false, err
	}
	err = json.Unmarshal(it.Record, &e)
	if err == nil && e.ID != id {
		err = fmt.Errorf("the record of %s is one of %q", id, e.ID)
	}
	return e, it.Body, err
}

func entryItem(e outbox.Entry) (journal.Item, error) {
	text, err := json.Marshal(e)
	return journal.Item{Kind: outboxKind, ID: e.ID, Record: text}, err
}

// Add implements outbox.Store. The journal comes first. Where the shared store does not take the
// entry now, it is brought later: a server behind may have taken the message for others already.
func (s *Store) Add(ctx context.Context, e outbox.Entry, body io.Reader) (string, error) {
	if e.ID == "" {
		id, err := filter.NewID(s.o.Now(), rand.Reader)
		if err != nil {
			return "", err
		}
		e.ID = id
	}
	e.Version = 1
	it, err := entryItem(e)
	if err != nil {
		return "", err
	}
	if err := s.jrn.Put(ctx, it, e.SHA256, body); err != nil {
		return "", phase.Sorted(err)
	}
	k := &copied{version: 1, body: true, unpushed: s.o.Now()}
	s.mu.Lock()
	s.live[e.ID] = k
	s.mu.Unlock()
	r, err := s.jrn.Body(outboxKind, e.ID)
	if err == nil {
		_, err = s.Outbox.Add(ctx, e, r)
		err = errors.Join(err, r.Close())
	}
	if err != nil {
		s.o.Log.Warn("an outbox entry stands in the journal alone until the shared store takes it", "entry", e.ID, "error", err)
		return e.ID, nil
	}
	s.there(e.ID)
	return e.ID, nil
}

// there notes that the shared store has an entry.
func (s *Store) there(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.live[id]; k != nil {
		k.unpushed, k.gone = time.Time{}, false
	}
}

// Claim implements outbox.Store. While the store is being restored nothing is claimed: another
// node may be sending it right now.
func (s *Store) Claim(ctx context.Context, now time.Time, lease time.Duration) (e outbox.Entry, crashed, ok bool, err error) {
	if err := s.phases.Sure(ctx); errors.Is(err, phase.ErrRestoring) {
		return e, false, false, nil
	} else if err != nil {
		return e, false, false, err
	}
	for range phase.Batch {
		e, crashed, ok, err = s.Outbox.Claim(ctx, now, lease)
		if err != nil || !ok {
			return e, crashed, ok, err
		}
		if s.recall(&e) {
			return e, crashed, true, nil
		}
		if err := s.again(ctx, e); err != nil {
			return outbox.Entry{}, false, false, err
		}
	}
	return outbox.Entry{}, false, false, nil
}

// recall is false for an entry that has ended, as this node remembers, whatever the shared store
// shows. Who has had it already, as far as this node knows, is not sent it again.
func (s *Store) recall(e *outbox.Entry) bool {
	it, err := s.jrn.Get(outboxKind, e.ID)
	if err != nil {
		return true
	}
	if it.State == journal.Ended {
		return false
	}
	var mine outbox.Entry
	if json.Unmarshal(it.Record, &mine) == nil && mine.ID == e.ID && mine.Attempts > e.Attempts {
		e.To, e.Attempts, e.LastReply = mine.To, mine.Attempts, mine.LastReply
		e.Ambiguous = e.Ambiguous || mine.Ambiguous
	}
	return true
}

// again ends once more what has ended before.
func (s *Store) again(ctx context.Context, e outbox.Entry) error {
	s.o.Log.Warn("the shared store shows an outbox entry that has ended: it is not sent again", "entry", e.ID)
	err := s.Outbox.End(ctx, e)
	if errors.Is(err, outbox.ErrLost) {
		return nil
	}
	return errors.Join(err, s.marks.Mark(ctx, []string{e.ID}))
}

// ClaimID implements outbox.Store.
func (s *Store) ClaimID(ctx context.Context, id string, now time.Time, lease time.Duration) (outbox.Entry, bool, error) {
	if err := s.phases.Sure(ctx); err != nil {
		return outbox.Entry{}, false, fmt.Errorf("outbox entry %s: %w", id, err)
	}
	e, crashed, err := s.Outbox.ClaimID(ctx, id, now, lease)
	if err != nil || s.recall(&e) {
		return e, crashed, err
	}
	err = fmt.Errorf("%w: %s", outbox.ErrNotFound, id)
	return outbox.Entry{}, false, errors.Join(err, s.again(ctx, e))
}

// Retry implements outbox.Store. How far the entry came is written down here too, also when the
// shared store cannot be told or has lost it: nobody may be sent it twice for that.
func (s *Store) Retry(ctx context.Context, e outbox.Entry) error {
	defer s.locks.Lock(e.ID)()
	err := s.Outbox.Retry(ctx, e)
	if err != nil && !s.fact(ctx, e, err) {
		return err
	}
	e.Version++
	return errors.Join(err, s.progress(context.WithoutCancel(ctx), e))
}

// fact reports whether what a try did stands although the shared store refused to hear of it:
// it is away, or has forgotten the claim. It does not when somebody else has the claim now.
func (s *Store) fact(ctx context.Context, e outbox.Entry, err error) bool {
	if !errors.Is(err, outbox.ErrLost) && !errors.Is(err, outbox.ErrNotFound) {
		return true
	}
	found, lerr := s.Look(context.WithoutCancel(ctx), []string{e.ID})
	if lerr != nil {
		return true
	}
	if found[0].ID == "" {
		done, err := s.marks.Ended(context.WithoutCancel(ctx), []string{e.ID})
		return err != nil || !done[0]
	}
	return found[0].Version < e.Version
}

// progress writes how far an entry came. The caller holds the lock of the entry.
func (s *Store) progress(ctx context.Context, e outbox.Entry) error {
	it, err := entryItem(e)
	if err != nil {
		return err
	}
	if err := s.jrn.Set(ctx, it); err != nil {
		if errors.Is(err, journal.ErrEnded) {
			return nil
		}
		return phase.Sorted(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.live[e.ID]
	if k == nil {
		k = &copied{}
		s.live[e.ID] = k
	}
	k.version = e.Version
	return nil
}

// End implements outbox.Store and leaves a tombstone.
func (s *Store) End(ctx context.Context, e outbox.Entry) error {
	defer s.locks.Lock(e.ID)()
	err := s.Outbox.End(ctx, e)
	if err != nil && !s.fact(ctx, e, err) {
		return err
	}
	wide := context.WithoutCancel(ctx)
	if terr := s.tombstone(wide, e); terr != nil {
		return errors.Join(err, terr)
	}
	if merr := s.marks.Mark(wide, []string{e.ID}); merr != nil {
		s.o.Log.Debug("the end of an outbox entry is marked later", "entry", e.ID, "error", merr)
	}
	return err
}

func (s *Store) tombstone(ctx context.Context, e outbox.Entry) error {
	err := s.jrn.Set(ctx, journal.Item{Kind: outboxKind, ID: e.ID, State: journal.Ended, Until: s.o.Now().Add(quarantine.KeyKept)})
	if err == nil {
		s.mu.Lock()
		delete(s.live, e.ID)
		s.mu.Unlock()
	}
	return phase.Sorted(err)
}
