package blobs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/entity"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/entities/ground"
)

// list makes sure that a blob is among those by time.
func (s *Store) list(ctx context.Context, class entity.Class, sum string, at int64) error {
	_, err := s.g.Conn.Each(ctx, conn.Write, func(p redis.Pipeliner) {
		p.ZAdd(ctx, s.timesKey(class), redis.Z{Score: float64(at), Member: sum})
	})
	return err
}

// unlist takes blobs from those by time, unless they are there again by now.
func (s *Store) unlist(ctx context.Context, class entity.Class, sums []string) error {
	if _, err := s.g.Conn.Each(ctx, conn.Write, func(p redis.Pipeliner) {
		for _, sum := range sums {
			p.ZRem(ctx, s.timesKey(class), sum)
		}
	}); err != nil {
		return err
	}
	found, err := s.ReadBlobs(ctx, class, sums)
	if err != nil {
		return err
	}
	for i, b := range found {
		if b.At != 0 {
			err = errors.Join(err, s.list(ctx, class, sums[i], b.At))
		}
	}
	return err
}

// BlobTime is since when a class has a blob, or ErrNotFound.
func (s *Store) BlobTime(ctx context.Context, class entity.Class, sum string) (time.Time, error) {
	found, err := s.ReadBlobs(ctx, class, []string{sum})
	if err == nil && found[0].At == 0 {
		err = fmt.Errorf("%w: blob %.64q of class %s", entity.ErrNotFound, sum, class)
	}
	if err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(found[0].At), nil
}

// BlobsBefore implements entity.Blobs.
func (s *Store) BlobsBefore(ctx context.Context, class entity.Class, t time.Time, limit int) (out []string, err error) {
	if err := class.Validate(); err != nil {
		return nil, err
	}
	for skip := int64(0); len(out) < limit; {
		var page *redis.StringSliceCmd
		if _, err := s.g.Conn.Each(ctx, conn.Write, func(p redis.Pipeliner) {
			page = p.ZRangeByScore(ctx, s.timesKey(class), &redis.ZRangeBy{Min: "-inf", Max: "(" + strconv.FormatInt(t.UnixMilli(), 10), Offset: skip, Count: ground.Look})
		}); err != nil {
			return nil, err
		}
		sums := page.Val()
		if len(sums) == 0 {
			break
		}
		found, err := s.ReadBlobs(ctx, class, sums)
		if err != nil {
			return nil, err
		}
		var stale []string
		for i, b := range found {
			switch {
			case b.At == 0 || b.At >= t.UnixMilli():
				stale = append(stale, sums[i])
			case len(out) < limit:
				out = append(out, sums[i])
				skip++
			}
		}
		if err := s.unlist(ctx, class, stale); err != nil {
			return nil, err
		}
	}
	return out, ctx.Err()
}
