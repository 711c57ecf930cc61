package history

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/filter/history"
	"postern/internal/store/redis/conn"
)

func (s *Store) run() {
	defer close(s.done)
	ctx := context.Background() // marks outlive the sessions they are about
	due := time.NewTimer(linger)
	defer due.Stop()
	for {
		select {
		case marks := <-s.marks:
			if len(s.batch) == 0 {
				due.Reset(linger)
			}
			s.collect(ctx, marks)
		case <-due.C:
			s.write(ctx)
		case done := <-s.flush:
			s.drain(ctx)
			close(done)
		case <-s.stop:
			last, cancel := context.WithTimeout(ctx, closing)
			defer cancel()
			s.drain(last)
			return
		}
	}
}

// drain writes everything that waits.
func (s *Store) drain(ctx context.Context) {
	for len(s.marks) > 0 {
		s.collect(ctx, <-s.marks)
	}
	s.write(ctx)
}

func (s *Store) collect(ctx context.Context, marks []history.Mark) {
	if s.batch = append(s.batch, marks...); len(s.batch) >= batch {
		s.write(ctx)
	}
}

// write writes the batch.
func (s *Store) write(ctx context.Context) {
	if len(s.batch) == 0 {
		return
	}
	err := s.put(ctx)
	switch {
	case err != nil:
		s.dropped.Add(uint64(len(s.batch)))
	case s.full:
		err = errKeys
	default:
		err = errFull
	}
	s.say(err)
	clear(s.batch)
	s.batch = s.batch[:0]
}

// say logs what was lost since it was said last, and why, once in a while.
func (s *Store) say(why error) {
	all, now := s.dropped.Load(), s.o.Now()
	if all == s.lost || !s.said.IsZero() && now.Sub(s.said).Abs() < every {
		return
	}
	s.o.Log.Error("the history of mail cannot be written and is lost", "error", why, "marks", all-s.lost)
	s.said, s.lost = now, all
}

// tally is what a batch adds to one day of a key.
type tally struct{ day, good, bad int64 }

// put adds the batch to its keys, each key once.
func (s *Store) put(ctx context.Context) error {
	days := map[history.Key][]tally{}
	keep := map[history.Key]time.Duration{}
	for _, m := range s.batch {
		t := tally{day: dayOf(m.At), good: 1}
		if m.Bad {
			t.good, t.bad = 0, 1
		}
		all := days[m.Key]
		if i := slices.IndexFunc(all, func(o tally) bool { return o.day == t.day }); i >= 0 {
			all[i].good, all[i].bad = all[i].good+t.good, all[i].bad+t.bad
		} else {
			all = append(all, t)
		}
		days[m.Key] = all
		keep[m.Key] = max(keep[m.Key], min(max(m.Keep, minKeep), maxKeep))
	}
	if err := s.count(ctx); err != nil {
		return err
	}
	keys := make([]history.Key, 0, len(days))
	for k := range days {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b history.Key) int { return cmp.Compare(string(a[:]), string(b[:])) })
	cmds, err := s.conn.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
		for _, k := range keys {
			conn.Script(add).Run(ctx, p, []string{s.key(k)}, s.args(k, keep[k], days[k])...)
		}
	})
	if err != nil {
		return err
	}
	for i, cmd := range cmds {
		switch n, err := cmd.(*redis.Cmd).Int(); {
		case err != nil:
			return err
		case n > 0:
			s.made++
		case n < 0:
			s.dropped.Add(uint64(len(days[keys[i]])))
		}
	}
	return nil
}

func (s *Store) args(k history.Key, keep time.Duration, days []tally) []any {
	args := []any{string(rune(format)) + mine(k), (keep + spare).Milliseconds(), !s.full, maxDays}
	for _, t := range days {
		args = append(args, t.day, t.good, t.bad)
	}
	return args
}

// count adds the keys this node made to those that all made today, and learns whether more
// may be made. It asks only when there is something to add, or the day is new.
func (s *Store) count(ctx context.Context) error {
	day := s.o.Now().UTC().Format("20060102")
	if day == s.day && s.made == 0 && !s.full {
		return nil
	}
	if day != s.day {
		s.day, s.made, s.full = day, 0, false
	}
	key := s.conn.Key("hi", "new", day)
	cmds, err := s.conn.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
		p.IncrBy(ctx, key, s.made)
		p.Expire(ctx, key, 48*time.Hour)
	})
	if err != nil {
		return err
	}
	s.made = 0
	n, err := cmds[0].(*redis.IntCmd).Result()
	s.full = err == nil && n >= int64(s.o.NewKeys)
	return err
}
