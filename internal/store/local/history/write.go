package history

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"postern/filter/history"
)

func (s *Store) run() {
	defer close(s.done)
	due := time.NewTimer(linger)
	defer due.Stop()
	for {
		select {
		case marks := <-s.marks:
			if len(s.batch) == 0 {
				due.Reset(linger)
			}
			s.collect(marks)
		case <-due.C:
			s.write()
		case done := <-s.flush:
			s.drain()
			close(done)
		case <-s.stop:
			s.drain()
			return
		}
	}
}

// drain writes everything that waits.
func (s *Store) drain() {
	for len(s.marks) > 0 {
		s.collect(<-s.marks)
	}
	s.write()
}

func (s *Store) collect(marks []history.Mark) {
	if s.batch = append(s.batch, marks...); len(s.batch) >= batch {
		s.write()
	}
}

// write writes the batch.
func (s *Store) write() {
	if len(s.batch) == 0 {
		return
	}
	var grown int64
	ctx := context.Background() // marks outlive the sessions they are about
	err := s.db.Tx(ctx, func(tx *sql.Tx) (err error) {
		if grown, err = put(ctx, tx, s.batch); err != nil {
			return err
		}
		gone, err := evict(ctx, tx, s.rows.Load()+grown, int64(s.cap))
		grown -= gone
		return err
	})
	if err != nil {
		s.dropped.Add(uint64(len(s.batch)))
		if !s.failing {
			s.log.Error("the history of mail cannot be written and is lost", "error", err)
		}
	} else {
		s.rows.Add(grown)
	}
	s.failing = err != nil
	clear(s.batch)
	s.batch = s.batch[:0]
}

// put adds marks to their keys, each key once, and returns how many keys are new.
func put(ctx context.Context, tx *sql.Tx, marks []history.Mark) (grown int64, err error) {
	get, err := tx.PrepareContext(ctx, "SELECT until, days FROM history WHERE key = ?")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, get.Close()) }()
	set, err := tx.PrepareContext(ctx, "INSERT INTO history (key, until, days) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET until = excluded.until, days = excluded.days")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	slices.SortStableFunc(marks, func(a, b history.Mark) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	for len(marks) > 0 {
		n := 1
		for n < len(marks) && marks[n].Key == marks[0].Key {
			n++
		}
		var until int64
		var value []byte
		err := get.QueryRowContext(ctx, marks[0].Key[:]).Scan(&until, &value)
		if errors.Is(err, sql.ErrNoRows) {
			grown++
		} else if err != nil {
			return 0, err
		}
		d := whole(value)
		for _, m := range marks[:n] {
			good, bad := 1, 0
			if m.Bad {
				good, bad = 0, 1
			}
			d = d.add(dayOf(m.At), good, bad)
			until = max(until, dayOf(m.At.Add(m.Keep)))
		}
		if _, err := set.ExecContext(ctx, marks[0].Key[:], until, []byte(d)); err != nil {
			return 0, err
		}
		marks = marks[n:]
	}
	return grown, nil
}

// evict makes room when there are more keys than allowed, for a hundredth of them at once.
func evict(ctx context.Context, tx *sql.Tx, rows, allowed int64) (int64, error) {
	if rows <= allowed {
		return 0, nil
	}
	res, err := tx.ExecContext(ctx, "DELETE FROM history WHERE key IN (SELECT key FROM history ORDER BY until LIMIT ?)", rows-allowed+allowed/100)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}
