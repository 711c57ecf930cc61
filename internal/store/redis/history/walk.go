package history

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/filter/history"
	"postern/internal/store/redis/conn"
)

// Walk gives all keys to f, with what is remembered under them and until when.
func (s *Store) Walk(ctx context.Context, f func(key history.Key, until time.Time, days []history.Day) error) error {
	return s.conn.Scan(ctx, s.conn.Key("hi", "*"), func(names []string) error {
		values, lives := make([]*redis.StringCmd, len(names)), make([]*redis.DurationCmd, len(names))
		if _, err := s.conn.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
			for i, name := range names {
				values[i], lives[i] = p.Get(ctx, name), p.PTTL(ctx, name)
			}
		}); err != nil {
			return err
		}
		for i, name := range names {
			b, err := hex.DecodeString(strings.TrimPrefix(name, s.conn.Key("hi", "")))
			if err != nil || len(b) != len(history.Key{}) {
				continue
			}
			days := days(values[i].Val(), history.Key(b))
			if len(days) == 0 {
				continue
			}
			if err := f(history.Key(b), s.o.Now().Add(max(lives[i].Val()-spare, 0)).UTC(), days); err != nil {
				return err
			}
		}
		return nil
	})
}

// days are the days of a value; none of what is no value of this key.
func days(value string, k history.Key) (out []history.Day) {
	if _, err := sum(value, k, 0, 0); err != nil || len(value) < 1+tail || value[0] != format || (len(value)-1-tail)%entry != 0 {
		return nil
	}
	for d := []byte(value[1+tail:]); len(d) > 0; d = d[entry:] {
		out = append(out, history.Day{Day: int64(binary.BigEndian.Uint16(d)), Good: int(d[2]), Bad: int(d[3])})
	}
	return out
}
