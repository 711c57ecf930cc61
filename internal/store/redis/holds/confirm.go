package holds

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/ground"
	"postern/internal/store/redis/holds/record"
	"postern/quarantine"
)

// Confirm implements quarantine.Store. The holds of one message are confirmed in one step; of
// several messages, when all are there.
func (s *Store) Confirm(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	rows, known := s.recent.take(ids)
	if known && !oneMessage(rows) {
		known = false
	}
	for range ground.Tries {
		if !known {
			var err error
			if rows, err = s.allThere(ctx, ids); err != nil {
				return err
			}
		}
		again, err := s.confirm(ctx, rows)
		if err != nil || !again {
			return err
		}
		known = false
	}
	return fmt.Errorf("confirm %s: %w", ids[0], errContended)
}

func oneMessage(rows []ground.Row) bool {
	for _, r := range rows {
		if r.ID.Message != rows[0].ID.Message {
			return false
		}
	}
	return true
}

func (s *Store) allThere(ctx context.Context, ids []string) ([]ground.Row, error) {
	rows, err := s.g.Rows(ctx, ids)
	if err != nil {
		return nil, err
	}
	for i, r := range rows {
		if !r.Good {
			return nil, fmt.Errorf("%w: %.100q", quarantine.ErrNotFound, ids[i])
		}
	}
	return rows, nil
}

// confirm changes those that are provisional; again is true when one changed meanwhile. The
// entries of the indexes go with it, and only when all were taken the notes that remind of
// them are given up.
func (s *Store) confirm(ctx context.Context, rows []ground.Row) (again bool, err error) {
	defer s.g.Counts.Begin()()
	var done []string
	keys, args := map[string][]string{}, map[string][]any{}
	seen := map[record.ID]bool{}
	for i := range rows {
		r := &rows[i]
		if r.Hold.State != quarantine.Provisional || seen[r.ID] {
			continue
		}
		seen[r.ID] = true
		r.Hold.State = quarantine.Held
		r.Hold.Version++
		state, err := s.g.Scribe.State(r.Hold, []byte(r.State))
		if err != nil {
			return false, err
		}
		keys[r.ID.Message] = append(keys[r.ID.Message], s.g.HoldKey(r.ID))
		args[r.ID.Message] = append(args[r.ID.Message], r.State, state)
		done = append(done, record.Pack(r.Hold.ID))
	}
	cmds := map[*redis.Cmd]int{}
	err = s.g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for message, holds := range keys {
			cmds[confirm.Run(ctx, p, holds, args[message]...)] = len(holds)
		}
		for _, r := range rows {
			s.g.QueueIndex(ctx, p, r.Hold)
		}
	})
	if err != nil {
		s.g.Counts.Changed()
		return false, err
	}
	for cmd, n := range cmds {
		if said, err := cmd.Int(); err != nil || said != n {
			s.g.Counts.Changed()
			return true, nil // who is missing is found out by reading
		}
	}
	s.g.Counts.Confirmed(done)
	return false, nil
}

// Drop implements quarantine.Store.
func (s *Store) Drop(ctx context.Context, ids []string) error {
	rows, err := s.g.Rows(ctx, ids)
	if err != nil {
		return err
	}
	var open []ground.Row
	for _, r := range rows {
		if r.Good && r.Hold.State == quarantine.Provisional {
			open = append(open, r)
		}
	}
	_, err = s.g.Remove(ctx, open, true)
	return err
}
