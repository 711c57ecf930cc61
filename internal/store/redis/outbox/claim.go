package outbox

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	relayoutbox "postern/internal/relay/outbox"
	"postern/internal/store/redis/conn"
)

// How much of the index one Claim looks at.
const (
	page  = 16
	pages = 64
)

// Claim implements outbox.Store. The oldest is tried first; who loses it to another node takes
// any of the next few, so that nodes that claim at once spread out. An entry that does not verify
// is passed over.
func (s *Store) Claim(ctx context.Context, now time.Time, lease time.Duration) (relayoutbox.Entry, bool, bool, error) {
	if err := s.relist(ctx); err != nil {
		return relayoutbox.Entry{}, false, false, err
	}
	for n := range pages {
		ids, err := s.dueIDs(ctx, now, n*page)
		if err != nil || len(ids) == 0 {
			return relayoutbox.Entry{}, false, false, err
		}
		ready, err := s.ready(ctx, ids, now)
		if err != nil {
			return relayoutbox.Entry{}, false, false, err
		}
		for i := 0; len(ready) > 0; i = nextOf(len(ready)) {
			e, err := s.take(ctx, ready[i], now, lease)
			if err == nil {
				return e, ready[i].crashed, true, nil
			}
			if !errors.Is(err, relayoutbox.ErrLost) {
				return relayoutbox.Entry{}, false, false, err
			}
			ready = slices.Delete(ready, i, i+1)
		}
	}
	return relayoutbox.Entry{}, false, false, nil
}

func (s *Store) dueIDs(ctx context.Context, now time.Time, offset int) (ids []string, err error) {
	err = s.Conn.Do(ctx, conn.Background, func(ctx context.Context, r redis.UniversalClient) error {
		ids, err = r.ZRangeByScore(ctx, s.dueKey(), &redis.ZRangeBy{Min: "-inf", Max: score(now), Offset: int64(offset), Count: page}).Result()
		return err
	})
	return ids, err
}

// ready are the entries that can be claimed, oldest first. Where the index says something else
// than the entry it is put right.
func (s *Store) ready(ctx context.Context, ids []string, now time.Time) ([]stored, error) {
	found, err := s.read(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := found[:0]
	for _, st := range found {
		switch {
		case st.ok && st.due() <= now.UnixMilli():
			out = append(out, st)
		case st.ok:
			s.move(ctx, st.id, st.due())
		case !st.there:
			s.unlist(ctx, st.id)
		}
	}
	slices.SortFunc(out, func(a, b stored) int {
		if c := a.entry.Next.Compare(b.entry.Next); c != 0 {
			return c
		}
		return strings.Compare(a.id, b.id)
	})
	return out, nil
}

// take claims an entry as it was read; ErrLost when it changed since or somebody has it.
func (s *Store) take(ctx context.Context, st stored, now time.Time, lease time.Duration) (relayoutbox.Entry, error) {
	version, err := s.change(ctx, claim, st, now.UnixMilli(), lease.Milliseconds(), s.shared(), s.self, crand.Text())
	if err != nil {
		return relayoutbox.Entry{}, err
	}
	s.move(ctx, st.id, max(st.entry.Next.UnixMilli(), now.Add(lease).UnixMilli()))
	e := st.entry
	e.Version = version
	return e, nil
}

// ClaimID implements outbox.Store.
func (s *Store) ClaimID(ctx context.Context, id string, now time.Time, lease time.Duration) (relayoutbox.Entry, bool, error) {
	for n := 0; ; n++ {
		st, err := s.get(ctx, id)
		if err != nil {
			return relayoutbox.Entry{}, false, err
		}
		e, err := s.take(ctx, st, now, lease)
		if err == nil {
			return e, st.crashed, nil
		}
		if !errors.Is(err, relayoutbox.ErrLost) || st.lease > now.UnixMilli() || n == tries {
			return relayoutbox.Entry{}, false, err
		}
	}
}

// change runs a script on an entry if it still has the version that was read.
func (s *Store) change(ctx context.Context, script conn.Script, st stored, args ...any) (int64, error) {
	return s.run(ctx, script, st.id, []string{s.entity(st.id)}, append([]any{st.version}, args...)...)
}

// run runs a script on the keys of an entry. A refusal is ErrLost.
func (s *Store) run(ctx context.Context, script conn.Script, id string, keys []string, args ...any) (answer int64, err error) {
	err = s.Conn.Do(ctx, conn.Background, func(ctx context.Context, r redis.UniversalClient) error {
		answer, err = script.Run(ctx, r, keys, args...).Int64()
		return err
	})
	if conn.Refused(err) != "" {
		err = fmt.Errorf("%w: %s", relayoutbox.ErrLost, id)
	}
	return answer, err
}

// Due implements outbox.Store. Entries that do not verify are never due.
func (s *Store) Due(ctx context.Context) (next time.Time, ok bool, err error) {
	var first []redis.Z
	for n := int64(0); n < pages; n++ {
		err = s.Conn.Do(ctx, conn.Background, func(ctx context.Context, r redis.UniversalClient) error {
			first, err = r.ZRangeWithScores(ctx, s.dueKey(), n*page, n*page+page-1).Result()
			return err
		})
		if err != nil || len(first) == 0 {
			return time.Time{}, false, err
		}
		for _, z := range first {
			if id, isText := z.Member.(string); isText && !s.isBad(id) {
				return time.UnixMilli(int64(z.Score)).UTC(), true, nil
			}
		}
	}
	return time.Time{}, false, nil
}

// nextOf is any of n.
func nextOf(n int) int { return rand.IntN(max(n, 1)) }
