package holds

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
)

func (s *Store) clockKey() string { return s.g.Conn.Key("clock") }

// Clock implements quarantine.Store. A time that we did not write is none.
func (s *Store) Clock(ctx context.Context) (time.Time, error) {
	var text *redis.StringCmd
	err := s.g.Pipe(ctx, conn.Background, func(p redis.Pipeliner) { text = p.Get(ctx, s.clockKey()) })
	if err != nil || errors.Is(text.Err(), redis.Nil) {
		return time.Time{}, err
	}
	t, err := s.g.Scribe.ReadClock(s.clockKey(), []byte(text.Val()))
	if err != nil {
		s.g.Say("how far expiry has come does not verify and is not believed", "error", err)
		return time.Time{}, nil
	}
	return t, nil
}

// SetClock implements quarantine.Store.
func (s *Store) SetClock(ctx context.Context, t time.Time) error {
	err := s.g.Pipe(ctx, conn.Background, func(p redis.Pipeliner) { p.Set(ctx, s.clockKey(), s.g.Scribe.Clock(s.clockKey(), t), 0) })
	return err
}
