package holds

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/index"
	"postern/internal/store/redis/holds/record"
	"postern/quarantine"
)

// queueEntries adds entries to their indexes, and new words to the vocabulary.
func (s *Store) queueEntries(ctx context.Context, p redis.Pipeliner, entries []index.Entry) {
	for _, e := range entries {
		p.ZAdd(ctx, s.indexKey(e.Key), redis.Z{Score: float64(e.Score), Member: e.Member})
	}
}

// queueWords adds the words of a subject to the vocabulary.
func (s *Store) queueWords(ctx context.Context, p redis.Pipeliner, h quarantine.Hold) {
	words := index.Words(h)
	if len(words) == 0 {
		return
	}
	members := make([]redis.Z, len(words))
	for i, w := range words {
		members[i] = redis.Z{Member: w}
	}
	p.ZAdd(ctx, s.indexKey(index.Vocabulary), members...)
}

// queueIndex adds all entries of a hold.
func (s *Store) queueIndex(ctx context.Context, p redis.Pipeliner, h quarantine.Hold) {
	s.queueEntries(ctx, p, index.Entries(h))
	if h.State != quarantine.Provisional {
		s.queueWords(ctx, p, h)
	}
}

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
	for range tries {
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

func oneMessage(rows []row) bool {
	for _, r := range rows {
		if r.id.Message != rows[0].id.Message {
			return false
		}
	}
	return true
}

func (s *Store) allThere(ctx context.Context, ids []string) ([]row, error) {
	rows, err := s.rows(ctx, ids)
	if err != nil {
		return nil, err
	}
	for i, r := range rows {
		if !r.good {
			return nil, fmt.Errorf("%w: %.100q", quarantine.ErrNotFound, ids[i])
		}
	}
	return rows, nil
}

// confirm changes those that are provisional; again is true when one changed meanwhile. The
// entries of the indexes go with it, and only when all were taken the notes that remind of
// them are given up.
func (s *Store) confirm(ctx context.Context, rows []row) (again bool, err error) {
	defer s.counts.begin()()
	var done []string
	keys, args := map[string][]string{}, map[string][]any{}
	seen := map[record.ID]bool{}
	for i := range rows {
		r := &rows[i]
		if r.hold.State != quarantine.Provisional || seen[r.id] {
			continue
		}
		seen[r.id] = true
		r.hold.State = quarantine.Held
		r.hold.Version++
		state, err := s.scribe.State(r.hold, []byte(r.state))
		if err != nil {
			return false, err
		}
		keys[r.id.Message] = append(keys[r.id.Message], s.holdKey(r.id))
		args[r.id.Message] = append(args[r.id.Message], r.state, state)
		done = append(done, record.Pack(r.hold.ID))
	}
	var cmds []*redis.Cmd
	err = s.pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for message, holds := range keys {
			cmds = append(cmds, confirm.Run(ctx, p, holds, args[message]...))
		}
		for _, r := range rows {
			s.queueIndex(ctx, p, r.hold)
		}
	})
	if err != nil {
		s.counts.changed()
		return false, err
	}
	for _, cmd := range cmds {
		if cmd.Err() != nil {
			s.counts.changed()
			return true, nil // who is missing is found out by reading
		}
	}
	s.counts.confirmed(done)
	return false, nil
}

// Drop implements quarantine.Store.
func (s *Store) Drop(ctx context.Context, ids []string) error {
	rows, err := s.rows(ctx, ids)
	if err != nil {
		return err
	}
	var open []row
	for _, r := range rows {
		if r.good && r.hold.State == quarantine.Provisional {
			open = append(open, r)
		}
	}
	_, err = s.remove(ctx, open, true)
	return err
}

// remove takes holds away with all that names them, those with owners only when the last one
// asks. Those that changed since they were read are left.
func (s *Store) remove(ctx context.Context, rows []row, owners bool) (n int, err error) {
	if len(rows) == 0 {
		return 0, nil
	}
	defer s.counts.changed()
	cmds := make([]*redis.Cmd, len(rows))
	refs := make([]reference, len(rows))
	err = s.pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for i, r := range rows {
			keys := []string{s.holdKey(r.id)}
			if ref, ok := parseReference(r.body, r.hold); ok {
				refs[i] = ref
				keys = append(keys, s.bodyKeys(r.id.Message, ref)...)
			}
			cmds[i] = remove.Run(ctx, p, keys, r.state, r.body, refs[i].gen, flag(owners))
		}
	})
	if err != nil {
		return 0, err
	}
	var gone []row
	for i, r := range rows {
		what, err := cmds[i].Int()
		if err != nil || what == 0 {
			continue
		}
		if what == 2 {
			s.counts.add(refs[i].family, -1, -refs[i].stored)
		}
		gone = append(gone, r)
	}
	return len(gone), s.unlist(ctx, gone)
}

// unlist takes away what names holds that are gone.
func (s *Store) unlist(ctx context.Context, rows []row) error {
	words := map[string]*redis.IntCmd{}
	err := s.pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for _, r := range rows {
			for _, e := range index.Entries(r.hold) {
				p.ZRem(ctx, s.indexKey(e.Key), e.Member)
			}
			if r.hold.Key != "" {
				swap.Run(ctx, p, []string{s.keyKey(r.hold.Key)}, record.Pack(r.hold.ID), "")
			}
		}
		for _, r := range rows {
			if r.hold.State == quarantine.Provisional {
				continue
			}
			for _, w := range index.Words(r.hold) {
				words[w] = nil
			}
		}
		for w := range words {
			words[w] = p.ZCard(ctx, s.indexKey(index.WordKey(w)))
		}
	})
	if err != nil {
		return err
	}
	return s.forgetWords(ctx, words)
}

// forgetWords takes words that no hold has any more out of the vocabulary; one that came back
// meanwhile is put back.
func (s *Store) forgetWords(ctx context.Context, left map[string]*redis.IntCmd) error {
	var unused []string
	for w, cmd := range left {
		if n, err := cmd.Result(); err == nil && n == 0 {
			unused = append(unused, w)
		}
	}
	if len(unused) == 0 {
		return nil
	}
	again := make([]*redis.IntCmd, len(unused))
	err := s.pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		p.ZRem(ctx, s.indexKey(index.Vocabulary), anys(unused)...)
	})
	if err != nil {
		return err
	}
	if err = s.pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for i, w := range unused {
			again[i] = p.ZCard(ctx, s.indexKey(index.WordKey(w)))
		}
	}); err != nil {
		return err
	}
	err = s.pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for i, w := range unused {
			if again[i].Val() > 0 {
				p.ZAdd(ctx, s.indexKey(index.Vocabulary), redis.Z{Member: w})
			}
		}
	})
	return err
}

const (
	// round is how many entries one round of upkeep looks at.
	round = 500
	// rounds bounds the rounds of one call.
	rounds = 200
	// grace is how long a hold that was confirmed may stand among the provisional ones before
	// it is looked after: a confirmation takes no longer.
	grace = time.Minute
)

// DropBefore implements quarantine.Store. It also looks after holds whose confirmation was cut
// short before all indexes had them.
func (s *Store) DropBefore(ctx context.Context, t time.Time) (n int, err error) {
	until := t.UnixMilli() - 1
	late := max(until, s.now().Add(-grace).UnixMilli())
	skip := int64(0)
	for range rounds {
		found, err := s.entriesByTime(ctx, index.Provisional, late, skip, round)
		if err != nil {
			return n, err
		}
		var old, settled []row
		for _, e := range found {
			switch {
			case e.row.good && e.row.hold.State == quarantine.Provisional:
				if e.row.hold.At.UnixMilli() <= until {
					old = append(old, e.row)
				} else {
					skip++
				}
			case e.row.invalid:
				skip++
			default:
				settled = append(settled, e.row)
			}
		}
		gone, err := s.remove(ctx, old, false)
		n += gone
		skip += int64(len(old) - gone)
		if err == nil {
			err = s.settle(ctx, settled, found)
		}
		if err != nil || len(found) < round {
			return n, err
		}
	}
	return n, nil
}

// settle makes sure that confirmed holds stand in every index, then gives up the notes that
// reminded of them, and of those that are gone.
func (s *Store) settle(ctx context.Context, settled []row, found []timed) error {
	if len(settled) == 0 {
		return nil
	}
	if err := s.pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for _, r := range settled {
			if r.good {
				s.queueIndex(ctx, p, r.hold)
			}
		}
	}); err != nil {
		return err
	}
	err := s.pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for _, e := range found {
			if !e.row.invalid && (!e.row.good || e.row.hold.State != quarantine.Provisional) {
				p.ZRem(ctx, s.indexKey(index.Provisional), e.member)
			}
		}
	})
	return err
}
