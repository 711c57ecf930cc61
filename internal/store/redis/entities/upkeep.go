package entities

import (
	"context"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"postern/internal/entity"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/entities/ground"
)

// Size is how many records there are, and what they take.
func (s *Store) Size(ctx context.Context) (records, bytes int64, err error) {
	return s.g.Tally(ctx, s.sizeKey())
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
	if err := s.g.Scan(ctx, s.g.Conn.Key("ex", "*"), func(keys []string) error {
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
	if err := s.g.Scan(ctx, s.g.Conn.Key("{e:*}", "r"), func(keys []string) error {
		n, err := s.reindexed(ctx, keys, &out)
		bytes += n
		return err
	}); err != nil {
		return out, err
	}
	if err := s.g.Count(ctx, s.sizeKey(), int64(out.Records), bytes); err != nil {
		return out, err
	}
	out.Blobs, err = s.Recount(ctx)
	return out, err
}

// names reads the names of records from their keys.
func (s *Store) names(keys []string) (out []Name) {
	for _, key := range keys {
		slot := strings.TrimSuffix(strings.TrimPrefix(key, s.g.Conn.Key("{e:")), "}:r")
		kind, id, ok := strings.Cut(slot, ":")
		if ok && entity.ValidName(entity.Kind(kind), id) == nil {
			out = append(out, Name{entity.Kind(kind), id})
		}
	}
	return out
}

// reindexed puts records into all their indexes, and returns what they take.
func (s *Store) reindexed(ctx context.Context, keys []string, out *Reindexed) (bytes int64, err error) {
	for names := range slices.Chunk(s.names(keys), ground.Look) {
		found, err := s.read(ctx, names)
		if err != nil {
			return bytes, err
		}
		_, err = s.g.Conn.Each(ctx, conn.Background, func(p redis.Pipeliner) {
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
	parts := strings.Split(strings.TrimPrefix(key, s.g.Conn.Key("ex", "")), ":")
	if len(parts) != 3 {
		return nil
	}
	kind, index, value := entity.Kind(parts[0]), parts[1], parts[2]
	for cursor := uint64(0); ; {
		var page *redis.ScanCmd
		if _, err := s.g.Conn.Each(ctx, conn.Background, func(p redis.Pipeliner) { page = p.ZScan(ctx, key, cursor, "", ground.Look) }); err != nil {
			return err
		}
		if conn.WrongType(page.Err()) {
			out.Entries++
			_, err := s.g.Conn.Each(ctx, conn.Background, func(p redis.Pipeliner) { p.Unlink(ctx, key) })
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
	_, err = s.g.Conn.Each(ctx, conn.Background, func(p redis.Pipeliner) { p.ZRem(ctx, key, stale...) })
	return err // a record that has them by now is filed again when the records are gone through
}

// Walk gives all records of all kinds to f, many at a time.
func (s *Store) Walk(ctx context.Context, f func(records []entity.Record) error) error {
	return s.g.Scan(ctx, s.g.Conn.Key("{e:*}", "r"), func(keys []string) error {
		for names := range slices.Chunk(s.names(keys), ground.Look) {
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
