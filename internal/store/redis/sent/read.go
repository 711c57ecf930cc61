package sent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/abuse/sent"
	"postern/internal/store/redis/conn"
)

// BySerial implements sent.Store.
func (s *Store) BySerial(ctx context.Context, serial string) (sent.Row, error) {
	stored, err := s.get(ctx, serial)
	if err != nil {
		return sent.Row{}, err
	}
	if stored == "" {
		return sent.Row{}, fmt.Errorf("%w: %.50s", sent.ErrNotFound, serial)
	}
	return s.open(serial, stored)
}

// rows reads rows in the order of their serials; those that are gone, or do not verify, are
// left out.
func (s *Store) rows(ctx context.Context, serials []string) ([]sent.Row, error) {
	var out []sent.Row
	for some := range slices.Chunk(serials, atOnce) {
		cmds := make([]*redis.StringCmd, len(some))
		if _, err := s.Conn.Each(ctx, conn.Background, func(p redis.Pipeliner) {
			for i, serial := range some {
				cmds[i] = p.Get(ctx, s.key(serial))
			}
		}); err != nil {
			return nil, err
		}
		for i, cmd := range cmds {
			stored, err := cmd.Result()
			if errors.Is(err, redis.Nil) {
				continue
			}
			r, err := s.open(some[i], stored)
			if err != nil {
				s.Log.Warn("a row of the send log cannot be believed and is left out", "serial", some[i], "error", err)
				continue
			}
			out = append(out, r)
		}
	}
	return out, nil
}

// Same reports which rows stand here, in the log, with just these texts in JSON. One that does
// not verify is not the same.
func (s *Store) Same(ctx context.Context, texts map[string][]byte) (map[string]bool, error) {
	out := make(map[string]bool, len(texts))
	for some := range slices.Chunk(slices.Sorted(maps.Keys(texts)), atOnce) {
		cmds := make([]*redis.StringCmd, len(some))
		listed := make([]*redis.FloatCmd, len(some))
		if _, err := s.Conn.Each(ctx, conn.Background, func(p redis.Pipeliner) {
			for i, serial := range some {
				cmds[i], listed[i] = p.Get(ctx, s.key(serial)), p.ZScore(ctx, s.log("at"), serial)
			}
		}); err != nil {
			return nil, err
		}
		for i, serial := range some {
			if listed[i].Err() != nil {
				continue
			}
			packed, err := s.Ring.Open(kind, serial, []byte(cmds[i].Val()))
			if err != nil {
				continue
			}
			text, _, err := s.codec.Unpack(packed)
			out[serial] = err == nil && bytes.Equal(text, texts[serial])
		}
	}
	return out, nil
}

func (s *Store) serials(ctx context.Context, key string, by redis.ZRangeBy) (out []string, err error) {
	err = s.Conn.Do(ctx, conn.Background, func(ctx context.Context, r redis.UniversalClient) error {
		out, err = r.ZRangeByScore(ctx, key, &by).Result()
		return err
	})
	return out, err
}

// newest are the serials of an index between two times, newest first.
func (s *Store) newest(ctx context.Context, key, from, to string, offset, n int64) (out []string, err error) {
	err = s.Conn.Do(ctx, conn.Background, func(ctx context.Context, r redis.UniversalClient) error {
		out, err = r.ZRevRangeByScore(ctx, key, &redis.ZRangeBy{Min: from, Max: to, Offset: offset, Count: n}).Result()
		return err
	})
	return out, err
}

// find returns the rows of an index that fit, newest first: an index may say too much.
func (s *Store) find(ctx context.Context, key, from, to string, fits func(sent.Row) bool) ([]sent.Row, error) {
	var out []sent.Row
	for offset := int64(0); len(out) < sent.MaxPage; offset += atOnce {
		serials, err := s.newest(ctx, key, from, to, offset, atOnce)
		if err != nil {
			return nil, err
		}
		rows, err := s.rows(ctx, serials)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			if fits(r) && len(out) < sent.MaxPage {
				out = append(out, r)
			}
		}
		if len(serials) < atOnce {
			break
		}
	}
	return out, nil
}

func ms(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// ByMessageID implements sent.Store.
func (s *Store) ByMessageID(ctx context.Context, id string) ([]sent.Row, error) {
	if id == "" {
		return nil, nil
	}
	return s.find(ctx, s.index(byHeader, id), "-inf", "+inf", func(r sent.Row) bool { return r.MessageID == id })
}

// ByQueueID implements sent.Store.
func (s *Store) ByQueueID(ctx context.Context, id string) ([]sent.Row, error) {
	if id == "" {
		return nil, nil
	}
	return s.find(ctx, s.index(byQueue, id), "-inf", "+inf", func(r sent.Row) bool { return slices.Contains(r.QueueIDs(), id) })
}

// ByClient implements sent.Store.
func (s *Store) ByClient(ctx context.Context, ip netip.Addr, port uint16, from, to time.Time) ([]sent.Row, error) {
	if !ip.IsValid() {
		return nil, nil
	}
	ip = ip.Unmap()
	return s.find(ctx, s.index(byClient, ip.String()), ms(from), ms(to), func(r sent.Row) bool {
		return r.Client.Addr() == ip && (port == 0 || r.Client.Port() == port)
	})
}

// ByAccount implements sent.Store. Rows of the same millisecond are in the order of their
// serials, as the index has them.
func (s *Store) ByAccount(ctx context.Context, account string, from, to time.Time, cursor string, limit int) ([]sent.Row, string, error) {
	limit = sent.PageSize(limit)
	at, serial, err := sent.PlaceOf(cursor)
	if err != nil {
		return nil, "", err
	}
	top := ms(to)
	if cursor != "" {
		top = strconv.FormatInt(min(at, to.UnixMilli()), 10)
	}
	var out []sent.Row
	for offset := int64(0); ; offset += atOnce {
		serials, err := s.newest(ctx, s.index(byAccount, account), ms(from), top, offset, atOnce)
		if err != nil {
			return nil, "", err
		}
		rows, err := s.rows(ctx, serials)
		if err != nil {
			return nil, "", err
		}
		for _, r := range rows {
			before := cursor == "" || r.At.UnixMilli() < at || r.At.UnixMilli() == at && r.Serial < serial
			if r.Account == account && before {
				out = append(out, r)
			}
		}
		if len(out) > limit {
			return out[:limit], sent.Place(out[limit-1]), nil
		}
		if len(serials) < atOnce {
			return out, "", nil
		}
	}
}

// Since implements sent.Store. A cursor is what names the log and the number of a change.
func (s *Store) Since(ctx context.Context, cursor string, limit int) ([]sent.Row, string, error) {
	var last int64
	name, number, _ := strings.Cut(cursor, ":")
	if cursor != "" {
		var err error
		if last, err = strconv.ParseInt(number, 10, 64); err != nil || last < 0 {
			return nil, "", fmt.Errorf("%w: %.40q", sent.ErrCursor, cursor)
		}
	}
	var id *redis.StringCmd
	var log *redis.ZSliceCmd
	if _, err := s.Conn.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
		id = p.Get(ctx, s.log("id"))
		log = p.ZRangeByScoreWithScores(ctx, s.log("log"), &redis.ZRangeBy{Min: "(" + strconv.FormatInt(last, 10), Max: "+inf", Count: int64(sent.PageSize(limit))})
	}); err != nil {
		return nil, "", err
	}
	now := id.Val()
	switch {
	case cursor == "" || name == now:
	case name == empty && last == 0: // handed out before the first row
	default:
		return nil, "", fmt.Errorf("%w: %.40q", sent.ErrCursor, cursor)
	}
	if now == "" {
		now = empty
	}
	var serials []string
	for _, z := range log.Val() {
		if serial, ok := z.Member.(string); ok {
			serials = append(serials, serial)
			last = int64(z.Score)
		}
	}
	rows, err := s.rows(ctx, serials)
	return rows, now + ":" + strconv.FormatInt(last, 10), err
}

// empty names a log without a row.
const empty = "-"

// Size implements sent.Store.
func (s *Store) Size(ctx context.Context) (rows, bytes int64, err error) {
	var n *redis.IntCmd
	var size *redis.StringCmd
	if _, err := s.Conn.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
		n, size = p.ZCard(ctx, s.log("at")), p.Get(ctx, s.log("bytes"))
	}); err != nil {
		return 0, 0, err
	}
	bytes, _ = strconv.ParseInt(size.Val(), 10, 64) // "" before the first row
	return n.Val(), max(bytes, 0), nil
}

// Purge implements sent.Store.
func (s *Store) Purge(ctx context.Context, before time.Time) (n int, err error) {
	for {
		old, err := s.serials(ctx, s.log("at"), redis.ZRangeBy{Min: "-inf", Max: "(" + ms(before), Count: atOnce})
		if err != nil || len(old) == 0 {
			if err == nil {
				s.Event("send-log-cap", "", true)
			}
			return n, err
		}
		if err := s.forget(ctx, old); err != nil {
			return n, err
		}
		n += len(old)
	}
}

// Forget implements sent.Store.
func (s *Store) Forget(ctx context.Context, serials []string) error {
	if len(serials) == 0 {
		return nil
	}
	return s.forget(ctx, serials)
}

// forget removes rows: first what leads to them, last their place in the log, so that what
// fails in between is found again.
func (s *Store) forget(ctx context.Context, serials []string) error {
	rows, err := s.rows(ctx, serials)
	if err != nil {
		return err
	}
	sizes := make([]*redis.IntCmd, len(serials))
	if _, err := s.Conn.Each(ctx, conn.Background, func(p redis.Pipeliner) {
		for i, serial := range serials {
			sizes[i] = p.StrLen(ctx, s.key(serial))
		}
	}); err != nil {
		return err
	}
	total := int64(0)
	for _, n := range sizes {
		total += n.Val()
	}
	members := make([]any, len(serials))
	if _, err := s.Conn.Each(ctx, conn.Background, func(p redis.Pipeliner) {
		for _, r := range rows {
			for _, k := range s.indexes(r) {
				p.ZRem(ctx, k, r.Serial)
			}
		}
		for i, serial := range serials {
			members[i] = serial
			p.Unlink(ctx, s.key(serial))
		}
	}); err != nil {
		return err
	}
	_, err = s.Conn.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
		p.ZRem(ctx, s.log("log"), members...)
		p.IncrBy(ctx, s.log("bytes"), -total)
		p.ZRem(ctx, s.log("at"), members...)
	})
	return err
}
