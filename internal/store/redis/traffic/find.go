package traffic

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/record"
	"postern/internal/store/redis/traffic/match"
)

// Bounds of one Find. Where they end it, the page says where to go on.
const (
	findTime   = 10 * time.Second
	findBlocks = 8192
	groupRows  = 2_000_000 // rows whose lists are read at once
	groupHours = 32
	readLeast  = 8 // blocks read at once, at first
	readMost   = 64
)

// walk is one search, from the newest hour to the oldest.
type walk struct {
	s      *Store
	m      *match.Matcher
	terms  []match.Term
	size   int
	before int64 // no row of the page is later
	found  []record.Row
	blocks int
	until  time.Time
}

// Find implements record.Traffic. It waits for the rows added here before. A search that
// would take too long ends early: its page has a Next, and may hold no row.
func (s *Store) Find(ctx context.Context, q record.Trace) (record.Page, error) {
	if err := s.settle(ctx); err != nil {
		return record.Page{}, err
	}
	m, ok := match.New(q)
	if !ok {
		return record.Page{}, nil
	}
	w := &walk{s: s, m: m, terms: m.Terms(), size: q.PageSize(), before: lastMs, until: time.Now().Add(findTime)}
	if end, ok := ctx.Deadline(); ok { // a part of the time is kept for the answer
		if end = end.Add(-time.Until(end) / 4); end.Before(w.until) {
			w.until = end
		}
	}
	if ms, ok := idTime(q.After); ok {
		w.before = ms
		if q.After == firstID(ms) {
			w.before = ms - 1
		}
	}
	all, err := s.hours(ctx)
	if err != nil {
		return record.Page{}, err
	}
	return w.run(ctx, w.concerned(all))
}

// concerned are the hours in which there can be an answer; the one that the ID asked for
// tells goes first.
func (w *walk) concerned(all []held) []held {
	out := all[:0]
	id, exact := idTime(w.m.ID())
	for _, h := range all {
		end := h.begin + hourMs
		if h.begin > w.before || !w.m.During(h.begin-slack, end+slack) {
			continue
		}
		out = append(out, h)
		if exact && id >= h.begin && id < end {
			copy(out[1:], out)
			out[0] = h
		}
	}
	return out
}

// run reads hours in groups: one first, for what is asked most is new.
func (w *walk) run(ctx context.Context, hours []held) (record.Page, error) {
	for most := 1; len(hours) > 0; most = min(2*most, groupHours) {
		if end := hours[0].begin + hourMs - 1; most > 1 && end < w.before && !w.time() {
			return w.cut(end), nil
		}
		n, rows := 1, hours[0].rows
		for n < min(len(hours), most) && rows+hours[n].rows <= groupRows {
			rows += hours[n].rows
			n++
		}
		places, err := w.places(ctx, hours[:n])
		if err != nil {
			return record.Page{}, err
		}
		for i, h := range hours[:n] {
			stop, cut, err := w.hour(ctx, h, places[i])
			if err != nil {
				return record.Page{}, err
			}
			if cut >= 0 {
				return w.cut(cut), nil
			}
			if stop || len(w.found) > w.size || w.m.ID() != "" && len(w.found) > 0 {
				return w.page(), nil
			}
		}
		hours = hours[n:]
	}
	return w.page(), nil
}

func (w *walk) time() bool { return w.blocks < findBlocks && time.Now().Before(w.until) }

// places are the blocks of each hour in which all terms were seen, and those that still grow,
// latest end first.
func (w *walk) places(ctx context.Context, hours []held) ([][]place, error) {
	grow := make([]*redis.MapStringStringCmd, len(hours))
	lists := make([][]*redis.StringSliceCmd, len(hours))
	if err := w.s.pipe(ctx, func(p redis.Pipeliner) {
		for i, h := range hours {
			grow[i] = p.HGetAll(ctx, w.s.key(h.hour, "o")) // first: a block leaves it after it was indexed
			for _, t := range w.terms {
				lists[i] = append(lists[i], p.LRange(ctx, w.s.shardKey(h.hour, t.List()), 0, -1))
			}
			if len(w.terms) == 0 {
				lists[i] = append(lists[i], p.LRange(ctx, w.s.key(h.hour, "a"), 0, -1))
			}
		}
	}); err != nil {
		return nil, err
	}
	out := make([][]place, len(hours))
	for i, h := range hours {
		seen := map[blockName]int{}
		of := map[blockName]place{}
		bad := 0
		for n, list := range lists[i] {
			bad += w.entries(h, list, n, seen, of)
		}
		for name, at := range grow[i].Val() {
			p, ok := placeAt([]byte(at), h.begin)
			if !ok || name != string(p.name[:]) {
				bad++
				continue
			}
			seen[p.name], of[p.name] = len(lists[i]), p
		}
		if damaged(grow[i].Err()) {
			bad++
		}
		if bad > 0 {
			w.s.damage(bad, "the index of hour "+string(h.hour))
		}
		out[i] = w.chosen(seen, of, len(lists[i]))
	}
	return out, nil
}

// entries takes the blocks of one list that name its term: seen counts the lists that named
// a block so far.
func (w *walk) entries(h held, list *redis.StringSliceCmd, n int, seen map[blockName]int, of map[blockName]place) (bad int) {
	if damaged(list.Err()) {
		return 1
	}
	for _, text := range list.Val() {
		entry := []byte(text)
		p, ok := placeAt(entry, h.begin)
		if !ok || len(entry)%2 == 0 {
			bad++
			continue
		}
		if seen[p.name] != n || len(w.terms) > 0 && !hasPrint(entry, w.terms[n]) {
			continue
		}
		seen[p.name], of[p.name] = n+1, p
	}
	return bad
}

func (w *walk) chosen(seen map[blockName]int, of map[blockName]place, lists int) []place {
	var out []place
	for name, n := range seen {
		p := of[name]
		if n != lists || p.lo > w.before || !w.m.During(p.lo-slack, p.hi+slack) {
			continue
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b place) int {
		if a.hi != b.hi {
			return int(b.hi - a.hi)
		}
		return strings.Compare(string(a.name[:]), string(b.name[:]))
	})
	return out
}

// hour reads blocks until the page is full (stop) or there is no more time: cut is then the
// last moment whose rows may be missing, else -1.
func (w *walk) hour(ctx context.Context, h held, places []place) (stop bool, cut int64, err error) {
	for n := readLeast; len(places) > 0; n = min(2*n, readMost) {
		if w.enough(places[0].hi) {
			return true, -1, nil
		}
		if w.blocks > 0 && places[0].hi < w.before && !w.time() {
			return false, places[0].hi, nil
		}
		n = min(n, len(places))
		if err := w.read(ctx, h, places[:n]); err != nil {
			return false, -1, err
		}
		places = places[n:]
	}
	return false, -1, nil
}

// read looks through blocks.
func (w *walk) read(ctx context.Context, h held, places []place) error {
	names := make([]string, len(places))
	for i, p := range places {
		names[i] = string(p.name[:])
	}
	var got *redis.SliceCmd
	if err := w.s.pipe(ctx, func(p redis.Pipeliner) { got = p.HMGet(ctx, w.s.key(h.hour, "b"), names...) }); err != nil {
		return err
	}
	w.blocks += len(places)
	bad := 0
	if damaged(got.Err()) || len(got.Val()) != len(places) {
		bad = len(places)
	} else {
		for i, v := range got.Val() {
			if stored, ok := v.(string); ok { // else it was dropped meanwhile
				bad += w.s.readBlock(h.hour, places[i].name, stored, w.m, w.take)
			}
		}
	}
	if bad > 0 {
		w.s.damage(bad, "blocks of hour "+string(h.hour))
	}
	slices.SortStableFunc(w.found, func(a, b record.Row) int { return strings.Compare(b.ID, a.ID) })
	w.found = slices.CompactFunc(w.found, func(a, b record.Row) bool { return a.ID == b.ID })
	w.found = w.found[:min(len(w.found), w.size+1)]
	return nil
}

func (w *walk) take(r *record.Row) {
	if w.m.Match(r) {
		w.found = append(w.found, *r)
	}
}

// enough reports whether rows from moments up to ms cannot change the page.
func (w *walk) enough(ms int64) bool {
	return len(w.found) > w.size && placeOf(&w.found[w.size]) > ms
}

func (w *walk) page() record.Page {
	if len(w.found) <= w.size {
		return record.Page{Rows: w.found}
	}
	return record.Page{Rows: w.found[:w.size], Next: w.found[w.size-1].ID}
}

// cut is the page of a search that looked at everything after ms, and not at all before.
func (w *walk) cut(ms int64) record.Page {
	n := 0
	for n < len(w.found) && placeOf(&w.found[n]) > ms {
		n++
	}
	if n > w.size {
		return w.page()
	}
	return record.Page{Rows: w.found[:n], Next: firstID(ms + 1)}
}
