package greylist

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"

	"postern/filter/greylist"
	"postern/internal/store/redis/conn"
)

// WalkKnown gives all sources that came again to f, by the keys they are remembered under.
func (s *Store) WalkKnown(ctx context.Context, f func(key string, k greylist.Known) error) error {
	return s.conn.Scan(ctx, s.conn.Key("gk", "*"), func(names []string) error {
		values := make([]*redis.StringCmd, len(names))
		if _, err := s.conn.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
			for i, name := range names {
				values[i] = p.Get(ctx, name)
			}
		}); err != nil {
			return err
		}
		for i, name := range names {
			key := strings.TrimPrefix(name, s.conn.Key("gk", ""))
			if len(key) < tag {
				continue
			}
			if k, ok := readKnown(key, values[i]); ok { // one that cannot be read is found by nobody either
				if err := f(key, k); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
