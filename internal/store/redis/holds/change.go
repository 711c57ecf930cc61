package holds

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/index"
	"postern/quarantine"
)

// Change implements quarantine.Store. The entries of the new state are written before it, so
// that a release that was begun is found again whatever happens next.
func (s *Store) Change(ctx context.Context, h quarantine.Hold) (quarantine.Hold, error) {
	found, err := s.row(ctx, h.ID)
	if err != nil {
		return quarantine.Hold{}, err
	}
	for range tries {
		now := found.hold
		switch {
		case now.State.Ended():
			return quarantine.Hold{}, fmt.Errorf("%w: %s is %s", quarantine.ErrEnded, h.ID, now.State)
		case now.Version != h.Version:
			return quarantine.Hold{}, fmt.Errorf("%w: %s", quarantine.ErrConflict, h.ID)
		case !h.State.Open() && !h.State.Ended():
			return quarantine.Hold{}, fmt.Errorf("a hold cannot become %q", h.State)
		}
		now.State, now.Release, now.Ended, now.Expires = h.State, h.Release, h.Ended, h.Expires
		now.Version++
		state, err := s.scribe.State(now, []byte(found.state))
		if err != nil {
			return quarantine.Hold{}, err
		}
		again, err := s.change(ctx, found, now, state)
		if err != nil {
			return quarantine.Hold{}, err
		}
		if !again {
			return now, nil
		}
		if found, err = s.row(ctx, h.ID); err != nil {
			return quarantine.Hold{}, err
		}
		if found.state == string(state) { // it was ours: the client sent it twice
			return now, s.relist(ctx, found.hold, now)
		}
	}
	return quarantine.Hold{}, fmt.Errorf("hold %s: %w", h.ID, errContended)
}

// change takes a hold from one state to another; again is true when it was not in that state
// any more.
func (s *Store) change(ctx context.Context, from row, now quarantine.Hold, state []byte) (again bool, err error) {
	defer s.counts.changed()
	if err := s.pipe(ctx, conn.Write, func(p redis.Pipeliner) { s.queueIndex(ctx, p, now) }); err != nil {
		return false, err
	}
	ref, gone, err := s.swapState(ctx, from, now, state)
	if conn.Refused(err) != "" {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if gone {
		s.counts.add(ref.family, -1, -ref.stored)
	}
	return false, s.relist(ctx, from.hold, now)
}

// swapState writes a state over the one that was read; at an end gone says whether the body
// went with it.
func (s *Store) swapState(ctx context.Context, from row, now quarantine.Hold, state []byte) (ref reference, gone bool, err error) {
	keys := []string{s.holdKey(from.id)}
	if now.State.Ended() {
		if r, ok := parseReference(from.body, from.hold); ok {
			ref = r
			keys = append(keys, s.bodyKeys(from.id.Message, ref)...)
		}
	}
	var done *redis.Cmd
	err = s.pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		done = change.Run(ctx, p, keys, from.state, state, flag(now.State.Ended()), from.body, ref.gen)
	})
	if err == nil {
		err = done.Err()
	}
	if err != nil {
		return ref, false, err
	}
	n, err := done.Int()
	return ref, n == 1, err
}

// relist moves a hold that changed between indexes, and again when others changed it meanwhile:
// the last to look leaves them as the hold is. Its own entries are written once more too: who met
// them before the change took them for stale.
func (s *Store) relist(ctx context.Context, from, now quarantine.Hold) error {
	for range tries {
		if err := s.pipe(ctx, conn.Write, func(p redis.Pipeliner) {
			s.queueIndex(ctx, p, now)
			for _, e := range index.Gone(from, now) {
				p.ZRem(ctx, s.indexKey(e.Key), e.Member)
			}
		}); err != nil {
			return s.unlisted(now, err)
		}
		found, err := s.rows(ctx, []string{now.ID})
		if err != nil {
			return s.unlisted(now, err)
		}
		if r := found[0]; !r.good || r.hold.Version <= now.Version {
			return nil
		}
		from, now = now, found[0].hold
	}
	return nil
}

// unlisted says that the indexes did not follow. What was changed is changed: they are put
// right when they are read.
func (s *Store) unlisted(h quarantine.Hold, err error) error {
	s.log.Warn("a hold has changed and its indexes may not have", "hold", h.ID, "error", err)
	return nil
}
