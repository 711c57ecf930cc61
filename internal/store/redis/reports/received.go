package reports

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/report"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/pack"
)

// receivedKeys are the keys of received reports, in the order of the scripts.
func (s *Store) receivedKeys() []string {
	var out []string
	for _, part := range []string{"brief", "whole", "end", "came", "size"} {
		out = append(out, s.o.Conn.Key("{rr}", part))
	}
	return out
}

// The keys of receivedKeys by name.
const (
	brief = iota
	whole
	end
	came
)

// forget removes a report, within the other scripts.
const forget = `
local function grow(n)
	local size = redis.pcall('INCRBY', KEYS[5], n)
	if type(size) == 'table' then -- it is no number: counted anew
		redis.call('DEL', KEYS[5])
		return redis.call('INCRBY', KEYS[5], n)
	end
	return size
end
local size = 0
local function forget(key)
	local a, b = redis.call('HGET', KEYS[1], key), redis.call('HGET', KEYS[2], key)
	size = grow(-(#(a or '') + #(b or '')))
	redis.call('HDEL', KEYS[1], key)
	redis.call('HDEL', KEYS[2], key)
	redis.call('ZREM', KEYS[3], key)
	redis.call('ZREM', KEYS[4], key)
end
`

// add keeps a report that is not there yet and makes room for it: it returns -1, or the number
// of reports that went. The new one stays, however large.
const add = conn.Script(forget + `
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then
	return -1
end
size = grow(#ARGV[2] + #ARGV[3])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
redis.call('ZADD', KEYS[3], ARGV[4], ARGV[1])
redis.call('ZADD', KEYS[4], ARGV[5], ARGV[1])
local gone = 0
while size > tonumber(ARGV[6]) and gone < 100 do
	local old = redis.call('ZRANGE', KEYS[4], 0, 1)
	if #old < 2 then
		break
	end
	forget(old[1] == ARGV[1] and old[2] or old[1])
	gone = gone + 1
end
return gone`)

// prune removes some of the reports that came before a time and returns how many.
const prune = conn.Script(forget + `
local old = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', '(' .. ARGV[1], 'LIMIT', 0, ARGV[2])
for _, key in ipairs(old) do
	forget(key)
end
return #old`)

// Add implements report.Store.
func (s *Store) Add(ctx context.Context, r report.Received) (added bool, err error) {
	all, err := s.put(r)
	if err != nil {
		return false, err
	}
	slim := r
	slim.DMARC, slim.TLS = nil, nil
	few, err := s.put(slim)
	if err != nil {
		return false, err
	}
	gone, err := s.run(ctx, conn.Write, add, r.Key, few, all, r.End.UnixMilli(), r.At.UnixMilli(), s.o.Cap)
	if err == nil && gone > 0 {
		s.capped.Do(func() {
			s.o.Log.Warn("received reports reached their cap in redis: from now on the oldest go", "cap", s.o.Cap)
		})
	}
	return gone >= 0 && err == nil, err
}

func (s *Store) run(ctx context.Context, kind conn.Kind, script conn.Script, args ...any) (n int64, err error) {
	err = s.o.Conn.Do(ctx, kind, func(ctx context.Context, r redis.UniversalClient) error {
		n, err = script.Run(ctx, r, s.receivedKeys(), args...).Int64()
		return err
	})
	return n, err
}

// defaultLimit is the page of a query that names none.
const defaultLimit = 100

// Received implements report.Store.
func (s *Store) Received(ctx context.Context, q report.Query) ([]report.Received, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	by := redis.ZRangeBy{Min: "-inf", Max: "+inf", Count: atOnce}
	if !q.Since.IsZero() {
		by.Min = strconv.FormatInt(q.Since.UnixMilli(), 10)
	}
	after, ok, err := s.after(ctx, q.After)
	if err != nil || !ok {
		return nil, err
	}
	if q.After != "" {
		by.Max = strconv.FormatInt(after, 10)
	}
	var out []report.Received
	for ; len(out) < limit; by.Offset += by.Count {
		var page *redis.ZSliceCmd
		if err := s.pipe(ctx, func(p redis.Pipeliner) {
			page = p.ZRevRangeByScoreWithScores(ctx, s.receivedKeys()[end], &by)
		}); err != nil {
			return nil, err
		}
		var keys []string
		for _, z := range page.Val() {
			key, _ := z.Member.(string)
			if q.After == "" || int64(z.Score) < after || key < q.After {
				keys = append(keys, key)
			}
		}
		some, err := s.briefs(ctx, keys, q)
		if err != nil {
			return nil, err
		}
		if out = append(out, some...); len(page.Val()) < atOnce {
			break
		}
	}
	return out[:min(len(out), limit)], nil
}

// after is the end of the period of the report that a page goes on behind; ok is false when
// there is no such report.
func (s *Store) after(ctx context.Context, key string) (ms int64, ok bool, err error) {
	if key == "" {
		return 0, true, nil
	}
	var cmd *redis.FloatCmd
	if err := s.pipe(ctx, func(p redis.Pipeliner) { cmd = p.ZScore(ctx, s.receivedKeys()[end], key) }); err != nil {
		return 0, false, err
	}
	return int64(cmd.Val()), cmd.Err() == nil, nil
}

// briefs reads reports without their content, as far as the query asks for them.
func (s *Store) briefs(ctx context.Context, keys []string, q report.Query) (out []report.Received, err error) {
	if len(keys) == 0 {
		return nil, nil
	}
	var cmd *redis.SliceCmd
	if err := s.pipe(ctx, func(p redis.Pipeliner) { cmd = p.HMGet(ctx, s.receivedKeys()[brief], keys...) }); err != nil {
		return nil, err
	}
	for i, v := range cmd.Val() {
		stored, there := v.(string)
		if !there { // dropped meanwhile
			continue
		}
		var r report.Received
		if err := s.get(stored, &r); err != nil || r.Key != keys[i] {
			s.damage("a received report")
			continue
		}
		if (q.Kind == "" || r.Kind == q.Kind) && (q.Domain == "" || r.Domain == q.Domain) {
			out = append(out, r)
		}
	}
	return out, nil
}

// Report implements report.Store.
func (s *Store) Report(ctx context.Context, key string) (r report.Received, ok bool, err error) {
	var cmd *redis.StringCmd
	if err := s.pipe(ctx, func(p redis.Pipeliner) { cmd = p.HGet(ctx, s.receivedKeys()[whole], key) }); err != nil {
		return r, false, err
	}
	if errors.Is(cmd.Err(), redis.Nil) {
		return r, false, nil
	}
	if err := s.get(cmd.Val(), &r); err != nil {
		s.damage("a received report")
		return report.Received{}, false, err
	}
	if r.Key != key {
		s.damage("a received report")
		return report.Received{}, false, fmt.Errorf("%w: it is another report", pack.ErrDamaged)
	}
	return r, true, nil
}

// Prune implements report.Store.
func (s *Store) Prune(ctx context.Context, before time.Time) error {
	days, err := s.days(ctx)
	if err != nil {
		return err
	}
	for _, day := range days {
		if day >= report.DayOf(before) {
			break
		}
		if err := s.dropDay(ctx, day); err != nil {
			return err
		}
	}
	for {
		n, err := s.run(ctx, conn.Background, prune, before.UnixMilli(), atOnce)
		if err != nil || n == 0 {
			return err
		}
	}
}

// dropDay removes a day; its name goes last, so that a fault in between leaves nothing behind.
func (s *Store) dropDay(ctx context.Context, day string) error {
	for cursor := uint64(0); ; {
		var cmd *redis.ScanCmd
		if err := s.pipe(ctx, func(p redis.Pipeliner) { cmd = p.SScan(ctx, s.key(day, "all"), cursor, "", atOnce) }); err != nil {
			return err
		}
		domains, next := cmd.Val()
		if err := s.pipe(ctx, func(p redis.Pipeliner) {
			for _, domain := range domains {
				counts, rows := s.rowsKeys(day, domain)
				p.Unlink(ctx, counts, rows)
			}
		}); err != nil {
			return err
		}
		if cursor = next; cursor == 0 {
			break
		}
	}
	if err := s.pipe(ctx, func(p redis.Pipeliner) {
		p.Unlink(ctx, s.key(day, "all"), s.key(day, "due"), s.key(day, "sent"), s.key(day, "at"))
	}); err != nil {
		return err
	}
	return s.pipe(ctx, func(p redis.Pipeliner) { p.SRem(ctx, s.daysKey(), day) })
}
