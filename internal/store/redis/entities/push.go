package entities

import (
	"context"
	"fmt"
	"hash/maphash"

	"github.com/redis/go-redis/v9"

	"postern/internal/entity"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/entities/ground"
)

// Fate is what the store knows of a record or a blob of some birth.
type Fate = ground.Fate

// Look tells the fates of records, in the order asked.
func (s *Store) Look(ctx context.Context, names []Name) ([]Fate, error) {
	found, err := s.read(ctx, names)
	if err != nil {
		return nil, err
	}
	out := make([]Fate, len(found))
	for i, f := range found {
		out[i] = Fate{Born: f.Born, Version: f.Version, Removed: f.mark, Print: f.print}
	}
	return out, nil
}

// print tells what is stored from all else that could be.
func (s *Store) print(text string) uint64 { return maphash.String(s.seed, text) }

// Unchanged tells of which records just that is stored which had these prints, in the order
// asked: what was verified then needs no reading again. The print 0 is never that of anything.
func (s *Store) Unchanged(ctx context.Context, names []Name, prints []uint64) ([]bool, error) {
	out, cmds := make([]bool, len(names)), make([]*redis.StringCmd, len(names))
	if _, err := s.g.Conn.Each(ctx, conn.Write, func(p redis.Pipeliner) {
		for i, n := range names {
			if prints[i] != 0 {
				cmds[i] = p.Get(ctx, s.recordKey(n.Kind, n.ID))
			}
		}
	}); err != nil {
		return nil, err
	}
	for i, cmd := range cmds {
		out[i] = cmd != nil && cmd.Err() == nil && s.print(cmd.Val()) == prints[i]
	}
	return out, nil
}

// Push writes a record that the store has lost, as it is: where nothing, an older version of
// it, or an older one of its name is stored, and it was not removed. It returns what is stored
// then.
func (s *Store) Push(ctx context.Context, r entity.Record, born int64) (Fate, error) {
	for range ground.Tries {
		old, err := s.Read(ctx, r.Kind, r.ID)
		switch {
		case err != nil:
			return Fate{}, err
		case old.mark == born, old.Born > born, old.Born == born && old.Version >= r.Version:
			return Fate{Born: old.Born, Version: old.Version, Removed: old.mark}, nil
		}
		again, err := s.replace(ctx, old, r, born)
		if err != nil || !again {
			return Fate{Born: born, Version: r.Version, Removed: old.mark}, err
		}
	}
	return Fate{}, fmt.Errorf("%w: %s %s changes all the time", entity.ErrConflict, r.Kind, r.ID)
}

// Entomb makes sure that what was removed stays removed: the record of just this birth is taken
// away, should it be there, and the mark set.
func (s *Store) Entomb(ctx context.Context, n Name, born int64) error {
	for range ground.Tries {
		old, err := s.Read(ctx, n.Kind, n.ID)
		if err != nil {
			return err
		}
		if old.Born == born {
			if again, err := s.end(ctx, old); err != nil || !again {
				return err
			}
			continue
		}
		return s.g.SetMark(ctx, s.markKey(n.Kind, n.ID), name(n.Kind, n.ID), old.mark, born)
	}
	return fmt.Errorf("%w: %s %s changes all the time", entity.ErrConflict, n.Kind, n.ID)
}
