package traffic

import (
	"encoding/json"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/record"
)

// writer fills blocks and sends them.
type writer struct {
	s       *Store
	open    map[hour]*block // still grow
	touched []*block        // to be sent
	n       int             // rows in touched that were not sent
	checked time.Time       // when the cap was looked at
	full    bool            // there is no room
}

// openAtMost bounds the hours that are filled at a time: more than two are seen only where
// clocks jump.
const openAtMost = 8

func (w *writer) waiting() int { return w.n }

// collect puts a row into the block of its hour.
func (w *writer) collect(r record.Row) {
	if w.full {
		w.s.drop1(1, "the rows of this hour alone are more than the cap of traffic")
		if w.s.o.Now().Sub(w.checked) < checkEvery {
			return
		}
		w.check()
		return
	}
	text, err := json.Marshal(r)
	if err != nil || len(text) > rowBytes || r.ID == "" {
		w.s.drop1(1, "a row without an ID, or one that is too large")
		return
	}
	h := hourOf(placeOf(&r))
	b := w.open[h]
	if b == nil {
		w.forget()
		b = newBlock(h)
		w.open[h] = b
	}
	if !w.isTouched(b) {
		w.touched = append(w.touched, b)
	}
	b.add(&r, text)
	w.n++
	if b.full() {
		delete(w.open, h)
	}
}

func (w *writer) isTouched(b *block) bool {
	for _, t := range w.touched {
		if t == b {
			return true
		}
	}
	return false
}

// forget closes the blocks of the oldest hours: they stay as they are, searched whole.
func (w *writer) forget() {
	for len(w.open) >= openAtMost {
		oldest := hour("a")
		for h := range w.open {
			oldest = min(oldest, h)
		}
		delete(w.open, oldest)
	}
}

// Waits between tries while the store is away.
const (
	pauseLeast = 100 * time.Millisecond
	pauseMost  = 2 * time.Second
)

// write sends what is touched, again and again while the store is away; meanwhile rows wait
// and are dropped. It reports false when the store ends first.
func (w *writer) write() bool {
	for pause := pauseLeast; len(w.touched) > 0; pause = min(2*pause, pauseMost) {
		err := w.send()
		if err == nil {
			w.done()
			break
		}
		if !w.rest(pause) {
			return false
		}
	}
	if w.s.o.Now().Sub(w.checked) >= checkEvery {
		w.check()
	}
	return true
}

// rest waits; it reports false when the store ends. Who asks meanwhile hears of the fault from
// redis.
func (w *writer) rest(pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return true
		case <-w.s.ctx.Done():
			return false
		case done := <-w.s.flush:
			close(done)
		}
	}
}

// checkEvery is how often the cap is looked at.
const checkEvery = 30 * time.Second

func (w *writer) check() {
	full, err := w.s.trim(w.s.ctx)
	if err == nil { // else the store is away, which others say
		w.full, w.checked = full, w.s.o.Now()
	}
}

// send writes the blocks. Names of hours go first: what is not listed is not found. Writing a
// block twice, after a fault that hid the success, changes nothing but the counts.
func (w *writer) send() error {
	s, ctx := w.s, w.s.ctx
	packed := make([][]byte, len(w.touched))
	sums := []*redis.IntCmd{}
	if err := s.pipe(ctx, func(p redis.Pipeliner) {
		for i, b := range w.touched {
			packed[i] = s.codec.Pack(s.o.Write(), b.text())
			if b.stored == 0 {
				sums = append(sums, p.HIncrBy(ctx, s.sums("rows"), string(b.hour), 0))
			}
		}
	}); err != nil {
		return err
	}
	cmds := make([][]redis.Cmder, len(w.touched))
	sizes := make([]int, len(w.touched))
	if err := s.pipe(ctx, func(p redis.Pipeliner) {
		for i, b := range w.touched {
			size := len(packed[i]) + blockCost
			cmds[i] = w.queue(p, b, packed[i])
			if b.full() {
				for _, entry := range b.index() {
					size += len(entry) + entryCost
				}
			}
			sums = append(sums, p.HIncrBy(ctx, s.sums("rows"), string(b.hour), int64(len(b.rows)-b.counted)),
				p.HIncrBy(ctx, s.sums("bytes"), string(b.hour), int64(size-b.stored)))
			sizes[i] = size
		}
	}); err != nil {
		return err
	}
	for i, b := range w.touched {
		b.stored, b.counted = sizes[i], len(b.rows)
	}
	w.refused(cmds)
	for _, c := range sums {
		if damaged(c.Err()) {
			s.damage(1, "the list of hours")
			return s.Reindex(ctx)
		}
	}
	return nil
}

// What the store needs besides the octets themselves: of a block in its hash and lists, and of
// an entry in a list.
const (
	blockCost = 160
	entryCost = 4
)

// queue queues what writes one block, the index before the block leaves the open ones: a
// search reads these first.
func (w *writer) queue(p redis.Pipeliner, b *block, packed []byte) (cmds []redis.Cmder) {
	s, ctx := w.s, w.s.ctx
	ttl := s.ttl(b)
	keep := func(key string) {
		if ttl > 0 {
			p.Expire(ctx, key, ttl)
		}
	}
	name := string(b.place.name[:])
	cmds = append(cmds, p.HSet(ctx, s.key(b.hour, "b"), name, packed))
	keep(s.key(b.hour, "b"))
	if !b.full() {
		cmds = append(cmds, p.HSet(ctx, s.key(b.hour, "o"), name, b.place.text(b.begin)))
		keep(s.key(b.hour, "o"))
		return cmds
	}
	for n, entry := range b.index() {
		cmds = append(cmds, p.RPush(ctx, s.shardKey(b.hour, n), entry))
		keep(s.shardKey(b.hour, n))
	}
	cmds = append(cmds, p.RPush(ctx, s.key(b.hour, "a"), b.place.text(b.begin)))
	keep(s.key(b.hour, "a"))
	return append(cmds, p.HDel(ctx, s.key(b.hour, "o"), name))
}

// ttl is when the store itself drops the hour, after Prune had its time; 0 = never.
func (s *Store) ttl(b *block) time.Duration {
	if s.o.Keep <= 0 {
		return 0
	}
	left := time.Duration(b.begin+2*hourMs-s.o.Now().UnixMilli())*time.Millisecond + s.o.Keep
	return min(max(left, time.Hour), s.o.Keep+2*time.Hour)
}

// refused counts the rows of hours whose keys hold something else: they are lost, and the rows
// after them in that hour go into another block, as long as it lasts.
func (w *writer) refused(cmds [][]redis.Cmder) {
	for i, b := range w.touched {
		for _, c := range cmds[i] {
			if damaged(c.Err()) {
				delete(w.open, b.hour)
				w.s.damage(1, "the hour "+string(b.hour))
				break
			}
		}
	}
}

// done forgets what was sent.
func (w *writer) done() {
	clear(w.touched)
	w.touched, w.n = w.touched[:0], 0
}
