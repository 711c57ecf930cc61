package history

import (
	"context"
	"time"

	"postern/filter/history"
	"postern/internal/store/local/sqlite"
)

// Walk gives all keys to f, with what is remembered under them and until when.
func (s *Store) Walk(ctx context.Context, f func(key history.Key, until time.Time, days []history.Day) error) error {
	return sqlite.Each(ctx, s.db.R, "SELECT key, until, days FROM history", nil, func(scan sqlite.Scanner) error {
		var key, value []byte
		var until int64
		if err := scan(&key, &until, &value); err != nil {
			return err
		}
		if len(key) != len(history.Key{}) {
			return nil
		}
		d := whole(value)
		var out []history.Day
		for i := 0; i < len(d); i += entry {
			out = append(out, history.Day{Day: d.day(i), Good: int(d[i+2]), Bad: int(d[i+3])})
		}
		return f(history.Key(key), time.Unix(until*86400, 0).UTC(), out)
	})
}
