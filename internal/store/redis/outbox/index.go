package outbox

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	relayoutbox "postern/internal/relay/outbox"
	"postern/internal/store/redis/conn"
)

// The indexes stand in one slot: when entries are due, their IDs in order, their sizes.
func (s *Store) dueKey() string  { return s.Conn.Key("{ix:o}", "due") }
func (s *Store) idsKey() string  { return s.Conn.Key("{ix:o}", "ids") }
func (s *Store) sizeKey() string { return s.Conn.Key("{ix:o}", "size") }

// sum is the field of the sizes that is the sum of the others.
const sum = "*"

func score(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

func (s *Store) enlist(ctx context.Context, id, due string, size int64) error {
	_, err := s.run(ctx, enlist, id, []string{s.dueKey(), s.idsKey(), s.sizeKey()}, id, due, size)
	return err
}

// maxUnlisted bounds what is remembered for the next Claim; Reindex finds the rest.
const maxUnlisted = 10_000

// list writes the indexes of an entry that is written. When that fails it is done again at the
// next Claim: the entry itself is safe.
func (s *Store) list(ctx context.Context, id string, next time.Time, size int64) {
	if err := s.enlist(ctx, id, score(next), size); err != nil {
		s.listLater(id)
	}
}

// listLater has the next Claim write the indexes of an entry, if it is there.
func (s *Store) listLater(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.unlisted) < maxUnlisted {
		s.unlisted[id] = true
	}
}

// relist writes the indexes that could not be written before.
func (s *Store) relist(ctx context.Context) error {
	s.mu.Lock()
	var ids []string
	for id := range s.unlisted {
		if ids = append(ids, id); len(ids) == page {
			break
		}
	}
	s.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	if err := s.mend(ctx, ids); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.unlisted, id)
	}
	return nil
}

// mend writes the indexes of entries anew.
func (s *Store) mend(ctx context.Context, ids []string) error {
	found, err := s.read(ctx, ids)
	if err != nil {
		return err
	}
	for _, st := range found {
		if !st.ok {
			continue
		}
		if err := s.enlist(ctx, st.id, strconv.FormatInt(st.due(), 10), st.size); err != nil {
			return err
		}
	}
	return nil
}

// move says in the index when an entry is due. What fails here Claim puts right when it comes
// across the entry.
func (s *Store) move(ctx context.Context, id string, ms int64) {
	_ = s.Conn.Do(ctx, conn.Background, func(ctx context.Context, r redis.UniversalClient) error {
		return r.ZAddXX(ctx, s.dueKey(), redis.Z{Score: float64(ms), Member: id}).Err()
	})
}

// unlist takes an entry that is gone out of the indexes. One that was written again meanwhile is
// put back: it is there before its writer lists it, so one of the two sees it.
func (s *Store) unlist(ctx context.Context, id string) {
	if err := s.enlist(ctx, id, "", 0); err == nil {
		_ = s.mend(ctx, []string{id})
	}
}

// List implements outbox.Store. Entries that do not verify are left out.
func (s *Store) List(ctx context.Context, after string, limit int) ([]relayoutbox.Entry, error) {
	var out []relayoutbox.Entry
	for len(out) < limit {
		ids, err := s.idsAfter(ctx, after, min(limit, 256))
		if err != nil || len(ids) == 0 {
			return out, err
		}
		found, err := s.read(ctx, ids)
		if err != nil {
			return nil, err
		}
		for _, st := range found {
			if st.ok {
				out = append(out, st.entry)
			}
		}
		after = ids[len(ids)-1]
	}
	return out[:max(limit, 0)], nil
}

func (s *Store) idsAfter(ctx context.Context, after string, n int) (ids []string, err error) {
	from := "-"
	if after != "" {
		from = "(" + after
	}
	err = s.Conn.Do(ctx, conn.Background, func(ctx context.Context, r redis.UniversalClient) error {
		ids, err = r.ZRangeByLex(ctx, s.idsKey(), &redis.ZRangeBy{Min: from, Max: "+", Count: int64(n)}).Result()
		return err
	})
	return ids, err
}

// each calls f with all entries that the index knows, page by page.
func (s *Store) each(ctx context.Context, f func([]stored) error) error {
	for after := ""; ; {
		ids, err := s.idsAfter(ctx, after, 256)
		if err != nil || len(ids) == 0 {
			return err
		}
		found, err := s.read(ctx, ids)
		if err != nil {
			return err
		}
		if err := f(found); err != nil {
			return err
		}
		after = ids[len(ids)-1]
	}
}

// Count is the number of entries, also of those that do not verify.
func (s *Store) Count(ctx context.Context) (int, error) {
	n, _, err := s.Estimate(ctx)
	return n, err
}

// Estimate is how many entries there are and the bytes that they and their bodies take.
func (s *Store) Estimate(ctx context.Context) (entries int, bytes int64, err error) {
	var n *redis.IntCmd
	var size *redis.StringCmd
	if _, err := s.Conn.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
		n, size = p.ZCard(ctx, s.idsKey()), p.HGet(ctx, s.sizeKey(), sum)
	}); err != nil {
		return 0, 0, err
	}
	bytes, err = strconv.ParseInt(size.Val(), 10, 64)
	if err != nil {
		bytes = 0 // nothing yet, or nothing that is a number
	}
	return int(n.Val()), max(bytes, 0), nil
}

// Reindex writes the indexes anew from the entries themselves, while others work. It returns how
// many entries verify.
func (s *Store) Reindex(ctx context.Context) (n int, err error) {
	ids, err := s.scan(ctx)
	if err != nil {
		return 0, err
	}
	for from := 0; from < len(ids); from += 256 {
		if err := s.mend(ctx, ids[from:min(from+256, len(ids))]); err != nil {
			return 0, err
		}
	}
	if err := s.each(ctx, func(found []stored) error {
		for _, st := range found {
			switch {
			case st.ok:
				n++
			case !st.there:
				s.unlist(ctx, st.id)
			}
		}
		return nil
	}); err != nil {
		return 0, err
	}
	return n, s.recount(ctx)
}

// scan finds the entries on all masters, a page in one call: a large store takes its time.
func (s *Store) scan(ctx context.Context) ([]string, error) {
	var mu sync.Mutex
	var masters []*redis.Client
	if err := s.Conn.Masters(ctx, func(_ context.Context, r *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		masters = append(masters, r)
		return nil
	}); err != nil {
		return nil, err
	}
	var ids []string
	prefix, suffix := s.Conn.Key("{o:"), "}:e"
	for _, m := range masters {
		for cursor := uint64(0); ; {
			var keys []string
			if err := s.Conn.Do(ctx, conn.Background, func(ctx context.Context, _ redis.UniversalClient) (err error) {
				keys, cursor, err = m.Scan(ctx, cursor, prefix+"*"+suffix, 1000).Result()
				return err
			}); err != nil {
				return nil, err
			}
			for _, k := range keys {
				ids = append(ids, strings.TrimSuffix(strings.TrimPrefix(k, prefix), suffix))
			}
			if cursor == 0 {
				break
			}
		}
	}
	return ids, nil
}

// recount puts the sum of the sizes right.
func (s *Store) recount(ctx context.Context) error {
	return s.Conn.Do(ctx, conn.Background, func(ctx context.Context, r redis.UniversalClient) error {
		total, said := int64(0), int64(0)
		for cursor := uint64(0); ; {
			pairs, next, err := r.HScan(ctx, s.sizeKey(), cursor, "", 1000).Result()
			if err != nil {
				return err
			}
			for i := 0; i+1 < len(pairs); i += 2 {
				n, err := strconv.ParseInt(pairs[i+1], 10, 64)
				switch {
				case err != nil:
				case pairs[i] == sum:
					said = n
				default:
					total += n
				}
			}
			if cursor = next; next == 0 {
				break
			}
		}
		return r.HIncrBy(ctx, s.sizeKey(), sum, total-said).Err()
	})
}
