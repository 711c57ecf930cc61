package holds

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/index"
	"postern/internal/store/redis/holds/record"
	"postern/quarantine"
)

// timed is an entry of an index by time, and the hold it names.
type timed struct {
	member string
	score  int64
	row    row
}

// entriesByTime reads entries up to a time, oldest first, and the holds they name.
func (s *Store) entriesByTime(ctx context.Context, name string, until, skip int64, limit int) ([]timed, error) {
	var found []redis.Z
	err := s.conn.Do(ctx, conn.Background, func(ctx context.Context, r redis.UniversalClient) error {
		var err error
		found, err = r.ZRangeByScoreWithScores(ctx, s.indexKey(name), &redis.ZRangeBy{
			Min: "-inf", Max: strconv.FormatInt(until, 10), Offset: skip, Count: int64(limit)}).Result()
		if wrongType(err) {
			s.say("a key of ours holds what we did not write", "key", s.indexKey(name))
			return nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([]timed, len(found))
	ids := make([]string, len(found))
	for i, z := range found {
		member, _ := z.Member.(string)
		out[i] = timed{member: member, score: int64(z.Score)}
		ids[i] = record.Unpack(member)
	}
	rows, err := s.rows(ctx, ids)
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i].row = rows[i]
	}
	return out, nil
}

// byTime returns up to limit holds of an index by time, oldest first: those that are still due
// there. Entries that are not are taken away, or put where they belong.
func (s *Store) byTime(ctx context.Context, name string, t time.Time, limit int) ([]quarantine.Hold, error) {
	var out []quarantine.Hold
	skip := int64(0)
	for range rounds {
		want := min(max(limit-len(out), 1), round)
		found, err := s.entriesByTime(ctx, name, t.UnixMilli(), skip, want)
		if err != nil {
			return nil, err
		}
		var stale []entry
		for _, e := range found {
			belongs := e.row.good && hasEntry(e.row.hold, index.Entry{Key: name, Member: e.member, Score: e.score})
			switch {
			case belongs && len(out) < limit:
				out = append(out, e.row.hold)
				skip++
			case belongs, e.row.invalid:
				skip++
			default:
				stale = append(stale, entry{name, e.member})
			}
		}
		if err := s.clean(ctx, stale); err != nil {
			return nil, err
		}
		if len(found) < want || len(out) >= limit {
			break
		}
	}
	return out, nil
}

func hasEntry(h quarantine.Hold, want index.Entry) bool {
	for _, e := range index.Entries(h) {
		if e == want {
			return true
		}
	}
	return false
}

// entry is a member of an index that no hold stands behind.
type entry struct{ key, member string }

func (e entry) id() string {
	switch e.key {
	case index.Provisional, index.Due, index.Next, index.Ended:
		return record.Unpack(e.member)
	}
	return index.ID(e.member)
}

// clean takes entries away, and puts back those of holds that came to them meanwhile.
func (s *Store) clean(ctx context.Context, stale []entry) error {
	if len(stale) == 0 {
		return nil
	}
	s.counts.changed()
	if err := s.pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for _, e := range stale {
			p.ZRem(ctx, s.indexKey(e.key), e.member)
		}
	}); err != nil {
		return err
	}
	ids := make([]string, len(stale))
	for i, e := range stale {
		ids[i] = e.id()
	}
	rows, err := s.rows(ctx, ids)
	if err != nil {
		return err
	}
	err = s.pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for i, e := range stale {
			if !rows[i].good {
				continue
			}
			for _, now := range index.Entries(rows[i].hold) {
				if now.Key == e.key && now.Member == e.member {
					s.queueEntries(ctx, p, []index.Entry{now})
				}
			}
		}
	})
	return err
}

// Due implements quarantine.Store.
func (s *Store) Due(ctx context.Context, t time.Time, limit int) ([]quarantine.Hold, error) {
	return s.byTime(ctx, index.Due, t, limit)
}

// Retry implements quarantine.Store.
func (s *Store) Retry(ctx context.Context, t time.Time, limit int) ([]quarantine.Hold, error) {
	return s.byTime(ctx, index.Next, t, limit)
}

// Future implements quarantine.Store.
func (s *Store) Future(ctx context.Context, t time.Time, limit int) ([]quarantine.Hold, error) {
	page, err := s.list(ctx, quarantine.Query{Since: time.UnixMilli(t.UnixMilli() + 1), Limit: limit}, limit)
	return page.Holds, err
}

// Forget implements quarantine.Store.
func (s *Store) Forget(ctx context.Context, t time.Time) (n int, err error) {
	until := t.UnixMilli() - 1
	skip := int64(0)
	for range rounds {
		found, err := s.entriesByTime(ctx, index.Ended, until, skip, round)
		if err != nil {
			return n, err
		}
		var old []row
		var stale []entry
		for _, e := range found {
			switch {
			case e.row.good && e.row.hold.State.Ended() && e.row.hold.Ended != nil && e.row.hold.Ended.At.UnixMilli() <= until:
				old = append(old, e.row)
			case e.row.invalid:
				skip++
			default:
				stale = append(stale, entry{index.Ended, e.member})
			}
		}
		gone, err := s.remove(ctx, old, false)
		n += gone
		skip += int64(len(old) - gone)
		if err == nil {
			err = s.clean(ctx, stale)
		}
		if err != nil || len(found) < round {
			return n, err
		}
	}
	return n, nil
}

func (s *Store) clockKey() string { return s.conn.Key("clock") }

// Clock implements quarantine.Store. A time that we did not write is none.
func (s *Store) Clock(ctx context.Context) (time.Time, error) {
	var text *redis.StringCmd
	err := s.pipe(ctx, conn.Background, func(p redis.Pipeliner) { text = p.Get(ctx, s.clockKey()) })
	if err != nil || errors.Is(text.Err(), redis.Nil) {
		return time.Time{}, err
	}
	t, err := s.scribe.ReadClock(s.clockKey(), []byte(text.Val()))
	if err != nil {
		s.say("how far expiry has come does not verify and is not believed", "error", err)
		return time.Time{}, nil
	}
	return t, nil
}

// SetClock implements quarantine.Store.
func (s *Store) SetClock(ctx context.Context, t time.Time) error {
	err := s.pipe(ctx, conn.Background, func(p redis.Pipeliner) { p.Set(ctx, s.clockKey(), s.scribe.Clock(s.clockKey(), t), 0) })
	return err
}
