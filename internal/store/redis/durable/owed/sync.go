package owed

import (
	"context"
	"errors"
	"io"
	"time"

	"postern/internal/relay/outbox"
	"postern/internal/store/redis/durable/phase"
	"postern/internal/store/redis/journal"
)

// Lost says that the shared store may have lost something. Ends are brought at once, what is
// still owed after the grace, by Step.
func (s *Store) Lost(ctx context.Context, why string) error {
	s.phases.Lost(ctx, why)
	return s.Step(ctx)
}

// Restoring reports whether nothing is claimed for now.
func (s *Store) Restoring() bool { return s.phases.Restoring() }

// Run calls Step every few seconds until ctx ends.
func (s *Store) Run(ctx context.Context) { phase.Run(ctx, s.o.Log, 2*time.Second, s.Step) }

// Step brings to the shared store what it is time for, and compares a few more entries.
func (s *Store) Step(ctx context.Context) error {
	return s.phases.Step(ctx, phase.Work{
		Ends: s.bringEnds, Live: func() []string { return s.ids(false) }, Waiting: func() []string { return s.ids(true) }, Known: s.known,
		Bring: s.bring, Compare: s.compare, Entomb: s.entomb,
	})
}

// bringEnds brings tombstones.
func (s *Store) bringEnds(ctx context.Context) error {
	_, tombs := s.jrn.IDs(outboxKind)
	return phase.Batches(ctx, tombs, func(ids []string) error { return s.entomb(ctx, ids) })
}

// known are all entries of the journal.
func (s *Store) known() []string {
	living, tombs := s.jrn.IDs(outboxKind)
	return append(living, tombs...)
}

// Refresh looks up what this node still has a copy of; of very many some each time.
func (s *Store) Refresh(ctx context.Context) error {
	return phase.Batches(ctx, phase.Some(s.ids(false)), func(ids []string) error { return s.compare(ctx, ids) })
}

// ids lists the open entries of the journal, or those that the shared store never had.
func (s *Store) ids(unpushed bool) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]string, 0, len(s.live))
	for id, k := range s.live {
		if !unpushed || !k.unpushed.IsZero() {
			out = append(out, id)
		}
	}
	return out
}

// Status counts what this node keeps.
func (s *Store) Status() phase.Status {
	_, tombs := s.jrn.IDs(outboxKind)
	st := phase.Status{Tombstones: len(tombs), Bytes: s.jrn.Stats().Bytes, Pushed: s.pushed.Load()}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Live = len(s.live)
	for _, k := range s.live {
		if !k.unpushed.IsZero() && (st.OldestUnpushed.IsZero() || k.unpushed.Before(st.OldestUnpushed)) {
			st.OldestUnpushed = k.unpushed
		}
	}
	return st
}

// endLease is how long an entry that has ended is claimed to take it away.
const endLease = time.Minute

// entomb takes away from the shared store what has ended here, and marks it. Other IDs are left
// alone.
func (s *Store) entomb(ctx context.Context, ids []string) error {
	var which []string
	for _, id := range ids {
		if e, err := s.jrn.Get(outboxKind, id); err == nil && e.State == journal.Ended {
			which = append(which, id)
		}
	}
	if len(which) == 0 {
		return nil
	}
	done, err := s.marks.Ended(ctx, which)
	if err != nil {
		return err
	}
	var unmarked []string
	for i, id := range which {
		if !done[i] {
			unmarked = append(unmarked, id)
		}
	}
	if len(unmarked) > 0 {
		if err := s.marks.Mark(ctx, unmarked); err != nil {
			return err
		}
	}
	found, err := s.Look(ctx, which)
	if err != nil {
		return err
	}
	for _, f := range found {
		if f.ID == "" {
			continue
		}
		if err := s.takeAway(ctx, f.ID); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) takeAway(ctx context.Context, id string) error {
	e, _, err := s.Outbox.ClaimID(ctx, id, s.o.Now(), endLease)
	if err == nil {
		err = s.Outbox.End(ctx, e)
	}
	if errors.Is(err, outbox.ErrLost) || errors.Is(err, outbox.ErrNotFound) {
		return nil // somebody has it; the scrub comes again
	}
	return err
}

func (s *Store) seen(ids []string) (out []copied, which []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if k := s.live[id]; k != nil {
			out, which = append(out, *k), append(which, id)
		}
	}
	return out, which
}

// look asks the shared store for entries and for the marks of those that it does not have.
func (s *Store) look(ctx context.Context, ids []string) ([]outbox.Entry, []bool, error) {
	found, err := s.Look(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	done, err := s.marks.Ended(ctx, ids)
	return found, done, err
}

// compare takes over how far other nodes came, and notices what the shared store lost.
func (s *Store) compare(ctx context.Context, ids []string) error {
	known, ids := s.seen(ids)
	if len(ids) == 0 {
		return nil
	}
	found, done, err := s.look(ctx, ids)
	if err != nil {
		return err
	}
	for i, f := range found {
		k := known[i]
		switch {
		case done[i]:
			err = s.over(ctx, ids[i])
		case f.ID == "" && !k.body:
			err = s.orphan(ctx, ids[i])
		case f.ID == "" && k.unpushed.IsZero():
			s.miss(ctx, ids[i], k)
		case f.ID != "" && f.Version < k.version:
			err = s.bringOne(ctx, ids[i])
		case f.Version > k.version:
			err = s.takeOver(ctx, f)
		}
		if err != nil {
			return err
		}
		if f.ID != "" {
			s.there(ids[i])
		}
	}
	return nil
}

// over ends an entry here that has ended elsewhere.
func (s *Store) over(ctx context.Context, id string) error {
	defer s.locks.Lock(id)()
	return s.tombstone(ctx, outbox.Entry{ID: id})
}

// orphan lets go of the progress of an entry whose body another node has, once that is long ago.
func (s *Store) orphan(ctx context.Context, id string) error {
	defer s.locks.Lock(id)()
	e, _, err := s.read(id)
	if err != nil || s.o.Now().Before(e.Expires.Add(phase.Keep)) {
		return nil // one that cannot be read is kept
	}
	s.mu.Lock()
	delete(s.live, id)
	s.mu.Unlock()
	return s.jrn.Set(ctx, journal.Item{Kind: outboxKind, ID: id, State: journal.Gone})
}

// miss notes an entry that is not there. An end elsewhere may not have been marked yet: only what
// is missing twice in a row was lost.
func (s *Store) miss(ctx context.Context, id string, k copied) {
	s.mu.Lock()
	now := s.live[id]
	say := now != nil && k.gone && s.o.Now().Sub(now.alarm) >= phase.AlarmEvery
	if now != nil {
		now.gone = true
	}
	if say {
		now.alarm = s.o.Now()
	}
	s.mu.Unlock()
	if say {
		s.phases.Alarm(ctx, "the outbox entry "+id+" is missing in the shared store")
	}
}

// takeOver writes down how far another node came.
func (s *Store) takeOver(ctx context.Context, f outbox.Entry) error {
	defer s.locks.Lock(f.ID)()
	s.mu.Lock()
	k := s.live[f.ID]
	stale := k == nil || k.version >= f.Version
	s.mu.Unlock()
	if stale {
		return nil
	}
	return s.progress(ctx, f)
}

// bring gives entries back that the shared store lost or never had.
func (s *Store) bring(ctx context.Context, ids []string) error {
	known, ids := s.seen(ids)
	if len(ids) == 0 {
		return nil
	}
	found, done, err := s.look(ctx, ids)
	if err != nil {
		return err
	}
	return phase.Beside(ctx, len(found), func(i int) string { return ids[i] }, func(i int) error {
		switch f := found[i]; {
		case done[i]:
			return s.over(ctx, ids[i])
		case f.ID != "" && f.Version >= known[i].version:
			s.there(ids[i])
		case f.ID == "" && !known[i].body: // the node that has the body brings it first
		default:
			return s.bringOne(ctx, ids[i])
		}
		return nil
	})
}

// bringOne gives one entry back. One that the shared store had before may have been sent since
// this node heard of it last.
func (s *Store) bringOne(ctx context.Context, id string) error {
	defer s.locks.Lock(id)()
	e, body, err := s.read(id)
	if err != nil {
		s.o.Log.Error("an outbox entry that the shared store lost cannot be read in the journal", "entry", id, "error", err)
		return nil
	}
	s.mu.Lock()
	k := s.live[id]
	fresh := k != nil && !k.unpushed.IsZero()
	s.mu.Unlock()
	e.Ambiguous = e.Ambiguous || !fresh
	open := func() (io.ReadCloser, error) { return s.jrn.Body(outboxKind, id) }
	if !body {
		open = func() (io.ReadCloser, error) { return s.far(ctx, id) }
	}
	err = s.Push(ctx, e, open)
	if errors.Is(err, journal.ErrCorrupt) || errors.Is(err, journal.ErrNotFound) {
		s.o.Log.Error("an outbox entry that the shared store lost has no whole body in the journal", "entry", id, "error", err)
		return nil
	}
	if err == nil {
		s.pushed.Add(1)
		s.there(id)
	}
	return err
}

// far reads the body that the shared store has, to write the entry anew beside it.
func (s *Store) far(ctx context.Context, id string) (io.ReadCloser, error) {
	b, err := s.Body(ctx, id)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(b, 0, b.Size()), b}, nil
}
