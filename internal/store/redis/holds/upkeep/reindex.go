// Package upkeep keeps holds in order: it ends what is over, makes indexes again, weighs what is
// stored, and fills a store.
package upkeep

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/ground"
	"postern/internal/store/redis/holds/index"
	"postern/internal/store/redis/holds/record"
)

// Keeper keeps holds in order. It is safe for concurrent use.
type Keeper struct{ g *ground.Ground }

// New makes a Keeper.
func New(g *ground.Ground) Keeper { return Keeper{g} }

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
func (s Keeper) Reindex(ctx context.Context, progress func(done int)) (out Reindexed, err error) {
	defer s.g.Counts.Changed()
	if err := s.scan(ctx, s.g.Conn.Key("k", "*"), func(keys []string) error { return s.reviseKeys(ctx, keys, &out) }); err != nil {
		return out, err
	}
	if err := s.scan(ctx, s.g.Conn.Key("ix", "*"), func(keys []string) error {
		for _, key := range keys {
			if err := s.reviseIndex(ctx, strings.TrimPrefix(key, s.g.Conn.Key("ix", "")), &out); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return out, err
	}
	if err := s.scan(ctx, s.g.Conn.Key("{*}", "h", "*"), func(keys []string) error {
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
func (s Keeper) scan(ctx context.Context, pattern string, f func(keys []string) error) error {
	var mu sync.Mutex
	var masters []*redis.Client
	if err := s.g.Conn.Masters(ctx, func(_ context.Context, r *redis.Client) error {
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
			err := s.g.Conn.Do(ctx, conn.Background, func(ctx context.Context, _ redis.UniversalClient) (err error) {
				keys, cursor, err = m.Scan(ctx, cursor, pattern, ground.MaxRows).Result()
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
func (s Keeper) reviseKeys(ctx context.Context, keys []string, out *Reindexed) error {
	values := make([]*redis.StringCmd, len(keys))
	if err := s.g.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
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
	rows, err := s.g.Rows(ctx, ids)
	if err != nil {
		return err
	}
	err = s.g.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
		for i, r := range rows {
			if r.Invalid || r.Good && s.g.KeyKey(r.Hold.Key) == keys[i] {
				continue
			}
			out.Keys++
			ground.Swap.Run(ctx, p, []string{keys[i]}, values[i].Val(), "")
		}
	})
	return err
}

// reviseIndex takes away the entries of one index that no hold stands behind.
func (s Keeper) reviseIndex(ctx context.Context, name string, out *Reindexed) error {
	cursor := uint64(0)
	for {
		var page *redis.ScanCmd
		if err := s.g.Pipe(ctx, conn.Background, func(p redis.Pipeliner) { page = p.ZScan(ctx, s.g.IndexKey(name), cursor, "", round) }); err != nil {
			return err
		}
		if ground.WrongType(page.Err()) {
			out.Entries++
			err := s.g.Pipe(ctx, conn.Background, func(p redis.Pipeliner) { p.Unlink(ctx, s.g.IndexKey(name)) })
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

func (s Keeper) reviseWords(ctx context.Context, words []string) error {
	left := map[string]*redis.IntCmd{}
	if err := s.g.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
		for _, w := range words {
			left[w] = p.ZCard(ctx, s.g.IndexKey(index.WordKey(w)))
		}
	}); err != nil {
		return err
	}
	return s.g.ForgetWords(ctx, left)
}

func (s Keeper) reviseMembers(ctx context.Context, name string, members []string, out *Reindexed) error {
	ids := make([]string, len(members))
	for i, m := range members {
		ids[i] = ground.Entry{Key: name, Member: m}.ID()
	}
	rows, err := s.g.Rows(ctx, ids)
	if err != nil {
		return err
	}
	var stale []ground.Entry
	for i, r := range rows {
		if r.Invalid || r.Good && slices.ContainsFunc(index.Entries(r.Hold), func(e index.Entry) bool { return e.Key == name && e.Member == members[i] }) {
			continue
		}
		stale = append(stale, ground.Entry{Key: name, Member: members[i]})
	}
	out.Entries += len(stale)
	return s.g.Clean(ctx, stale)
}

// holdID is the ID of the hold that lies under a key.
func (s Keeper) holdID(key string) string {
	message, number, ok := strings.Cut(strings.TrimPrefix(key, s.g.Conn.Key("{")), "}:h:")
	if !ok {
		return ""
	}
	return message + "-" + number
}

// restore puts holds into all their indexes.
func (s Keeper) restore(ctx context.Context, keys []string, out *Reindexed) error {
	ids := make([]string, len(keys))
	for i, key := range keys {
		ids[i] = s.holdID(key)
	}
	rows, err := s.g.Rows(ctx, ids)
	if err != nil {
		return err
	}
	entries := make([]*redis.StringCmd, len(rows))
	if err := s.g.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
		for i, r := range rows {
			if r.Good {
				s.g.QueueIndex(ctx, p, r.Hold)
				entries[i] = p.Get(ctx, s.g.KeyKey(r.Hold.Key))
			}
		}
	}); err != nil {
		return err
	}
	err = s.g.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
		for i, r := range rows {
			switch {
			case !r.Good:
				out.Damaged++
				continue
			case r.Hold.Key != "" && record.Unpack(entries[i].Val()) < r.Hold.ID:
				ground.Swap.Run(ctx, p, []string{s.g.KeyKey(r.Hold.Key)}, entries[i].Val(), record.Pack(r.Hold.ID))
			}
			out.Holds++
		}
	})
	return err
}

// Recount counts the bodies anew.
func (s Keeper) Recount(ctx context.Context) error {
	var out Reindexed
	defer s.g.Counts.Changed()
	return s.recount(ctx, &out)
}

// recount sets the counters to what is there.
func (s Keeper) recount(ctx context.Context, out *Reindexed) error {
	var found [2]ground.Tally
	for f, name := range ground.Families() {
		if err := s.scan(ctx, s.g.Conn.Key("{*}", name, strings.Repeat("?", ground.ShortSHA)), func(keys []string) error {
			sizes := make([]*redis.StringCmd, len(keys))
			err := s.g.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
				for i, key := range keys {
					sizes[i] = p.HGet(ctx, key, "z")
				}
			})
			for _, cmd := range sizes {
				if cmd.Err() == nil {
					found[f].Bodies++
					found[f].Bytes += ground.ToInt(cmd.Val())
				}
			}
			return err
		}); err != nil {
			return err
		}
		out.Bodies += int(found[f].Bodies)
		out.Bytes += found[f].Bytes
	}
	return s.g.Correct(ctx, found)
}
