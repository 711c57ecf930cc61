package greylist

import (
	"context"
	"encoding/json"

	"postern/filter/greylist"
	"postern/internal/store/local/sqlite"
)

// WalkKnown gives all sources that came again to f, by the keys they are remembered under.
func (s *Store) WalkKnown(ctx context.Context, f func(key string, k greylist.Known) error) error {
	return sqlite.Each(ctx, s.db.R, "SELECT key, record FROM grey_known", nil, func(scan sqlite.Scanner) error {
		var key, text string
		if err := scan(&key, &text); err != nil {
			return err
		}
		var k greylist.Known
		if err := json.Unmarshal([]byte(text), &k); err == nil { // one that cannot be read is found by nobody either
			return f(key, k)
		}
		return nil
	})
}
