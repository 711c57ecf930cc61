package durable

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"postern/internal/store/redis/durable/phase"
	"postern/internal/store/redis/journal"
	"postern/quarantine"
)

// Lost says that the shared store may have lost something: a flush, an old dump, a failover, an
// outage. Ends are brought at once, what is open after the grace, by Step.
func (s *HoldStore) Lost(ctx context.Context, why string) error {
	s.phases.Lost(ctx, why)
	return s.Step(ctx)
}

// Restoring reports whether releases are refused for now.
func (s *HoldStore) Restoring() bool { return s.phases.Restoring() }

// Run calls Step every few seconds until ctx ends.
func (s *HoldStore) Run(ctx context.Context) { phase.Run(ctx, s.o.Log, 2*time.Second, s.Step) }

// Step brings to the shared store what it is time for, and compares a few more entries.
func (s *HoldStore) Step(ctx context.Context) error {
	return s.phases.Step(ctx, phase.Work{Ends: s.bringEnds, Live: s.ids, Waiting: s.promised, Known: s.known, Bring: s.bring, Compare: s.compare, Entomb: s.entomb})
}

// known are all holds of the journal.
func (s *HoldStore) known() []string {
	living, tombs := s.jrn.IDs(holdKind)
	return append(living, tombs...)
}

// Refresh looks up the node's own open holds, so that ends and changes made by other nodes are
// known here before the shared store could lose them; of very many some each time, and all by
// the scrub.
func (s *HoldStore) Refresh(ctx context.Context) error {
	return phase.Batches(ctx, phase.Some(s.ids()), func(ids []string) error { return s.compare(ctx, ids) })
}

func (s *HoldStore) ids() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]string, 0, len(s.live))
	for id := range s.live {
		out = append(out, id)
	}
	return out
}

// promised lists what the shared store was not told of yet.
func (s *HoldStore) promised() (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, k := range s.live {
		if k.alone {
			out = append(out, id)
		}
	}
	return out
}

// told notes that the shared store has a hold.
func (s *HoldStore) told(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.live[id]; k != nil {
		k.missing, k.alone = false, false
	}
}

// Status counts what this node keeps.
func (s *HoldStore) Status() Status {
	_, tombs := s.jrn.IDs(holdKind)
	st := Status{Tombstones: len(tombs), Bytes: s.jrn.Stats().Bytes, Pushed: s.pushed.Load()}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Live = len(s.live)
	for _, k := range s.live {
		if (k.missing || k.alone) && (st.OldestUnpushed.IsZero() || k.confirmed.Before(st.OldestUnpushed)) {
			st.OldestUnpushed = k.confirmed
		}
	}
	return st
}

// bringEnds brings tombstones, and what this node has on its way out for others.
func (s *HoldStore) bringEnds(ctx context.Context) error {
	_, tombs := s.jrn.IDs(holdKind)
	if err := phase.Batches(ctx, tombs, func(ids []string) error { return s.entomb(ctx, ids) }); err != nil {
		return err
	}
	s.mu.Lock()
	claims := make([]quarantine.Hold, 0, len(s.claims))
	ids := make([]string, 0, len(s.claims))
	for id, h := range s.claims {
		claims, ids = append(claims, h), append(ids, id)
	}
	s.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	found, err := s.Look(ctx, ids)
	if err != nil {
		return err
	}
	for i, f := range found {
		if f.ID == "" || f.Version >= claims[i].Version {
			continue
		}
		if _, err := s.Push(ctx, claims[i], without); err != nil && !errors.Is(err, errNoBody) {
			return err
		}
	}
	return nil
}

// entomb makes the shared store end what has ended here. Other IDs are left alone.
func (s *HoldStore) entomb(ctx context.Context, ids []string) error {
	var ends []quarantine.Hold
	var which []string
	for _, id := range ids {
		e, err := s.jrn.Get(holdKind, id)
		if err != nil || e.State != journal.Ended {
			continue
		}
		n, err := unmarshal(e.Record)
		if err != nil || n.Hold.ID != id || !n.Hold.State.Ended() {
			continue
		}
		ends, which = append(ends, n.Hold), append(which, id)
	}
	if len(ends) == 0 {
		return nil
	}
	found, err := s.Look(ctx, which)
	if err != nil {
		return err
	}
	return phase.Beside(ctx, len(found), func(i int) string { return message(which[i]) }, func(i int) error {
		if _, err := s.end(ctx, ends[i], found[i]); err != nil && !errors.Is(err, quarantine.ErrConflict) {
			return err
		}
		return nil
	})
}

// seen is what was known of a hold before the shared store was asked.
func (s *HoldStore) seen(ids []string) (out []kept, which []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if k := s.live[id]; k != nil {
			out, which = append(out, *k), append(which, id)
		}
	}
	return out, which
}

// compare takes over what other nodes did, lets go of what the shared store has kept long enough,
// and notices what it lost.
func (s *HoldStore) compare(ctx context.Context, ids []string) error {
	known, ids := s.seen(ids)
	if len(ids) == 0 {
		return nil
	}
	found, err := s.Look(ctx, ids)
	if err != nil {
		return err
	}
	var gone []journal.Item
	for i, f := range found {
		k := known[i]
		s.missing(ids[i], f.ID == "" && k.state != quarantine.Provisional)
		switch {
		case k.state == quarantine.Provisional && (f.ID == "" || f.State == quarantine.Provisional):
			if f.ID != "" && k.maybe && s.o.Now().Sub(k.doubt) > doubtTime {
				s.certain(ids[i])
			}
			if k.owners <= 0 {
				gone = append(gone, s.forget(ids[i])...)
			}
		case k.alone && (f.ID == "" || f.Version < k.version): // it is brought by Step
		case f.ID == "" || f.Version < k.version:
			s.alarm(ctx, ids[i], "the hold "+ids[i]+" is missing in the shared store, or older than it was")
		case f.Version > k.version || f.State != k.state:
			if err := s.takeOver(ctx, f); err != nil {
				return err
			}
		case s.o.Now().Sub(k.confirmed) > phase.Keep:
			gone = append(gone, s.forget(ids[i])...)
		}
	}
	return s.jrn.Set(ctx, gone...)
}

// doubtTime is how long a Confirm that was lost on its way may still arrive.
const doubtTime = time.Minute

// certain notes that a lost Confirm never arrived: nobody was answered.
func (s *HoldStore) certain(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.live[id]; k != nil && k.state == quarantine.Provisional {
		k.maybe = false
	}
}

// alarm says that a hold was lost: not all the time for one that cannot be given back.
func (s *HoldStore) alarm(ctx context.Context, id, why string) {
	s.mu.Lock()
	k := s.live[id]
	again := k == nil || !k.alarm.IsZero() && s.o.Now().Sub(k.alarm) < phase.AlarmEvery
	if !again {
		k.alarm = s.o.Now()
	}
	s.mu.Unlock()
	if !again {
		s.phases.Alarm(ctx, why)
	}
}

func (s *HoldStore) missing(id string, is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.live[id]; k != nil {
		k.missing = is
	}
}

// forget lets go of a hold unless a session has it again.
func (s *HoldStore) forget(id string) []journal.Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.live[id]
	if k == nil || k.state == quarantine.Provisional && (k.owners > 0 || k.maybe) {
		return nil
	}
	delete(s.live, id)
	return []journal.Item{goneItem(id)}
}

// takeOver writes a newer state down, unless this node went on meanwhile.
func (s *HoldStore) takeOver(ctx context.Context, f quarantine.Hold) error {
	defer s.locks.Lock(f.ID)()
	s.mu.Lock()
	k := s.live[f.ID]
	stale := k == nil || k.version > f.Version || k.version == f.Version && k.state == f.State
	s.mu.Unlock()
	if stale {
		return nil
	}
	return s.mirror(ctx, f)
}

// bring gives open holds back that the shared store lost.
func (s *HoldStore) bring(ctx context.Context, ids []string) error {
	known, ids := s.seen(ids)
	if len(ids) == 0 {
		return nil
	}
	found, err := s.Look(ctx, ids)
	if err != nil {
		return err
	}
	var there []quarantine.Hold
	var lost []string
	for i, f := range found {
		k := known[i]
		switch {
		case k.state == quarantine.Provisional && !k.maybe:
			continue
		case f.ID != "" && f.State.Ended():
			s.told(ids[i])
			continue
		case f.ID != "" && f.Version >= k.version && f.State != quarantine.Provisional:
			s.told(ids[i])
			there = append(there, f)
			continue
		}
		lost = append(lost, ids[i])
	}
	if err := phase.Beside(ctx, len(lost), func(i int) string { return message(lost[i]) }, func(i int) error { return s.bringOne(ctx, lost[i]) }); err != nil {
		return err
	}
	if len(there) == 0 {
		return nil
	}
	return s.Enlist(ctx, there)
}

// message is what the holds of one message have in common: they share a body.
func message(id string) string { return id[:max(strings.LastIndexByte(id, '-'), 0)] }

func (s *HoldStore) bringOne(ctx context.Context, id string) error {
	unlock := s.locks.Lock(id)
	n, err := s.read(id)
	unlock()
	if err != nil {
		s.o.Log.Error("a hold that the shared store lost cannot be read in the journal", "hold", id, "error", err)
		return nil
	}
	if n.Hold.State == quarantine.Provisional {
		// Nobody knows whether it was answered for: one too many is better than one too few.
		n.Hold.State = quarantine.Held
		n.Hold.Version++
	}
	now, err := s.Push(ctx, n.Hold, func() (io.ReadCloser, error) { return s.jrn.Body(holdKind, id) })
	if errors.Is(err, journal.ErrCorrupt) || errors.Is(err, journal.ErrNotFound) {
		s.o.Log.Error("a hold that the shared store lost has no whole body in the journal", "hold", id, "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	s.pushed.Add(1)
	s.told(id)
	return s.takeOver(ctx, now)
}
