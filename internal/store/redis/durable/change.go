package durable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"postern/internal/store/redis/durable/phase"
	"postern/internal/store/redis/journal"
	"postern/quarantine"
)

// Change implements quarantine.Store. The shared store decides; the journal then has it too: an
// end as a tombstone, on the node that made it, whoever's hold it was.
func (s *HoldStore) Change(ctx context.Context, h quarantine.Hold) (quarantine.Hold, error) {
	if h.State == quarantine.Releasing {
		if err := s.phases.Sure(ctx); err != nil {
			return quarantine.Hold{}, fmt.Errorf("hold %s: %w", h.ID, err)
		}
	}
	defer s.locks.Lock(h.ID)()
	if h.State == quarantine.Releasing {
		if err := s.behind(ctx, h); err != nil {
			return quarantine.Hold{}, err
		}
	}
	now, err := s.Holds.Change(ctx, h)
	wide := context.WithoutCancel(ctx)
	if err != nil {
		if h.State != quarantine.Released || !s.releasing(h) || errors.Is(err, quarantine.ErrEnded) {
			return now, err
		}
		return s.happened(wide, h, err)
	}
	if err := s.mirror(wide, now); err != nil {
		return quarantine.Hold{}, phase.Sorted(err)
	}
	return now, nil
}

// behind refuses the release of a hold of which this node knows more than the shared store said:
// it has ended, or somebody has it on its way out.
func (s *HoldStore) behind(ctx context.Context, h quarantine.Hold) error {
	if e, err := s.jrn.Get(holdKind, h.ID); err == nil && e.State == journal.Ended {
		err := fmt.Errorf("%w: %s, as this node remembers", quarantine.ErrEnded, h.ID)
		return errors.Join(err, s.entomb(ctx, []string{h.ID}))
	}
	s.mu.Lock()
	k, known := s.live[h.ID], int64(0)
	if k != nil {
		known = k.version
	} else if c, ok := s.claims[h.ID]; ok {
		known = c.Version
	}
	s.mu.Unlock()
	if known <= h.Version {
		return nil
	}
	return fmt.Errorf("%w: %s has version %d here", quarantine.ErrConflict, h.ID, known)
}

// vouch makes the journal stand for a hold that another node put and that is about to be answered
// for here: that node may be gone, with a journal that takes it for provisional.
func (s *HoldStore) vouch(ctx context.Context, h quarantine.Hold) error {
	s.mu.Lock()
	known := s.live[h.ID] != nil
	s.mu.Unlock()
	if known || !h.State.Open() {
		return nil
	}
	r, err := s.Body(ctx, h.ID)
	if err != nil {
		return err
	}
	defer r.Close()
	n := note{Hold: h, Confirmed: s.o.Now()}
	it, err := liveItem(n)
	if err == nil {
		err = s.jrn.Put(ctx, it, h.SHA256, r)
	}
	if errors.Is(err, journal.ErrExists) {
		return nil // it has ended here, or another session is at it
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live[h.ID] = &kept{version: h.Version, state: h.State, confirmed: n.Confirmed}
	return nil
}

// onlyEnded reports whether nothing went wrong but that entries have ended.
func onlyEnded(err error) bool {
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range all.Unwrap() {
			if !onlyEnded(err) {
				return false
			}
		}
		return true
	}
	return errors.Is(err, journal.ErrEnded)
}

// releasing reports whether this node has the hold on its way out, as h says.
func (s *HoldStore) releasing(h quarantine.Hold) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.claims[h.ID]; ok {
		return c.Version == h.Version
	}
	k := s.live[h.ID]
	return k != nil && k.state == quarantine.Releasing && k.version == h.Version
}

// happened keeps a release that the shared store could not be told of, or knows nothing of any
// more: the server behind has the mail, whatever the store says.
func (s *HoldStore) happened(ctx context.Context, h quarantine.Hold, cause error) (quarantine.Hold, error) {
	h.Version++
	found, err := s.Look(ctx, []string{h.ID})
	if err == nil && found[0].Version >= h.Version {
		return quarantine.Hold{}, cause // somebody else changed it since
	}
	if err := s.mirror(ctx, h); err != nil {
		return quarantine.Hold{}, errors.Join(cause, phase.Sorted(err))
	}
	if err != nil {
		return quarantine.Hold{}, cause
	}
	if now, err := s.end(ctx, h, found[0]); err == nil && now.State.Ended() {
		return now, nil
	}
	return quarantine.Hold{}, cause
}

// mirror writes what the shared store has now into the journal. The caller holds the lock of the
// hold.
func (s *HoldStore) mirror(ctx context.Context, now quarantine.Hold) error {
	s.mu.Lock()
	k := s.live[now.ID]
	if k == nil && !now.State.Ended() {
		if now.State == quarantine.Releasing {
			s.claims[now.ID] = now
		} else {
			delete(s.claims, now.ID)
		}
		s.mu.Unlock()
		return nil
	}
	var confirmed time.Time
	if k != nil {
		confirmed = k.confirmed
	}
	s.mu.Unlock()
	if confirmed.IsZero() && now.State != quarantine.Provisional {
		confirmed = s.o.Now()
	}
	it, err := liveItem(note{Hold: now, Confirmed: confirmed})
	if err != nil {
		return err
	}
	if now.State.Ended() {
		it.State, it.Until = journal.Ended, s.o.Now().Add(quarantine.KeyKept)
	}
	err = s.jrn.Set(ctx, it)
	if errors.Is(err, journal.ErrEnded) {
		return nil // it has ended here: that is brought to the store, not the reverse
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case now.State.Ended():
		if err == nil {
			delete(s.live, now.ID)
		}
		delete(s.claims, now.ID)
	case err == nil:
		*k = kept{version: now.Version, state: now.State, confirmed: confirmed, owners: k.owners, alarm: k.alarm, alone: k.alone}
	}
	return err
}

// end brings an end to the shared store, which has f instead.
func (s *HoldStore) end(ctx context.Context, h, f quarantine.Hold) (quarantine.Hold, error) {
	for range 3 {
		if f.State.Ended() {
			return f, nil
		}
		h.Version = max(h.Version, f.Version+1)
		now, err := s.Push(ctx, h, without)
		if err != nil {
			return now, err
		}
		s.pushed.Add(1)
		f = now
	}
	return f, fmt.Errorf("%w: %s changes all the time", quarantine.ErrConflict, h.ID)
}

func unmarshal(record []byte) (n note, err error) {
	err = json.Unmarshal(record, &n)
	return n, err
}
