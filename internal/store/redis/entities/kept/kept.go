// Package kept keeps the records of the rooms, and what they rest on, in two places: in the
// node's own synced journal and in the shared store. What the shared store lost within a day is
// given back to it: first what was removed, so that nothing comes back, and after a grace, in
// which every node does that, what is there.
package kept

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postern/internal/entity"
	"postern/internal/spool"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/durable/phase"
	"postern/internal/store/redis/entities"
	"postern/internal/store/redis/journal"
)

// The kinds of entries in the journal.
const (
	recordKind     = "entity"
	recordGoneKind = "entity-gone"
	blobKind       = "blob"
	blobGoneKind   = "blob-gone"
)

// Store is an entity.Home whose promises stand in the journal and in the shared store. A new
// record, and bytes of class intake, it takes with the shared store away: those it brings later.
type Store struct {
	*entities.Store // the shared store; what is not overridden goes there
	jrn             *journal.Journal
	phases          *phase.Phases
	o               phase.Options
	spool           *spool.Spool

	locks  phase.Stripes
	pushed atomic.Int64

	mu   sync.Mutex
	live map[ref]*mine
	gone map[ref]*mine // what was removed here
}

// ref is a record, or a blob: then kind is its class, and id its digest.
type ref struct {
	blob     bool
	kind, id string
}

func (r ref) journalID() string { return r.kind + "/" + r.id }

func (r ref) journalKind(gone bool) string {
	switch {
	case r.blob && gone:
		return blobGoneKind
	case r.blob:
		return blobKind
	case gone:
		return recordGoneKind
	}
	return recordKind
}

func (r ref) String() string {
	if r.blob {
		return "blob " + r.journalID()
	}
	return r.journalID()
}

func recordRef(kind entity.Kind, id string) ref { return ref{kind: string(kind), id: id} }
func blobRef(class entity.Class, sum string) ref {
	return ref{blob: true, kind: string(class), id: sum}
}
func (r ref) name() entities.Name { return entities.Name{Kind: entity.Kind(r.kind), ID: r.id} }

// mine is what is known of an entry of the journal.
type mine struct {
	born    int64
	version uint64
	at      time.Time // when it was promised, or brought to the shared store at last
	alone   bool      // the shared store could not be told yet
	alarm   time.Time // when its loss was said last
	print   uint64    // of what the shared store was found to have of it, whole; 0: it was not looked up yet
}

// note is the record in the journal.
type note struct {
	Born    int64        `json:"born"`
	Version uint64       `json:"version,omitempty"`
	Size    int64        `json:"size,omitempty"`
	At      time.Time    `json:"at"`
	Alone   bool         `json:"alone,omitempty"`
	Data    []byte       `json:"data,omitempty"` // of a record
	Keys    []entity.Key `json:"keys,omitempty"`
}

// New joins the shared store and the journal.
func New(far *entities.Store, j *journal.Journal, sp *spool.Spool, o phase.Options) *Store {
	o = o.Filled()
	s := &Store{Store: far, jrn: j, o: o, spool: sp, phases: phase.New(o, j, "records"), live: map[ref]*mine{}, gone: map[ref]*mine{}}
	for _, blob := range []bool{false, true} {
		for _, gone := range []bool{false, true} {
			into := s.live
			if gone {
				into = s.gone
			}
			ids, _ := j.IDs(ref{blob: blob}.journalKind(gone))
			for _, id := range ids {
				r := ref{blob: blob}
				r.kind, r.id, _ = strings.Cut(id, "/")
				n, err := s.note(r, gone)
				if err != nil {
					o.Log.Error("a record in the journal cannot be read", "record", r, "error", err)
					continue
				}
				into[r] = &mine{born: n.Born, version: n.Version, at: n.At, alone: n.Alone}
			}
		}
	}
	return s
}

// note reads what the journal has.
func (s *Store) note(r ref, gone bool) (n note, err error) {
	e, err := s.jrn.Get(r.journalKind(gone), r.journalID())
	if err != nil {
		return n, err
	}
	return n, json.Unmarshal(e.Record, &n)
}

func (r ref) item(n note, gone bool) (journal.Item, error) {
	text, err := json.Marshal(n)
	return journal.Item{Kind: r.journalKind(gone), ID: r.journalID(), Record: text}, err
}

func (r ref) forgotten(gone bool) journal.Item {
	return journal.Item{Kind: r.journalKind(gone), ID: r.journalID(), State: journal.Gone}
}

func (n note) record(r ref) entity.Record {
	return entity.Record{Kind: entity.Kind(r.kind), ID: r.id, Version: n.Version, Data: n.Data, Keys: n.Keys}
}

// known is what this node keeps of a thing; false when it keeps nothing.
func (s *Store) known(r ref) (mine, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.live[r]; k != nil {
		return *k, true
	}
	return mine{}, false
}

// sure returns an error where a change must wait: while a store that was emptied, or went back,
// is given back what it lost, what it shows may be older than what was promised.
func (s *Store) sure(ctx context.Context) error {
	err := s.phases.Sure(ctx)
	if errors.Is(err, phase.ErrRestoring) {
		err = fmt.Errorf("%w: %w", conn.ErrAway, err)
	}
	return err
}

// sorted gives an error of the journal the name that callers of an entity.Home know.
func sorted(err error) error {
	if errors.Is(err, journal.ErrFull) {
		return fmt.Errorf("%w: %w", entity.ErrFull, err)
	}
	return phase.Sorted(err)
}

// Put implements entity.Store.
func (s *Store) Put(ctx context.Context, r entity.Record) error {
	if err := errors.Join(r.Validate(), ctx.Err()); err != nil {
		return err
	}
	of := recordRef(r.Kind, r.ID)
	defer s.locks.Lock(of.String())()
	if r.Version == 1 {
		return s.create(ctx, of, r)
	}
	if err := s.sure(ctx); err != nil {
		return err
	}
	k, ok := s.known(of)
	if ok && k.alone {
		if err := s.bringOne(ctx, of); err != nil {
			return err
		}
	}
	if ok && k.version >= r.Version {
		return fmt.Errorf("%w: %s has version %d here", entity.ErrConflict, of, k.version)
	}
	born, err := s.Write(ctx, r)
	if err != nil {
		return err
	}
	return s.keep(context.WithoutCancel(ctx), of, note{Born: born, Version: r.Version, At: s.o.Now(), Data: r.Data, Keys: r.Keys})
}

// create takes a new record: with the shared store away, or while that is being restored, in
// the journal alone.
func (s *Store) create(ctx context.Context, of ref, r entity.Record) error {
	if k, ok := s.known(of); ok && k.alone {
		return fmt.Errorf("%w: %s", entity.ErrExists, of)
	}
	n := note{Version: 1, At: s.o.Now(), Data: r.Data, Keys: r.Keys}
	err := phase.ErrRestoring
	if !s.phases.Restoring() {
		n.Born, err = s.Write(ctx, r)
	}
	switch {
	case errors.Is(err, conn.ErrAway), errors.Is(err, phase.ErrRestoring):
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n.Born, n.Alone = s.o.Now().UnixMicro(), true
		s.o.Log.Warn("a new record stands in the journal alone until the shared store takes it", "record", of, "error", err)
	case err != nil:
		return err
	}
	return s.keep(context.WithoutCancel(ctx), of, n)
}

// keep makes the journal stand for a record. The caller holds its lock.
func (s *Store) keep(ctx context.Context, of ref, n note) error {
	it, err := of.item(n, false)
	if err == nil {
		err = s.jrn.Set(ctx, it)
	}
	if err != nil {
		return sorted(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live[of] = &mine{born: n.Born, version: n.Version, at: n.At, alone: n.Alone}
	return nil
}

// Get implements entity.Store. What the shared store lost is read from the journal.
func (s *Store) Get(ctx context.Context, kind entity.Kind, id string) (entity.Record, error) {
	far, err := s.Store.Get(ctx, kind, id)
	of := recordRef(kind, id)
	k, ok := s.known(of)
	switch {
	case !ok:
		return far, err
	case err == nil && far.Version >= k.version:
		return far, nil
	case err != nil && !errors.Is(err, entity.ErrNotFound) && (!errors.Is(err, conn.ErrAway) || !k.alone):
		return far, err
	}
	if !k.alone {
		found, lerr := s.Look(ctx, []entities.Name{of.name()})
		if lerr != nil || found[0].Born > k.born || found[0].Removed == k.born || found[0].Born == k.born && found[0].Version >= k.version {
			return far, errors.Join(err, lerr)
		}
		s.alarm(ctx, of)
	}
	n, jerr := s.note(of, false)
	if jerr != nil || ctx.Err() != nil {
		return far, errors.Join(err, ctx.Err())
	}
	return n.record(of), nil
}

// Remove implements entity.Store.
func (s *Store) Remove(ctx context.Context, kind entity.Kind, id string, version uint64) error {
	if entity.ValidName(kind, id) != nil {
		return nil
	}
	of := recordRef(kind, id)
	defer s.locks.Lock(of.String())()
	if err := s.sure(ctx); err != nil {
		return err
	}
	if k, ok := s.known(of); ok && k.alone {
		if err := s.bringOne(ctx, of); err != nil {
			return err
		}
	}
	born, err := s.Take(ctx, kind, id, version)
	if err != nil || born == 0 {
		return err
	}
	return s.bury(context.WithoutCancel(ctx), of, born, version)
}

// bury notes that something was removed. The caller holds its lock.
func (s *Store) bury(ctx context.Context, of ref, born int64, version uint64) error {
	n := note{Born: born, Version: version, At: s.o.Now()}
	it, err := of.item(n, true)
	if err == nil {
		err = s.jrn.Set(ctx, of.forgotten(false), it)
	}
	if err != nil {
		return sorted(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, of)
	s.gone[of] = &mine{born: born, version: version, at: n.At}
	return nil
}

// alarm says that the shared store lost something: not all the time for one that cannot be
// given back.
func (s *Store) alarm(ctx context.Context, of ref) {
	s.mu.Lock()
	k := s.live[of]
	again := k == nil || !k.alarm.IsZero() && s.o.Now().Sub(k.alarm) < phase.AlarmEvery
	if !again {
		k.alarm = s.o.Now()
	}
	s.mu.Unlock()
	if !again {
		s.phases.Alarm(ctx, of.String()+" is missing in the shared store, or older than it was")
	}
}
