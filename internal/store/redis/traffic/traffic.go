// Package traffic keeps traffic rows in Redis, written in batches off the way of mail.
//
// Rows lie in blocks of up to 64, compressed together, and the blocks of an hour in a few keys
// of one hash slot. What a row is found by is hashed to 22 bits and written once for a block:
// the keys of hour H are
//
//	P:{tr:H}:b     hash: name of a block -> the block
//	P:{tr:H}:o     hash: name of a block that still grows -> its place
//	P:{tr:H}:a     list: places of the full blocks
//	P:{tr:H}:i:N   64 lists: place of a full block, and 16 bits of each of its terms in list N
//	P:{tr}:rows    hash: hour -> rows;  P:{tr}:bytes the same in bytes
//
// A million rows of one day, made up with the subjects of a corpus, needed 241 bytes a row of
// the memory of Redis. At 100 million messages a day, each to one recipient, that is
//
//	         bytes a row      a day    an hour of the mean day (4.2 million rows)
//	blocks           193    19.3 GB    65,000 blocks in one hash
//	lists             46     4.6 GB    64 lists of 65,000 entries at most
//	the rest           2     0.2 GB    hours, places, what the server itself needs
//	all              241    24.1 GB    1.0 GB in one hash slot
//
// Where little mail comes blocks are seldom full, and a row needs more. A search reads the list
// of each of its terms, some 50 bytes for a block, and the blocks that have all of them.
//
// A place is the name of a block and the time it spans. Each node fills blocks of its own: one
// that grows is written again with each batch and searched whole; one that is full is never
// written again. Nothing here acts, so nothing is sealed; every row is compared with what was
// asked before it is an answer. A block that cannot be read is left out, counted and said; the
// hour around it is searched as before, and Prune drops it with its hour.
package traffic

import (
	"context"
	_ "embed"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/record"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/pack"
	"postern/internal/store/redis/seldom"
)

// dictionary is what rows look like.
//
//go:embed rows.dict
var dictionary []byte

// Options say where rows go and what they may cost.
type Options struct {
	Conn    *conn.Conn
	Now     func() time.Time
	Log     *slog.Logger
	Keep    time.Duration // the store itself drops hours older than this; 0 = it does not
	Cap     int64         // bytes of all rows; beyond, the oldest hours go first; 0 = none
	Waiting int           // rows that may wait for the store; 0 = 4096
	Write   func() int    // format of what is written; nil = the oldest
}

// Store implements record.Traffic.
type Store struct {
	o      Options
	codec  *pack.Codec
	rows   chan record.Row
	flush  chan chan struct{}
	stop   chan struct{}
	done   chan struct{}
	once   sync.Once
	capped sync.Once
	ctx    context.Context // of what the writer does; ends a while after Close began
	cancel context.CancelFunc

	dropped, damagedN  atomic.Int64
	saidDrop, saidHurt seldom.Line

	w writer // of the goroutine that writes
}

// Bounds of a block and of what is sent at once.
const (
	blockRows  = 64
	blockBytes = 256 << 10 // of JSON; a block has one row at least
	rowBytes   = 4 << 20   // of JSON; a larger row is dropped
	batchRows  = 500
	most       = blockBytes + rowBytes + 4096 // a block unpacked
)

// linger is how long the first row of a batch waits for more. A process that is killed loses
// the rows of that time.
const linger = 500 * time.Millisecond

// closing bounds how long Close waits for the store.
const closing = 5 * time.Second

// Open begins to write; the store need not be there yet.
func Open(o Options) (*Store, error) {
	codec, err := pack.New(dictionary, most)
	if err != nil {
		return nil, err
	}
	if o.Waiting <= 0 {
		o.Waiting = 4096
	}
	if o.Write == nil {
		o.Write = func() int { return 1 }
	}
	s := &Store{
		o: o, codec: codec, rows: make(chan record.Row, o.Waiting),
		flush: make(chan chan struct{}), stop: make(chan struct{}), done: make(chan struct{}),
	}
	s.saidDrop.Now, s.saidHurt.Now = o.Now, o.Now
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.w = writer{s: s, open: map[hour]*block{}}
	go s.run()
	return s, nil
}

// Add implements record.Traffic.
func (s *Store) Add(r record.Row) bool {
	select {
	case <-s.stop:
	default:
		select {
		case s.rows <- r:
			return true
		default:
		}
	}
	s.drop1(1, "too many rows wait for redis")
	return false
}

// Dropped counts the rows that were not written since Open.
func (s *Store) Dropped() int64 { return s.dropped.Load() }

// Damaged counts what was found in the store that nobody can read, since Open.
func (s *Store) Damaged() int64 { return s.damagedN.Load() }

func (s *Store) drop1(n int, why string) {
	s.dropped.Add(int64(n))
	if s.saidDrop.May() {
		s.o.Log.Error("traffic rows are dropped", "why", why, "dropped", s.dropped.Load())
	}
}

func (s *Store) damage(n int, what string) {
	s.damagedN.Add(int64(n))
	if s.saidHurt.May() {
		s.o.Log.Error("traffic records in redis are damaged and left out", "what", what, "damaged", s.damagedN.Load())
	}
}

// Close writes what waits, as far as that takes no longer than a few seconds.
func (s *Store) Close() error {
	s.once.Do(func() {
		close(s.stop)
		t := time.AfterFunc(closing, s.cancel)
		<-s.done
		t.Stop()
		s.cancel()
	})
	<-s.done
	return nil
}

func (s *Store) run() {
	defer close(s.done)
	due := time.NewTimer(linger)
	defer due.Stop()
	for {
		select {
		case r := <-s.rows:
			if s.w.waiting() == 0 {
				due.Reset(linger)
			}
			if s.w.collect(r); s.w.waiting() >= batchRows {
				s.w.write()
			}
		case <-due.C:
			s.w.write()
		case done := <-s.flush:
			s.drain()
			close(done)
		case <-s.stop:
			s.drain()
			if n := s.w.waiting() + len(s.rows); n > 0 {
				s.drop1(n, "redis did not take them before the end")
			}
			return
		}
	}
}

// drain writes everything that waits now.
func (s *Store) drain() {
	for range len(s.rows) {
		if s.w.collect(<-s.rows); s.w.waiting() >= batchRows && !s.w.write() {
			return
		}
	}
	s.w.write()
}

// settle returns when the rows added before are written, or cannot be.
func (s *Store) settle(ctx context.Context) error {
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

// pipe sends commands in one round trip. What the wrong kind of data under a key says is left
// with its command; every other fault is returned.
func (s *Store) pipe(ctx context.Context, queue func(p redis.Pipeliner)) error {
	return s.o.Conn.Do(ctx, conn.Background, func(ctx context.Context, r redis.UniversalClient) error {
		p := r.Pipeline()
		queue(p)
		if p.Len() == 0 {
			return nil
		}
		cmds, err := p.Exec(ctx)
		for _, c := range cmds {
			if e := c.Err(); e != nil && !errors.Is(e, redis.Nil) && !damaged(e) {
				return e
			}
		}
		if damaged(err) || errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	})
}

// damaged reports whether the store says that what is under a key is nothing of ours.
func damaged(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "WRONGTYPE") || strings.Contains(err.Error(), "not an integer") || strings.Contains(err.Error(), "would overflow"))
}
