package campaign

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/filter/campaign"
	"postern/internal/store/redis/conn"
)

// Causes of a loss.
var (
	errFull   = errors.New("too many copies wait for the store: these are lost")
	errClosed = errors.New("the store is closed")
	errPrints = errors.New("too many new letters for one day")
)

// Add implements campaign.Store. Copies for which there is no room are counted and said once in
// a while: an error for every message would flood the log.
func (s *Store) Add(_ context.Context, c campaign.Copy) error {
	select {
	case <-s.stop:
		return errClosed
	default:
	}
	select {
	case s.copies <- c:
	default:
		s.dropped.Add(1)
	}
	return nil
}

// Sync returns when the copies taken before are written or lost.
func (s *Store) Sync(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case s.flush <- done:
	case <-s.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) run() {
	defer close(s.done)
	ctx := context.Background() // copies outlive the sessions they are of
	due := time.NewTimer(linger)
	defer due.Stop()
	for {
		select {
		case c := <-s.copies:
			if len(s.batch) == 0 {
				due.Reset(linger)
			}
			s.collect(ctx, c)
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
	for len(s.copies) > 0 {
		s.collect(ctx, <-s.copies)
	}
	s.write(ctx)
}

func (s *Store) collect(ctx context.Context, c campaign.Copy) {
	if s.batch = append(s.batch, c); len(s.batch) >= batch {
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
		err = errPrints
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
	s.o.Log.Error("the campaigns of mail cannot be written and are lost", "error", why, "copies", all-s.lost)
	s.said, s.lost = now, all
}

// put writes the copies, and files their prints after that: what is filed is there.
func (s *Store) put(ctx context.Context) error {
	if err := s.count(ctx); err != nil {
		return err
	}
	keep := s.o.Keep.Milliseconds()
	texts := make([]string, len(s.batch))
	for i, c := range s.batch {
		text, err := json.Marshal(c)
		if err != nil {
			return err
		}
		texts[i] = string(text)
	}
	cmds, err := s.conn.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
		for i, c := range s.batch {
			delivered := 0
			if c.State == campaign.Delivered {
				delivered = 1
			}
			source := string(binary.BigEndian.AppendUint64([]byte("s"), campaign.Hash(c.Source)))
			add.Run(ctx, p, []string{s.key(c.Print, ofGroup), s.key(c.Print, ofCopies)},
				c.At.UnixMilli(), delivered, source, texts[i], campaign.MaxCopies, campaign.MaxSources, keep, !s.full)
		}
	})
	if err != nil {
		return err
	}
	var kept []campaign.Copy
	for i, cmd := range cmds {
		switch n, err := cmd.(*redis.Cmd).Int(); {
		case err != nil:
			return err
		case n < 0:
			s.dropped.Add(1)
			continue
		case n > 0:
			s.made++
		}
		kept = append(kept, s.batch[i])
	}
	if err := s.file(ctx, kept, s.o.Keep); err != nil || s.made == 0 {
		return err
	}
	return s.count(ctx)
}

// file files prints under their parts and the day.
func (s *Store) file(ctx context.Context, kept []campaign.Copy, keep time.Duration) error {
	if len(kept) == 0 {
		return nil
	}
	_, err := s.conn.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
		for _, c := range kept {
			for _, b := range c.Print.Bands() {
				file.Run(ctx, p, []string{s.band(b)}, c.At.UnixMilli(), c.Print.String(), crowd, keep.Milliseconds())
			}
			file.Run(ctx, p, []string{s.dayOf(c.At)}, c.At.UnixMilli(), c.Print.String(), 2*s.o.NewPrints, (keep + 48*time.Hour).Milliseconds())
		}
	})
	return err
}

// count adds the prints this node made to those that all made today, and learns whether more
// may be made. It asks only when there is something to add, or the day is new.
func (s *Store) count(ctx context.Context) error {
	now := s.o.Now()
	day := now.UTC().Format("20060102")
	if day == s.day && s.made == 0 && !s.full {
		return nil
	}
	if day != s.day {
		s.day, s.made, s.full = day, 0, false
	}
	key := s.made24(now)
	cmds, err := s.conn.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
		p.IncrBy(ctx, key, s.made)
		p.PExpire(ctx, key, s.o.Keep+48*time.Hour)
	})
	if err != nil {
		return err
	}
	s.made = 0
	n, err := cmds[0].(*redis.IntCmd).Result()
	s.full = err == nil && n >= int64(s.o.NewPrints)
	return err
}

// file files a print under its latest time. KEYS: the set. ARGV: time, print, most prints,
// milliseconds to keep. The oldest of too many go.
const file conn.Script = `
redis.call('ZADD', KEYS[1], 'GT', ARGV[1], ARGV[2])
local over = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[3])
if over > 0 then
  for _, old in ipairs(redis.call('ZRANGE', KEYS[1], 0, over - 1)) do redis.call('ZREM', KEYS[1], old) end
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return over`

// add adds a copy to its print. KEYS: the group, its copies. ARGV: time in milliseconds, 1 where
// it was delivered, the field of its source, the copy, most copies, most sources, milliseconds to
// keep, whether a new print may be made. It returns 1 for a new print, 0 for an old one, -1 for
// one that may not be made. Of too many sources the one seen longest ago goes.
const add conn.Script = `
local g, c = KEYS[1], KEYS[2]
local fresh = redis.call('EXISTS', g) == 0 and 1 or 0
if fresh == 1 and ARGV[8] == '0' then return -1 end
local at = tonumber(ARGV[1])
local function edge(field, better)
  local v = tonumber(redis.call('HGET', g, field) or '')
  if v == nil or better(at, v) then redis.call('HSET', g, field, ARGV[1]) end
end
edge('f', function(a, b) return a < b end)
edge('l', function(a, b) return a > b end)
redis.call('HINCRBY', g, 'n', 1)
redis.call('HINCRBY', g, 'd', ARGV[2])
edge(ARGV[3], function(a, b) return a > b end)
if redis.call('HLEN', g) > 4 + tonumber(ARGV[6]) then
  local oldest, when = nil, nil
  local all = redis.call('HGETALL', g)
  for i = 1, #all, 2 do
    local t = tonumber(all[i + 1]) or 0
    if string.sub(all[i], 1, 1) == 's' and (when == nil or t < when) then oldest, when = all[i], t end
  end
  if oldest then redis.call('HDEL', g, oldest) end
end
redis.call('RPUSH', c, ARGV[4])
redis.call('LTRIM', c, -tonumber(ARGV[5]), -1)
redis.call('PEXPIRE', g, ARGV[7])
redis.call('PEXPIRE', c, ARGV[7])
return fresh`
