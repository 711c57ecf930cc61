package holds

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/index"
	"postern/internal/store/redis/holds/record"
)

// Reindexed counts what Reindex found.
type Reindexed struct {
	Holds   int // in every index now
	Damaged int // that do not verify: left alone
	Entries int // of indexes, taken away
	Keys    int // of mail seen before, taken away
	Bodies  int
	Bytes   int64 // of bodies, as stored
}

// Reindex makes every index, every entry of a key and the counters again from the records, and
// takes away what names nothing. Mail may flow meanwhile; when it is cut short, it can be begun
// again at any time.
func (s *Store) Reindex(ctx context.Context, progress func(done int)) (out Reindexed, err error) {
	defer s.counts.changed()
	if err := s.scan(ctx, s.conn.Key("k", "*"), func(keys []string) error { return s.reviseKeys(ctx, keys, &out) }); err != nil {
		return out, err
	}
	if err := s.scan(ctx, s.conn.Key("ix", "*"), func(keys []string) error {
		for _, key := range keys {
			if err := s.reviseIndex(ctx, strings.TrimPrefix(key, s.conn.Key("ix", "")), &out); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return out, err
	}
	if err := s.scan(ctx, s.conn.Key("{*}", "h", "*"), func(keys []string) error {
		err := s.restore(ctx, keys, &out)
		if progress != nil {
			progress(out.Holds)
		}
		return err
	}); err != nil {
		return out, err
	}
	return out, s.recount(ctx, &out)
}

// scan gives all keys that match a pattern to f, many at a time.
func (s *Store) scan(ctx context.Context, pattern string, f func(keys []string) error) error {
	var mu sync.Mutex
	var masters []*redis.Client
	if err := s.conn.Masters(ctx, func(_ context.Context, r *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		masters = append(masters, r)
		return nil
	}); err != nil {
		return err
	}
	for _, m := range masters {
		cursor := uint64(0)
		for {
			var keys []string
			err := s.conn.Do(ctx, conn.Background, func(ctx context.Context, _ redis.UniversalClient) (err error) {
				keys, cursor, err = m.Scan(ctx, cursor, pattern, maxRows).Result()
				return err
			})
			if err == nil && len(keys) > 0 {
				err = f(keys)
			}
			if err != nil {
				return err
			}
			if cursor == 0 {
				break
			}
		}
	}
	return nil
}

// reviseKeys takes away entries of keys that no hold stands behind.
func (s *Store) reviseKeys(ctx context.Context, keys []string, out *Reindexed) error {
	values := make([]*redis.StringCmd, len(keys))
	if err := s.pipe(ctx, conn.Background, func(p redis.Pipeliner) {
		for i, key := range keys {
			values[i] = p.Get(ctx, key)
		}
	}); err != nil {
		return err
	}
	ids := make([]string, len(keys))
	for i, v := range values {
		ids[i] = record.Unpack(v.Val())
	}
	rows, err := s.rows(ctx, ids)
	if err != nil {
		return err
	}
	err = s.pipe(ctx, conn.Background, func(p redis.Pipeliner) {
		for i, r := range rows {
			if r.invalid || r.good && s.keyKey(r.hold.Key) == keys[i] {
				continue
			}
			out.Keys++
			swap.Run(ctx, p, []string{keys[i]}, values[i].Val(), "")
		}
	})
	return err
}

// reviseIndex takes away the entries of one index that no hold stands behind.
func (s *Store) reviseIndex(ctx context.Context, name string, out *Reindexed) error {
	cursor := uint64(0)
	for {
		var page *redis.ScanCmd
		if err := s.pipe(ctx, conn.Background, func(p redis.Pipeliner) { page = p.ZScan(ctx, s.indexKey(name), cursor, "", round) }); err != nil {
			return err
		}
		if wrongType(page.Err()) {
			out.Entries++
			err := s.pipe(ctx, conn.Background, func(p redis.Pipeliner) { p.Unlink(ctx, s.indexKey(name)) })
			return err
		}
		pairs, next, err := page.Result()
		if err != nil {
			return err
		}
		members := make([]string, 0, len(pairs)/2)
		for i := 0; i+1 < len(pairs); i += 2 {
			members = append(members, pairs[i])
		}
		if name == index.Vocabulary {
			err = s.reviseWords(ctx, members)
		} else {
			err = s.reviseMembers(ctx, name, members, out)
		}
		if err != nil || next == 0 {
			return err
		}
		cursor = next
	}
}

func (s *Store) reviseWords(ctx context.Context, words []string) error {
	left := map[string]*redis.IntCmd{}
	if err := s.pipe(ctx, conn.Background, func(p redis.Pipeliner) {
		for _, w := range words {
			left[w] = p.ZCard(ctx, s.indexKey(index.WordKey(w)))
		}
	}); err != nil {
		return err
	}
	return s.forgetWords(ctx, left)
}

func (s *Store) reviseMembers(ctx context.Context, name string, members []string, out *Reindexed) error {
	ids := make([]string, len(members))
	for i, m := range members {
		ids[i] = entry{name, m}.id()
	}
	rows, err := s.rows(ctx, ids)
	if err != nil {
		return err
	}
	var stale []entry
	for i, r := range rows {
		if r.invalid || r.good && slices.ContainsFunc(index.Entries(r.hold), func(e index.Entry) bool { return e.Key == name && e.Member == members[i] }) {
			continue
		}
		stale = append(stale, entry{name, members[i]})
	}
	out.Entries += len(stale)
	return s.clean(ctx, stale)
}

// holdID is the ID of the hold that lies under a key.
func (s *Store) holdID(key string) string {
	message, number, ok := strings.Cut(strings.TrimPrefix(key, s.conn.Key("{")), "}:h:")
	if !ok {
		return ""
	}
	return message + "-" + number
}

// restore puts holds into all their indexes.
func (s *Store) restore(ctx context.Context, keys []string, out *Reindexed) error {
	ids := make([]string, len(keys))
	for i, key := range keys {
		ids[i] = s.holdID(key)
	}
	rows, err := s.rows(ctx, ids)
	if err != nil {
		return err
	}
	entries := make([]*redis.StringCmd, len(rows))
	if err := s.pipe(ctx, conn.Background, func(p redis.Pipeliner) {
		for i, r := range rows {
			if r.good {
				s.queueIndex(ctx, p, r.hold)
				entries[i] = p.Get(ctx, s.keyKey(r.hold.Key))
			}
		}
	}); err != nil {
		return err
	}
	err = s.pipe(ctx, conn.Background, func(p redis.Pipeliner) {
		for i, r := range rows {
			switch {
			case !r.good:
				out.Damaged++
				continue
			case r.hold.Key != "" && record.Unpack(entries[i].Val()) < r.hold.ID:
				swap.Run(ctx, p, []string{s.keyKey(r.hold.Key)}, entries[i].Val(), record.Pack(r.hold.ID))
			}
			out.Holds++
		}
	})
	return err
}

// Recount counts the bodies anew.
func (s *Store) Recount(ctx context.Context) error {
	var out Reindexed
	defer s.counts.changed()
	return s.recount(ctx, &out)
}

// recount sets the counters to what is there.
func (s *Store) recount(ctx context.Context, out *Reindexed) error {
	var found [2]tally
	for f, name := range families {
		if err := s.scan(ctx, s.conn.Key("{*}", name, strings.Repeat("?", sha16)), func(keys []string) error {
			sizes := make([]*redis.StringCmd, len(keys))
			err := s.pipe(ctx, conn.Background, func(p redis.Pipeliner) {
				for i, key := range keys {
					sizes[i] = p.HGet(ctx, key, "z")
				}
			})
			for _, cmd := range sizes {
				if cmd.Err() == nil {
					found[f].bodies++
					found[f].bytes += toInt(cmd.Val())
				}
			}
			return err
		}); err != nil {
			return err
		}
		out.Bodies += int(found[f].bodies)
		out.Bytes += found[f].bytes
	}
	return s.correct(ctx, found)
}

// correct moves the counters to what was found.
func (s *Store) correct(ctx context.Context, found [2]tally) error {
	s.counts.changed()
	if _, err := s.Stats(ctx); err != nil { // with it, what is ours is added
		return err
	}
	s.counts.mu.Lock()
	read := s.counts.read
	s.counts.mu.Unlock()
	for f := range found {
		s.counts.add(families[f], found[f].bodies-read[f].bodies, found[f].bytes-read[f].bytes)
	}
	s.counts.changed()
	_, err := s.Stats(ctx)
	return err
}
