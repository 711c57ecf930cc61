package traffic

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/filter"
	"postern/internal/record"
	"postern/internal/store/redis/traffic/match"
)

// hour names the keys of an hour: "2026112209", in UTC.
type hour string

const hourLayout = "2006010215"

// hourMs is an hour in milliseconds.
const hourMs = int64(time.Hour / time.Millisecond)

func hourOf(ms int64) hour { return hour(time.UnixMilli(ms).UTC().Format(hourLayout)) }

// begin is the first millisecond of the hour; ok is false when this is no hour.
func (h hour) begin() (ms int64, ok bool) {
	t, err := time.Parse(hourLayout, string(h))
	return t.UnixMilli(), err == nil && hour(t.Format(hourLayout)) == h
}

const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// idTime is when a message ID was made.
func idTime(id string) (ms int64, ok bool) {
	if !filter.ValidID(id) || id[0] > '7' {
		return 0, false
	}
	for i := range 10 {
		for d := range int64(len(crockford)) {
			if crockford[d] == id[i] {
				ms = ms<<5 | d
				break
			}
		}
	}
	return ms, ms < lastMs
}

// lastMs ends the year 9999: hours have names of ten digits.
const lastMs = 253402300800000

// firstID is in front of every ID made at ms or later, and behind all made before.
func firstID(ms int64) string {
	var id [filter.IDLen]byte
	for i := range id {
		id[i] = '0'
	}
	for i := 9; i >= 0; i-- {
		id[i] = crockford[ms&31]
		ms >>= 5
	}
	return string(id[:])
}

// slack is how far the time of a row and that of its ID may lie apart: they are read one after
// the other.
const slack = int64(time.Minute / time.Millisecond)

// placeOf is the moment under which a row is kept: that of its ID, by which rows are ordered.
// A row whose ID tells no time, or another one than the row, is kept by its own.
func placeOf(r *record.Row) int64 {
	own := min(max(r.Time.UnixMilli(), 0), lastMs-1)
	if ms, ok := idTime(r.ID); ok && ms-own <= slack && own-ms <= slack {
		return ms
	}
	return own
}

// held is what the store has of an hour, by the counting of those who wrote it.
type held struct {
	hour        hour
	begin       int64
	rows, bytes int64
}

// key is the name of a key of an hour; all of them are in one slot.
func (s *Store) key(h hour, part string) string { return s.o.Conn.Key("{tr:"+string(h)+"}", part) }

// sums is the name of the hash that has a number for each hour.
func (s *Store) sums(what string) string { return s.o.Conn.Key("{tr}", what) }

// hours lists what there is, newest first.
func (s *Store) hours(ctx context.Context) ([]held, error) {
	rows, bytes, err := s.readSums(ctx)
	if damaged(err) {
		s.damage(1, "the list of hours")
		if err := s.Reindex(ctx); err != nil {
			return nil, err
		}
		rows, bytes, err = s.readSums(ctx)
	}
	if err != nil {
		return nil, err
	}
	var out []held
	for name, n := range rows {
		h := held{hour: hour(name)}
		begin, ok := h.hour.begin()
		if !ok {
			s.damage(1, "an hour in the list of hours")
			continue
		}
		h.begin = begin
		h.rows, _ = strconv.ParseInt(n, 10, 64)
		h.bytes, _ = strconv.ParseInt(bytes[name], 10, 64)
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b held) int { return int((b.begin - a.begin) / hourMs) })
	return out, nil
}

func (s *Store) readSums(ctx context.Context) (rows, bytes map[string]string, err error) {
	var r, b *redis.MapStringStringCmd
	if err := s.pipe(ctx, func(p redis.Pipeliner) {
		r, b = p.HGetAll(ctx, s.sums("rows")), p.HGetAll(ctx, s.sums("bytes"))
	}); err != nil {
		return nil, nil, err
	}
	return r.Val(), b.Val(), errors.Join(r.Err(), b.Err())
}

// Reindex makes the list of hours anew, of what is found of those that are kept. The rest of
// the index lies in the hours themselves and is never behind. Rows are guessed until Prune
// drops their hour.
func (s *Store) Reindex(ctx context.Context) error {
	if err := s.pipe(ctx, func(p redis.Pipeliner) { p.Unlink(ctx, s.sums("rows")); p.Unlink(ctx, s.sums("bytes")) }); err != nil {
		return err
	}
	keep := s.o.Keep
	if keep <= 0 || keep > reindexMost {
		keep = reindexMost
	}
	now := s.o.Now().UnixMilli()
	found := map[hour]*redis.IntCmd{}
	if err := s.pipe(ctx, func(p redis.Pipeliner) {
		for ms := now + hourMs; ms > now-keep.Milliseconds(); ms -= hourMs {
			found[hourOf(ms)] = p.HLen(ctx, s.key(hourOf(ms), "b"))
		}
	}); err != nil {
		return err
	}
	err := s.pipe(ctx, func(p redis.Pipeliner) {
		for h, n := range found {
			if n.Val() > 0 {
				p.HIncrBy(ctx, s.sums("rows"), string(h), n.Val()*blockRows)
				p.HIncrBy(ctx, s.sums("bytes"), string(h), n.Val()*blockRows*usual)
			}
		}
	})
	return err
}

// reindexMost bounds the hours that are looked for.
const reindexMost = 60 * 24 * time.Hour

// usual is what a row is taken to need where nobody counted.
const usual = 300

// Prune implements record.Traffic. Hours go whole: rows of the hour that t lies in stay.
func (s *Store) Prune(ctx context.Context, t time.Time) (n int, err error) {
	all, err := s.hours(ctx)
	if err != nil {
		return 0, err
	}
	for _, h := range slices.Backward(all) {
		if h.begin+hourMs > t.UnixMilli() {
			break
		}
		if err := s.drop(ctx, h.hour); err != nil {
			return n, err
		}
		n += int(h.rows)
	}
	return n, nil
}

// drop removes an hour; its name goes last, so that a fault in between leaves nothing behind.
func (s *Store) drop(ctx context.Context, h hour) error {
	if err := s.pipe(ctx, func(p redis.Pipeliner) { p.Unlink(ctx, s.keysOf(h)...) }); err != nil {
		return err
	}
	err := s.pipe(ctx, func(p redis.Pipeliner) {
		p.HDel(ctx, s.sums("rows"), string(h))
		p.HDel(ctx, s.sums("bytes"), string(h))
	})
	return err
}

// keysOf are all keys of an hour.
func (s *Store) keysOf(h hour) []string {
	keys := []string{s.key(h, "b"), s.key(h, "o"), s.key(h, "a")}
	for n := range match.Lists {
		keys = append(keys, s.shardKey(h, n))
	}
	return keys
}

func (s *Store) shardKey(h hour, n int) string { return s.key(h, "i:"+strconv.Itoa(n)) }

// trim drops the oldest hours while all of them hold more than may be. It reports whether the
// newest hour alone does: then there is no room for rows.
func (s *Store) trim(ctx context.Context) (full bool, err error) {
	if s.o.Cap <= 0 {
		return false, nil
	}
	all, err := s.hours(ctx)
	if err != nil {
		return false, err
	}
	total := int64(0)
	for _, h := range all {
		total += h.bytes
	}
	for len(all) > 1 && total > s.o.Cap {
		oldest := all[len(all)-1]
		s.capped.Do(func() {
			s.o.Log.Warn("traffic records reached their cap in redis: from now on the oldest hours go first", "cap", s.o.Cap, "hour", oldest.hour)
		})
		if err := s.drop(ctx, oldest.hour); err != nil {
			return false, err
		}
		total -= oldest.bytes
		all = all[:len(all)-1]
	}
	return total > s.o.Cap, nil
}

// Estimate is what traffic needs in the store.
type Estimate struct {
	Hours    int   `json:"hours"`
	Rows     int64 `json:"rows"`
	Bytes    int64 `json:"bytes"`   // as counted by those who wrote
	PerRow   int64 `json:"per_row"` // 0 without rows
	DayRows  int64 `json:"day_rows"`
	DayBytes int64 `json:"day_bytes"` // of the last 24 hours
}

// Estimate says what is stored; rows that were written twice after a fault count twice.
func (s *Store) Estimate(ctx context.Context) (Estimate, error) {
	all, err := s.hours(ctx)
	if err != nil {
		return Estimate{}, err
	}
	e := Estimate{Hours: len(all)}
	dayAgo := s.o.Now().UnixMilli() - 24*hourMs
	for _, h := range all {
		e.Rows += h.rows
		e.Bytes += h.bytes
		if h.begin > dayAgo {
			e.DayRows += h.rows
			e.DayBytes += h.bytes
		}
	}
	if e.Rows > 0 {
		e.PerRow = e.Bytes / e.Rows
	}
	return e, nil
}
