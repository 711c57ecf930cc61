package holds

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/ground"
	"postern/quarantine"
)

// Change implements quarantine.Store. The entries of the new state are written before it, so
// that a release that was begun is found again whatever happens next.
func (s *Store) Change(ctx context.Context, h quarantine.Hold) (quarantine.Hold, error) {
	found, err := s.g.Row(ctx, h.ID)
	if err != nil {
		return quarantine.Hold{}, err
	}
	for range ground.Tries {
		now := found.Hold
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
		state, err := s.g.Scribe.State(now, []byte(found.State))
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
		if found, err = s.g.Row(ctx, h.ID); err != nil {
			return quarantine.Hold{}, err
		}
		if found.State == string(state) { // it was ours: the client sent it twice
			return now, s.g.Relist(ctx, found.Hold, now)
		}
	}
	return quarantine.Hold{}, fmt.Errorf("hold %s: %w", h.ID, errContended)
}

// change takes a hold from one state to another; again is true when it was not in that state
// any more.
func (s *Store) change(ctx context.Context, from ground.Row, now quarantine.Hold, state []byte) (again bool, err error) {
	defer s.g.Counts.Changed()
	if err := s.g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) { s.g.QueueIndex(ctx, p, now) }); err != nil {
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
		s.g.Counts.Add(ref.Family, -1, -ref.Stored)
	}
	return false, s.g.Relist(ctx, from.Hold, now)
}

// swapState writes a state over the one that was read; at an end gone says whether the body
// went with it.
func (s *Store) swapState(ctx context.Context, from ground.Row, now quarantine.Hold, state []byte) (ref ground.Reference, gone bool, err error) {
	keys := []string{s.g.HoldKey(from.ID)}
	if now.State.Ended() {
		if r, ok := ground.ParseReference(from.Body, from.Hold); ok {
			ref = r
			keys = append(keys, s.g.BodyKeys(from.ID.Message, ref)...)
		}
	}
	var done *redis.Cmd
	err = s.g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		done = change.Run(ctx, p, keys, from.State, state, ground.Flag(now.State.Ended()), from.Body, ref.Gen)
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
