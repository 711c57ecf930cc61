package entities

import (
	"context"
	"encoding/binary"
	"math"
	"slices"

	"github.com/redis/go-redis/v9"

	"postern/internal/entity"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/entities/ground"
)

// walk reads the entries of a query one batch at a time.
type walk struct {
	s        *Store
	q        entity.Query
	key      string
	min, max string // of entries, as the command takes them
	over     bool
}

// edge is the bound of entries at a time, or beyond it.
func edge(at int64) string { return string(binary.BigEndian.AppendUint64(nil, uint64(at)^1<<63)) }

func (s *Store) walk(q entity.Query, start entity.Cursor) *walk {
	w := &walk{s: s, q: q, key: s.indexKey(q.Kind, q.Index, q.Value), min: "-", max: "+"}
	if q.From != 0 || q.To != 0 {
		w.min = "[" + edge(q.From)
		if q.To < math.MaxInt64 {
			w.max = "(" + edge(q.To+1)
		}
		w.over = q.From > q.To
	}
	switch {
	case start.ID == "" || !q.Covers(start.At):
		if start.ID != "" { // what lies beyond the bounds ends it, what lies before them does not
			w.over = w.over || q.Rising && start.At > q.To || !q.Rising && start.At < q.From
		}
	case q.Rising:
		w.min = "(" + member(start.At, start.ID)
	default:
		w.max = "(" + member(start.At, start.ID)
	}
	return w
}

// hit is an entry and the record it stands for; the record has no version where there is none
// under this entry.
type hit struct {
	at int64
	r  entity.Record
}

// next reads a batch and goes on behind it.
func (w *walk) next(ctx context.Context, n int) ([]hit, error) {
	if w.over {
		return nil, nil
	}
	var page *redis.StringSliceCmd
	if _, err := w.s.g.Conn.Each(ctx, conn.Write, func(p redis.Pipeliner) {
		by := &redis.ZRangeBy{Min: w.min, Max: w.max, Count: int64(n)}
		if w.q.Rising {
			page = p.ZRangeByLex(ctx, w.key, by)
		} else {
			page = p.ZRevRangeByLex(ctx, w.key, by)
		}
	}); err != nil {
		return nil, err
	}
	if conn.WrongType(page.Err()) {
		w.s.g.Say("an index of records holds something else: run postern store reindex", "kind", w.q.Kind, "index", w.q.Index)
	}
	members := page.Val()
	if w.over = len(members) < n; len(members) == 0 {
		return nil, nil
	}
	if last := "(" + members[len(members)-1]; w.q.Rising {
		w.min = last
	} else {
		w.max = last
	}
	return w.records(ctx, members)
}

// records reads what entries stand for, and takes stale entries away.
func (w *walk) records(ctx context.Context, members []string) ([]hit, error) {
	var out []hit
	var names []Name
	var junk []any
	for _, m := range members {
		at, id, ok := readMember(m)
		if !ok || entity.ValidName(w.q.Kind, id) != nil {
			junk = append(junk, m)
			continue
		}
		out, names = append(out, hit{at: at}), append(names, Name{w.q.Kind, id})
	}
	if len(junk) > 0 {
		if _, err := w.s.g.Conn.Each(ctx, conn.Write, func(p redis.Pipeliner) { p.ZRem(ctx, w.key, junk...) }); err != nil {
			return nil, err
		}
	}
	found, err := w.s.read(ctx, names)
	if err != nil {
		return nil, err
	}
	for i, f := range found {
		k := entity.Key{Index: w.q.Index, Value: w.q.Value, At: out[i].at}
		w.s.lately.keep(names[i], f)
		if f.Born != 0 && slices.Contains(f.Keys, k) {
			out[i].r = f.Record
			continue
		}
		if err := w.s.clean(ctx, entity.Record{Kind: w.q.Kind, ID: names[i].ID}, []entity.Key{k}); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(out, func(h hit) bool { return h.r.Version == 0 }), nil
}

// Find implements entity.Store.
func (s *Store) Find(ctx context.Context, q entity.Query) (out entity.Page, err error) {
	start, err := q.Start()
	if err != nil {
		return out, err
	}
	w, per, weight := s.walk(q, start), q.Per(), 0
	var last entity.Cursor
	for {
		hits, err := w.next(ctx, min(ground.Look, per+1-len(out.Records)))
		if err != nil {
			return entity.Page{}, err
		}
		for _, h := range hits {
			if weight += len(h.r.Data); len(out.Records) == per || len(out.Records) > 0 && weight > entity.MaxWeight {
				out.Next = last.String()
				return out, nil
			}
			out.Records, last = append(out.Records, h.r), entity.Cursor{At: h.at, ID: h.r.ID}
		}
		if w.over {
			return out, nil
		}
	}
}

// counted is up to how many records a count reads. More are counted by their entries alone, among
// which may be what a crash left behind.
const counted = 20

// Count implements entity.Store.
func (s *Store) Count(ctx context.Context, q entity.Query, limit int) (n int, err error) {
	w := s.walk(q, entity.Cursor{})
	if !w.over && limit > counted {
		var entries *redis.StringSliceCmd
		if _, err := s.g.Conn.Each(ctx, conn.Write, func(p redis.Pipeliner) {
			entries = p.ZRangeByLex(ctx, w.key, &redis.ZRangeBy{Min: w.min, Max: w.max, Count: int64(limit)})
		}); err != nil {
			return 0, err
		}
		if n := len(entries.Val()); n > counted {
			return n, nil
		}
	}
	for n < limit {
		hits, err := w.next(ctx, min(ground.Look, limit-n))
		if err != nil {
			return 0, err
		}
		if n += len(hits); w.over {
			break
		}
	}
	return n, ctx.Err()
}
