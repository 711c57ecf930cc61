package conn

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Scan gives the keys that fit a pattern to f, many at a time. A key may come twice, and one that
// comes or goes meanwhile may be missing.
func (c *Conn) Scan(ctx context.Context, pattern string, f func(keys []string) error) error {
	var mu sync.Mutex
	var masters []*redis.Client
	if err := c.Masters(ctx, func(_ context.Context, r *redis.Client) error {
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
			err := c.Do(ctx, Background, func(ctx context.Context, _ redis.UniversalClient) (err error) {
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
