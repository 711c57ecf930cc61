package history

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"postern/internal/store/local/sqlite"
)

// maxStep is how far a clock may go between two looks and still be believed at once.
const maxStep = 24 * time.Hour

// noted is how far the believed time goes before it is written down again.
const noted = time.Hour

// clock decides which time to believe: one that jumps, as after a dead battery or a wrong
// time server, must not forget everything.
type clock struct {
	mu       sync.Mutex
	believed time.Time
	written  time.Time
	from     time.Time // since when a jumped clock has run on; zero = nothing is in doubt
	last     time.Time // what it said last
}

// believe reports whether now may be acted on.
func (c *clock) believe(now time.Time) bool {
	if now.Sub(c.believed).Abs() <= maxStep {
		c.believed, c.from = now, time.Time{}
		return true
	}
	if c.from.IsZero() || now.Before(c.last) || now.Sub(c.last) > maxStep {
		c.from = now
	}
	c.last = now
	if now.Sub(c.from) < maxStep {
		return false
	}
	c.believed, c.from = now, time.Time{}
	return true
}

// step is how many keys one transaction forgets, so that marks need not wait long.
const step = 1000

// Prune implements history.Store. It wants to be called at least every hour.
func (s *Store) Prune(ctx context.Context, now time.Time) (n int, err error) {
	now = now.Round(0) // the file knows no monotonic time
	s.clock.mu.Lock()
	defer s.clock.mu.Unlock()
	if err := s.clock.read(ctx, s.db, now); err != nil {
		return 0, err
	}
	if !s.clock.believe(now) {
		return 0, nil
	}
	if err := s.clock.write(ctx, s.db); err != nil {
		return 0, err
	}
	for {
		res, err := s.db.W.ExecContext(ctx, "DELETE FROM history WHERE key IN (SELECT key FROM history WHERE until < ? LIMIT ?)", dayOf(now), step)
		if err != nil {
			return n, err
		}
		gone, err := res.RowsAffected()
		n += int(gone)
		s.rows.Add(-gone)
		if err != nil || gone == 0 {
			return n, err
		}
	}
}

// read takes the believed time from the file once; a new file believes the first.
func (c *clock) read(ctx context.Context, db *sqlite.DB, now time.Time) error {
	if !c.believed.IsZero() {
		return nil
	}
	var at int64
	err := db.R.QueryRowContext(ctx, "SELECT at FROM history_clock").Scan(&at)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		c.believed = now
	case err != nil:
		return err
	default:
		c.believed = time.UnixMilli(at)
		c.written = c.believed
	}
	return nil
}

func (c *clock) write(ctx context.Context, db *sqlite.DB) error {
	if c.believed.Sub(c.written).Abs() < noted {
		return nil
	}
	_, err := db.W.ExecContext(ctx, "INSERT INTO history_clock (n, at) VALUES (1, ?) ON CONFLICT (n) DO UPDATE SET at = excluded.at", c.believed.UnixMilli())
	if err == nil {
		c.written = c.believed
	}
	return err
}
