package reports

import (
	"cmp"
	"context"
	"slices"

	"github.com/redis/go-redis/v9"

	"postern/internal/report"
	"postern/internal/store/redis/conn"
)

// Done implements report.Store. The note and the end of its domain's turn are one transaction.
func (s *Store) Done(ctx context.Context, d report.Sent) error {
	if !isDay(d.Day) {
		return errUnknownDay
	}
	stored, err := s.put(d)
	if err != nil {
		return err
	}
	if err := s.pipe(ctx, func(p redis.Pipeliner) { p.SAdd(ctx, s.daysKey(), d.Day) }); err != nil {
		return err
	}
	return s.o.Conn.Do(ctx, conn.Write, func(ctx context.Context, r redis.UniversalClient) error {
		_, err := r.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.HSet(ctx, s.key(d.Day, "sent"), d.Domain, stored)
			p.ZAdd(ctx, s.key(d.Day, "at"), redis.Z{Score: -float64(d.At.UnixMilli()), Member: d.Domain})
			p.ZRem(ctx, s.key(d.Day, "due"), d.Domain)
			return nil
		})
		return err
	})
}

// noted is where a note lies.
type noted struct {
	day, domain string
	at          int64
}

// Sent implements report.Store.
func (s *Store) Sent(ctx context.Context, domain string, limit int) ([]report.Sent, error) {
	if limit <= 0 {
		return nil, nil
	}
	days, err := s.days(ctx)
	if err != nil {
		return nil, err
	}
	var all []noted
	if domain == "" {
		if all, err = s.newest(ctx, days, limit); err != nil {
			return nil, err
		}
	} else {
		for _, day := range days {
			all = append(all, noted{day: day, domain: domain})
		}
	}
	out, err := s.notes(ctx, all)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(out, func(a, b report.Sent) int {
		return cmp.Or(cmp.Compare(b.At.UnixMilli(), a.At.UnixMilli()), cmp.Compare(b.Day, a.Day), cmp.Compare(a.Domain, b.Domain))
	})
	return out[:min(len(out), limit)], nil
}

// newest are the places of the newest notes of all days.
func (s *Store) newest(ctx context.Context, days []string, limit int) ([]noted, error) {
	cmds := make([]*redis.ZSliceCmd, len(days))
	if err := s.pipe(ctx, func(p redis.Pipeliner) {
		for i, day := range days {
			cmds[i] = p.ZRangeWithScores(ctx, s.key(day, "at"), 0, int64(limit)-1)
		}
	}); err != nil {
		return nil, err
	}
	var out []noted
	for i, cmd := range cmds {
		for _, z := range cmd.Val() {
			domain, _ := z.Member.(string)
			out = append(out, noted{days[i], domain, -int64(z.Score)})
		}
	}
	slices.SortFunc(out, func(a, b noted) int {
		return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(b.day, a.day), cmp.Compare(a.domain, b.domain))
	})
	return out[:min(len(out), limit)], nil
}

// notes reads notes; what is none is left out.
func (s *Store) notes(ctx context.Context, all []noted) ([]report.Sent, error) {
	var out []report.Sent
	for part := range slices.Chunk(all, atOnce) {
		cmds := make([]*redis.StringCmd, len(part))
		if err := s.pipe(ctx, func(p redis.Pipeliner) {
			for i, n := range part {
				cmds[i] = p.HGet(ctx, s.key(n.day, "sent"), n.domain)
			}
		}); err != nil {
			return nil, err
		}
		for i, cmd := range cmds {
			if cmd.Err() != nil { // no note
				continue
			}
			var d report.Sent
			if err := s.get(cmd.Val(), &d); err != nil || d.Day != part[i].day || d.Domain != part[i].domain {
				s.damage("a note of " + part[i].day)
				continue
			}
			out = append(out, d)
		}
	}
	return out, nil
}
