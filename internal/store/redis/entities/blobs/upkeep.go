package blobs

import (
	"context"
	"fmt"
	"strings"

	"postern/internal/entity"
	"postern/internal/store/redis/entities/ground"
)

// CountBlobs is how many blobs a class has.
func (s *Store) CountBlobs(ctx context.Context, class entity.Class) (int64, error) {
	n, _, err := s.g.Tally(ctx, s.usedKey(class))
	return n, err
}

// EntombBlob is Entomb of a blob.
func (s *Store) EntombBlob(ctx context.Context, class entity.Class, sum string, at int64) error {
	for range ground.Tries {
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
		return s.g.SetMark(ctx, s.blobMarkKey(class, sum), blobName(class, sum), found[0].mark, at)
	}
	return fmt.Errorf("%w: blob %s changes all the time", entity.ErrConflict, sum)
}

// BlobFate tells what became of blobs of a class, in the order asked.
func (s *Store) BlobFate(ctx context.Context, class entity.Class, sums []string) ([]ground.Fate, error) {
	found, err := s.ReadBlobs(ctx, class, sums)
	if err != nil {
		return nil, err
	}
	out := make([]ground.Fate, len(found))
	for i, b := range found {
		out[i] = ground.Fate{Born: b.At, Removed: b.mark}
	}
	return out, nil
}

// Recount lists and counts all blobs anew.
func (s *Store) Recount(ctx context.Context) (blobs int, err error) {
	for _, class := range entity.Classes() {
		n, err := s.recount(ctx, class)
		if err != nil {
			return blobs, err
		}
		blobs += n
	}
	return blobs, nil
}

func (s *Store) recount(ctx context.Context, class entity.Class) (int, error) {
	n, bytes := int64(0), int64(0)
	err := s.g.Scan(ctx, s.g.Conn.Key("{eb:"+string(class)+":*}", "m"), func(keys []string) error {
		var sums []string
		for _, key := range keys {
			sum := strings.TrimSuffix(strings.TrimPrefix(key, s.g.Conn.Key("{eb:"+string(class)+":")), "}:m")
			if validSum(sum) {
				sums = append(sums, sum)
			}
		}
		found, err := s.ReadBlobs(ctx, class, sums)
		for i, b := range found {
			if b.At != 0 {
				n++
				bytes += b.Stored
				err = s.list(ctx, class, sums[i], b.At)
			}
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return int(n), s.g.Count(ctx, s.usedKey(class), n, bytes)
}
