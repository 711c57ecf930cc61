// Package campaign keeps what came with each fuzzy hash on Redis, for all nodes: a hash and a list
// for each print, filed under its four parts of 16 bits. A question costs two round trips, copies
// are written in batches off the way of mail.
package campaign

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/filter/campaign"
	"postern/filter/campaign/simhash"
	"postern/internal/store/redis/conn"
)

// Bounds of the store.
const (
	NewPrints = 50_000                 // new prints a day, of all nodes, about 1 kB each: whoever sends ever new letters must not fill the memory that holds need
	linger    = 500 * time.Millisecond // how long copies wait for others; a killed process loses these
	batch     = 256                    // copies of one pipeline
	waiting   = 4096                   // copies that may wait for the store
	closing   = 5 * time.Second        // for all that waits when the node ends
	crowd     = 512                    // prints filed under one part; the latest stay
	days      = 62                     // that Recent looks back at most
	every     = 10 * time.Second       // how often a loss is said at most
)

// Options say what the store stands on.
type Options struct {
	Log       *slog.Logger
	Now       func() time.Time
	Keep      time.Duration // how long a print is kept after its last copy; 0 = a week
	NewPrints int           // a day; 0 = NewPrints
}

// Store implements campaign.Store.
type Store struct {
	conn   *conn.Conn
	o      Options
	copies chan campaign.Copy
	flush  chan chan struct{}
	stop   chan struct{}
	done   chan struct{}
	once   sync.Once

	dropped atomic.Uint64

	// Of the goroutine that writes.
	batch []campaign.Copy
	day   string
	made  int64     // new prints of the day that are not in the common count yet
	full  bool      // the day has had its new prints
	said  time.Time // when a loss was said last,
	lost  uint64    // and Dropped then
}

// New makes a store on a connection, which is closed after it.
func New(c *conn.Conn, o Options) *Store {
	if o.NewPrints <= 0 {
		o.NewPrints = NewPrints
	}
	if o.Keep <= 0 {
		o.Keep = 7 * 24 * time.Hour
	}
	s := &Store{conn: c, o: o, copies: make(chan campaign.Copy, waiting),
		flush: make(chan chan struct{}), stop: make(chan struct{}), done: make(chan struct{})}
	go s.run()
	return s
}

// Close writes what waits. The connection stays open.
func (s *Store) Close() error {
	s.once.Do(func() { close(s.stop) })
	<-s.done
	return nil
}

// Dropped counts the copies that were not written since New.
func (s *Store) Dropped() uint64 { return s.dropped.Load() }

func (s *Store) key(p simhash.Print, of string) string {
	return s.conn.Key("{ca"+p.String()+"}", of)
}

func (s *Store) band(b simhash.Band) string {
	return s.conn.Key("cb", strconv.FormatUint(uint64(b), 16))
}

func (s *Store) dayOf(t time.Time) string { return s.conn.Key("cd", t.UTC().Format("20060102")) }

const (
	ofGroup  = "g"
	ofCopies = "c"
)

// Near implements campaign.Store.
func (s *Store) Near(ctx context.Context, p simhash.Print, bands []simhash.Band) ([]campaign.Group, error) {
	cmds, err := s.conn.Pipe(ctx, conn.Lookup, func(r redis.Pipeliner) {
		for _, b := range bands {
			r.ZRevRange(ctx, s.band(b), 0, crowd-1)
		}
	})
	if err != nil {
		return nil, err
	}
	var near []simhash.Print
	for _, cmd := range cmds {
		for _, text := range cmd.(*redis.StringSliceCmd).Val() {
			if q, err := simhash.Parse(text); err == nil && simhash.Apart(p, q) <= simhash.Near {
				near = append(near, q)
			}
		}
	}
	slices.SortFunc(near, simhash.ByDistance(p))
	near = slices.Compact(near)
	return s.groups(ctx, near[:min(len(near), campaign.MaxNear)])
}

// groups reads those that are there, in the order asked.
func (s *Store) groups(ctx context.Context, prints []simhash.Print) ([]campaign.Group, error) {
	if len(prints) == 0 {
		return nil, nil
	}
	cmds, err := s.conn.Pipe(ctx, conn.Lookup, func(r redis.Pipeliner) {
		for _, p := range prints {
			r.HGetAll(ctx, s.key(p, ofGroup))
		}
	})
	if err != nil {
		return nil, err
	}
	var out []campaign.Group
	for i, cmd := range cmds {
		if g, ok := group(prints[i], cmd.(*redis.MapStringStringCmd).Val()); ok {
			out = append(out, g)
		}
	}
	return out, nil
}

// group reads the fields of one; ok is false for what is none of ours, or gone.
func group(p simhash.Print, fields map[string]string) (g campaign.Group, ok bool) {
	n := func(name string) int64 {
		v, err := strconv.ParseInt(fields[name], 10, 64)
		if err != nil {
			return 0
		}
		return v
	}
	g = campaign.Group{Print: p, First: time.UnixMilli(n("f")).UTC(), Last: time.UnixMilli(n("l")).UTC(), Messages: int(n("n")), Delivered: int(n("d"))}
	for name := range fields {
		if hash, isSource := strings.CutPrefix(name, "s"); isSource && len(hash) == 8 {
			g.Sources = append(g.Sources, campaign.Source{Hash: binary.BigEndian.Uint64([]byte(hash)), Last: time.UnixMilli(n(name)).UTC()})
		}
	}
	return g, g.Messages > 0
}

// Copies implements campaign.Store.
func (s *Store) Copies(ctx context.Context, prints []simhash.Print, limit int) (out []campaign.Copy, err error) {
	if len(prints) == 0 {
		return nil, nil
	}
	cmds, err := s.conn.Pipe(ctx, conn.Background, func(r redis.Pipeliner) {
		for _, p := range prints {
			r.LRange(ctx, s.key(p, ofCopies), -int64(min(limit, campaign.MaxCopies)), -1)
		}
	})
	if err != nil {
		return nil, err
	}
	for i, cmd := range cmds {
		for _, text := range cmd.(*redis.StringSliceCmd).Val() {
			var c campaign.Copy
			if json.Unmarshal([]byte(text), &c) == nil && c.Print == prints[i] {
				out = append(out, c)
			}
		}
	}
	slices.SortFunc(out, func(a, b campaign.Copy) int {
		if c := b.At.Compare(a.At); c != 0 {
			return c
		}
		return strings.Compare(b.ID, a.ID)
	})
	return out[:min(len(out), limit)], nil
}

// Recent implements campaign.Store.
func (s *Store) Recent(ctx context.Context, since time.Time, limit int) ([]campaign.Group, error) {
	cmds, err := s.conn.Pipe(ctx, conn.Background, func(r redis.Pipeliner) {
		day := s.o.Now().UTC().Add(24 * time.Hour) // another node's clock may be ahead
		for range days {
			r.ZRevRangeByScore(ctx, s.dayOf(day), &redis.ZRangeBy{Min: fmt.Sprint(since.UnixMilli()), Max: "+inf", Count: int64(limit)})
			if day = day.Add(-24 * time.Hour); day.Before(since.Add(-24 * time.Hour)) {
				return
			}
		}
	})
	if err != nil {
		return nil, err
	}
	var prints []simhash.Print
	seen := map[simhash.Print]bool{}
	for _, cmd := range cmds {
		for _, text := range cmd.(*redis.StringSliceCmd).Val() {
			if p, err := simhash.Parse(text); err == nil && !seen[p] && len(prints) < limit {
				seen[p] = true
				prints = append(prints, p)
			}
		}
	}
	var out []campaign.Group
	for part := range slices.Chunk(prints, batch) {
		more, err := s.groups(ctx, part)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	slices.SortStableFunc(out, func(a, b campaign.Group) int { return b.Last.Compare(a.Last) })
	return out, nil
}

// Prune implements campaign.Store. The server forgets by itself, by its own clock: that of a
// node, right or wrong, makes nothing go.
func (s *Store) Prune(context.Context, time.Time) (int, error) { return 0, nil }

// Size implements campaign.Store: what was new on the days that are kept, and what that takes
// about.
func (s *Store) Size(ctx context.Context) (prints, bytes int64, err error) {
	const each = 1000
	cmds, err := s.conn.Pipe(ctx, conn.Background, func(r redis.Pipeliner) {
		for n := range min(int(s.o.Keep/(24*time.Hour))+1, days) {
			r.Get(ctx, s.made24(s.o.Now().Add(-time.Duration(n)*24*time.Hour)))
		}
	})
	if err != nil {
		return 0, 0, err
	}
	for _, cmd := range cmds {
		n, err := cmd.(*redis.StringCmd).Int64()
		if err != nil && !errors.Is(err, redis.Nil) {
			return 0, 0, err
		}
		prints += n
	}
	return prints, prints * each, nil
}

// made24 counts the new prints of a day.
func (s *Store) made24(t time.Time) string {
	return s.conn.Key("ca", "new", t.UTC().Format("20060102"))
}
