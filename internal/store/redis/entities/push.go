package entities

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"postern/internal/entity"
	"postern/internal/store/redis/conn"
)

// Fate is what the store knows of a record or a blob of some birth.
type Fate struct {
	Born    int64 // of what is there; 0 = nothing is
	Version uint64
	Removed int64 // birth of what was removed last
}

// Look tells the fates of records, in the order asked.
func (s *Store) Look(ctx context.Context, names []Name) ([]Fate, error) {
	found, err := s.read(ctx, names)
	if err != nil {
		return nil, err
	}
	out := make([]Fate, len(found))
	for i, f := range found {
		out[i] = Fate{f.Born, f.Version, f.mark}
	}
	return out, nil
}

// Push writes a record that the store has lost, as it is: where nothing, an older version of
// it, or an older one of its name is stored, and it was not removed. It returns what is stored
// then.
func (s *Store) Push(ctx context.Context, r entity.Record, born int64) (Fate, error) {
	for range tries {
		old, err := s.Read(ctx, r.Kind, r.ID)
		switch {
		case err != nil:
			return Fate{}, err
		case old.mark == born, old.Born > born, old.Born == born && old.Version >= r.Version:
			return Fate{old.Born, old.Version, old.mark}, nil
		}
		again, err := s.replace(ctx, old, r, born)
		if err != nil || !again {
			return Fate{born, r.Version, old.mark}, err
		}
	}
	return Fate{}, fmt.Errorf("%w: %s %s changes all the time", entity.ErrConflict, r.Kind, r.ID)
}

// Entomb makes sure that what was removed stays removed: the record of just this birth is taken
// away, should it be there, and the mark set.
func (s *Store) Entomb(ctx context.Context, n Name, born int64) error {
	for range tries {
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
		return s.setMark(ctx, s.markKey(n.Kind, n.ID), name(n.Kind, n.ID), old.mark, born)
	}
	return fmt.Errorf("%w: %s %s changes all the time", entity.ErrConflict, n.Kind, n.ID)
}

// EntombBlob is Entomb of a blob.
func (s *Store) EntombBlob(ctx context.Context, class entity.Class, sum string, at int64) error {
	for range tries {
		found, err := s.ReadBlobs(ctx, class, []string{sum})
		if err != nil {
			return err
		}
		if found[0].At == at {
			if again, err := s.endBlob(ctx, class, sum, found[0]); err != nil || !again {
				return err
			}
			continue
		}
		return s.setMark(ctx, s.blobMarkKey(class, sum), blobName(class, sum), found[0].mark, at)
	}
	return fmt.Errorf("%w: blob %s changes all the time", entity.ErrConflict, sum)
}

// setMark writes a mark over an older one.
func (s *Store) setMark(ctx context.Context, key, of string, old, born int64) error {
	if old >= born {
		return nil
	}
	_, err := s.o.Conn.Each(ctx, conn.Write, func(p redis.Pipeliner) { p.Set(ctx, key, s.codec.mark(of, born), Marked) })
	return err
}

// BlobFate tells what became of blobs of a class, in the order asked.
func (s *Store) BlobFate(ctx context.Context, class entity.Class, sums []string) ([]Fate, error) {
	found, err := s.ReadBlobs(ctx, class, sums)
	if err != nil {
		return nil, err
	}
	out := make([]Fate, len(found))
	for i, b := range found {
		out[i] = Fate{Born: b.At, Removed: b.mark}
	}
	return out, nil
}
