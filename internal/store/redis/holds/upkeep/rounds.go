package upkeep

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/ground"
	"postern/internal/store/redis/holds/index"
	"postern/quarantine"
)

const (
	// round is how many entries one round looks at.
	round = 500
	// rounds bounds the rounds of one call.
	rounds = 200
	// grace is how long a hold that was confirmed may stand among the provisional ones before
	// it is looked after: a confirmation takes no longer.
	grace = time.Minute
)

// DropBefore implements quarantine.Store. It also looks after holds whose confirmation was cut
// short before all indexes had them.
func (s Keeper) DropBefore(ctx context.Context, t time.Time) (n int, err error) {
	until := t.UnixMilli() - 1
	late := max(until, s.g.Now().Add(-grace).UnixMilli())
	skip := int64(0)
	for range rounds {
		found, err := s.g.EntriesByTime(ctx, index.Provisional, late, skip, round)
		if err != nil {
			return n, err
		}
		var old, settled []ground.Row
		for _, e := range found {
			switch {
			case e.Row.Good && e.Row.Hold.State == quarantine.Provisional:
				if e.Row.Hold.At.UnixMilli() <= until {
					old = append(old, e.Row)
				} else {
					skip++
				}
			case e.Row.Invalid:
				skip++
			default:
				settled = append(settled, e.Row)
			}
		}
		gone, err := s.g.Remove(ctx, old, false)
		n += gone
		skip += int64(len(old) - gone)
		if err == nil {
			err = s.settle(ctx, settled, found)
		}
		if err != nil || len(found) < round {
			return n, err
		}
	}
	return n, nil
}

// settle makes sure that confirmed holds stand in every index, then gives up the notes that
// reminded of them, and of those that are gone.
func (s Keeper) settle(ctx context.Context, settled []ground.Row, found []ground.Timed) error {
	if len(settled) == 0 {
		return nil
	}
	if err := s.g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for _, r := range settled {
			if r.Good {
				s.g.QueueIndex(ctx, p, r.Hold)
			}
		}
	}); err != nil {
		return err
	}
	err := s.g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for _, e := range found {
			if !e.Row.Invalid && (!e.Row.Good || e.Row.Hold.State != quarantine.Provisional) {
				p.ZRem(ctx, s.g.IndexKey(index.Provisional), e.Member)
			}
		}
	})
	return err
}

// Forget implements quarantine.Store.
func (s Keeper) Forget(ctx context.Context, t time.Time) (n int, err error) {
	until := t.UnixMilli() - 1
	skip := int64(0)
	for range rounds {
		found, err := s.g.EntriesByTime(ctx, index.Ended, until, skip, round)
		if err != nil {
			return n, err
		}
		var old []ground.Row
		var stale []ground.Entry
		for _, e := range found {
			switch {
			case e.Row.Good && e.Row.Hold.State.Ended() && e.Row.Hold.Ended != nil && e.Row.Hold.Ended.At.UnixMilli() <= until:
				old = append(old, e.Row)
			case e.Row.Invalid:
				skip++
			default:
				stale = append(stale, ground.Entry{Key: index.Ended, Member: e.Member})
			}
		}
		gone, err := s.g.Remove(ctx, old, false)
		n += gone
		skip += int64(len(old) - gone)
		if err == nil {
			err = s.g.Clean(ctx, stale)
		}
		if err != nil || len(found) < round {
			return n, err
		}
	}
	return n, nil
}
