package entities

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"postern/internal/entity"
	"postern/internal/store/redis/conn"
)

// tally reads a counter of things and of their bytes.
func (s *Store) tally(ctx context.Context, key string) (n, bytes int64, err error) {
	var cmd *redis.SliceCmd
	if _, err := s.o.Conn.Each(ctx, conn.Write, func(p redis.Pipeliner) { cmd = p.HMGet(ctx, key, "n", "b") }); err != nil {
		return 0, 0, err
	}
	var out [2]int64
	for i, v := range cmd.Val() {
		text, _ := v.(string)
		if out[i], err = strconv.ParseInt(text, 10, 64); err != nil {
			out[i] = 0 // never counted, or not by us
		}
	}
	return max(out[0], 0), max(out[1], 0), nil
}

// Size is how many records there are, and what they take.
func (s *Store) Size(ctx context.Context) (records, bytes int64, err error) {
	return s.tally(ctx, s.sizeKey())
}

// CountBlobs is how many blobs a class has.
func (s *Store) CountBlobs(ctx context.Context, class entity.Class) (int64, error) {
	n, _, err := s.tally(ctx, s.usedKey(class))
	return n, err
}

// Reindexed counts what Reindex found.
type Reindexed struct {
	Records int
	Blobs   int
	Damaged int // records that do not verify: left alone
	Entries int // of indexes, taken away
}

// Reindex makes everything that is derived again from records and blobs: indexes and counters.
// Records may change meanwhile.
func (s *Store) Reindex(ctx context.Context) (out Reindexed, err error) {
	if err := s.scan(ctx, s.o.Conn.Key("ex", "*"), func(keys []string) error {
		for _, key := range keys {
			if err := s.revise(ctx, key, &out); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return out, err
	}
	bytes := int64(0)
	if err := s.scan(ctx, s.o.Conn.Key("{e:*}", "r"), func(keys []string) error {
		n, err := s.refile(ctx, keys, &out)
		bytes += n
		return err
	}); err != nil {
		return out, err
	}
	if err := s.count(ctx, s.sizeKey(), int64(out.Records), bytes); err != nil {
		return out, err
	}
	for _, class := range entity.Classes() {
		if err := s.recount(ctx, class, &out); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (s *Store) count(ctx context.Context, key string, n, bytes int64) error {
	_, err := s.o.Conn.Each(ctx, conn.Background, func(p redis.Pipeliner) { p.HSet(ctx, key, "n", n, "b", bytes) })
	return err
}

// names reads the names of records from their keys.
func (s *Store) names(keys []string) (out []Name) {
	for _, key := range keys {
		slot := strings.TrimSuffix(strings.TrimPrefix(key, s.o.Conn.Key("{e:")), "}:r")
		kind, id, ok := strings.Cut(slot, ":")
		if ok && entity.ValidName(entity.Kind(kind), id) == nil {
			out = append(out, Name{entity.Kind(kind), id})
		}
	}
	return out
}

// refile puts records into all their indexes, and returns what they take.
func (s *Store) refile(ctx context.Context, keys []string, out *Reindexed) (bytes int64, err error) {
	for names := range slices.Chunk(s.names(keys), look) {
		found, err := s.read(ctx, names)
		if err != nil {
			return bytes, err
		}
		_, err = s.o.Conn.Each(ctx, conn.Background, func(p redis.Pipeliner) {
			for _, f := range found {
				bytes += int64(f.size)
				switch {
				case f.Born != 0:
					s.file(ctx, p, f.Record)
					out.Records++
				case f.raw != "":
					out.Damaged++
				}
			}
		})
		if err != nil {
			return bytes, err
		}
	}
	return bytes, nil
}

// revise takes entries of an index away that no record stands behind.
func (s *Store) revise(ctx context.Context, key string, out *Reindexed) error {
	parts := strings.Split(strings.TrimPrefix(key, s.o.Conn.Key("ex", "")), ":")
	if len(parts) != 3 {
		return nil
	}
	kind, index, value := entity.Kind(parts[0]), parts[1], parts[2]
	for cursor := uint64(0); ; {
		var page *redis.ScanCmd
		if _, err := s.o.Conn.Each(ctx, conn.Background, func(p redis.Pipeliner) { page = p.ZScan(ctx, key, cursor, "", look) }); err != nil {
			return err
		}
		if conn.WrongType(page.Err()) {
			out.Entries++
			_, err := s.o.Conn.Each(ctx, conn.Background, func(p redis.Pipeliner) { p.Unlink(ctx, key) })
			return err
		}
		pairs, next := page.Val()
		if err := s.reviseMembers(ctx, key, kind, index, value, pairs, out); err != nil || next == 0 {
			return err
		}
		cursor = next
	}
}

func (s *Store) reviseMembers(ctx context.Context, key string, kind entity.Kind, index, value string, pairs []string, out *Reindexed) error {
	var names []Name
	var members []string
	var stale []any
	for i := 0; i < len(pairs); i += 2 {
		if _, id, ok := readMember(pairs[i]); ok && entity.ValidName(kind, id) == nil {
			names, members = append(names, Name{kind, id}), append(members, pairs[i])
		} else {
			stale = append(stale, pairs[i])
		}
	}
	found, err := s.read(ctx, names)
	if err != nil {
		return err
	}
	for i, f := range found {
		if !slices.ContainsFunc(f.Keys, func(k entity.Key) bool {
			return k.Index == index && conn.Hash(k.Value) == value && member(k.At, f.ID) == members[i]
		}) {
			stale = append(stale, members[i])
		}
	}
	if len(stale) == 0 {
		return nil
	}
	out.Entries += len(stale)
	_, err = s.o.Conn.Each(ctx, conn.Background, func(p redis.Pipeliner) { p.ZRem(ctx, key, stale...) })
	return err // a record that has them by now is filed again when the records are gone through
}

// recount lists and counts the blobs of a class anew.
func (s *Store) recount(ctx context.Context, class entity.Class, out *Reindexed) error {
	n, bytes := int64(0), int64(0)
	err := s.scan(ctx, s.o.Conn.Key("{eb:"+string(class)+":*}", "m"), func(keys []string) error {
		var sums []string
		for _, key := range keys {
			sum := strings.TrimSuffix(strings.TrimPrefix(key, s.o.Conn.Key("{eb:"+string(class)+":")), "}:m")
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
		return err
	}
	out.Blobs += int(n)
	return s.count(ctx, s.usedKey(class), n, bytes)
}

// scan gives all keys that match a pattern to f, many at a time.
func (s *Store) scan(ctx context.Context, pattern string, f func(keys []string) error) error {
	var mu sync.Mutex
	var masters []*redis.Client
	if err := s.o.Conn.Masters(ctx, func(_ context.Context, r *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		masters = append(masters, r)
		return nil
	}); err != nil {
		return err
	}
	for _, m := range masters {
		for cursor := uint64(0); ; {
			var keys []string
			err := s.o.Conn.Do(ctx, conn.Background, func(ctx context.Context, _ redis.UniversalClient) (err error) {
				keys, cursor, err = m.Scan(ctx, cursor, pattern, 500).Result()
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

// Walk gives all records of all kinds to f, many at a time.
func (s *Store) Walk(ctx context.Context, f func(records []entity.Record) error) error {
	return s.scan(ctx, s.o.Conn.Key("{e:*}", "r"), func(keys []string) error {
		for names := range slices.Chunk(s.names(keys), look) {
			found, err := s.read(ctx, names)
			if err != nil {
				return err
			}
			var out []entity.Record
			for _, r := range found {
				if r.Born != 0 {
					out = append(out, r.Record)
				}
			}
			if err := f(out); err != nil {
				return err
			}
		}
		return nil
	})
}
