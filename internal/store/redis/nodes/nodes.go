// Package nodes knows which gateways share the store, what they run, and in which schema all of
// them can read it.
package nodes

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
)

// Info is who a node is and what it runs.
type Info struct {
	Name    string    `json:"name"`
	Version string    `json:"version"`
	Schema  int       `json:"schema"`           // the newest that it reads and writes
	Rules   string    `json:"rules,omitempty"`  // revision
	Config  string    `json:"config,omitempty"` // revision
	Addr    string    `json:"addr,omitempty"`
	Started time.Time `json:"started"` // tells processes of one name apart
	At      time.Time `json:"-"`       // when it was last seen, by the server's clock
}

// Times of the registry.
const (
	Every     = 5 * time.Second  // between two signs of life
	Gone      = 60 * time.Second // without one a node is gone
	Agreed    = 60 * time.Second // all nodes speak a newer schema for so long before it is written
	forgotten = 24 * time.Hour   // after which nothing is kept of a node
	twinsAt   = 3                // signs of life of another process between ours that make it a twin
	most      = 1000             // nodes that are listed
	longest   = 128              // bytes of a text
)

// Options say who we are.
type Options struct {
	Conn *conn.Conn
	Self func() Info // asked for every sign of life; At is ignored
	Now  func() time.Time
	Log  *slog.Logger
}

// Registry gives signs of life of this node and knows the others. It is safe for concurrent use.
type Registry struct {
	o Options

	mu     sync.Mutex
	twin   twin
	schema agreement
}

// New makes a registry; Run gives signs of life.
func New(o Options) *Registry {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Registry{o: o}
}

// Run gives signs of life until the context ends, and raises the schema when all can read it.
func (r *Registry) Run(ctx context.Context) {
	tick := time.NewTicker(Every)
	defer tick.Stop()
	for {
		r.Beat(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Beat gives one sign of life; Run calls it. Faults are the connection's to tell.
func (r *Registry) Beat(ctx context.Context) {
	if r.live(ctx) == nil {
		_ = r.follow(ctx)
	}
}

// Problems are what the operator should know: another process has our name, or the store is
// written in a schema that we cannot read.
func (r *Registry) Problems() (problems []error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.twin.err(r.o.Now()); err != nil {
		problems = append(problems, err)
	}
	if r.schema.err != nil {
		problems = append(problems, r.schema.err)
	}
	return problems
}

// Alone reports whether it is certain that no other process has our name: signs of life of ours
// went by with none of another one between them.
func (r *Registry) Alone() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &r.twin
	return t.ours && t.beat.Sub(t.begun) > Every && (t.between == 0 || r.o.Now().Sub(t.last) > Gone)
}

// Both keys are in one slot, so that a script sees the nodes and the schema together.
func (r *Registry) nodesKey() string  { return r.o.Conn.Key("{nodes}") }
func (r *Registry) schemaKey() string { return r.o.Conn.Key("{nodes}", "schema") }

// living writes a node as "seconds schema record", by the server's clock, and returns what was
// there.
const living conn.Script = `local was = redis.call('HGET', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], redis.call('TIME')[1] .. ' ' .. ARGV[2])
return was or ''`

func (r *Registry) live(ctx context.Context) error {
	self := r.o.Self()
	record, err := json.Marshal(self)
	if err != nil {
		return err
	}
	was := ""
	err = r.o.Conn.Do(ctx, conn.Background, func(ctx context.Context, c redis.UniversalClient) error {
		was, err = living.Run(ctx, c, []string{r.nodesKey()}, self.Name, fmt.Sprintf("%d %s", self.Schema, record)).Text()
		return err
	})
	if err != nil {
		return err
	}
	last, ok := parse(self.Name, was)
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.o.Now()
	before := r.twin.err(now)
	r.twin.saw(self, last, ok, now)
	if after := r.twin.err(now); after != nil && before == nil {
		r.o.Log.Error("two processes have one name", "error", after)
	}
	return nil
}

// listing returns the server's clock and all nodes.
const listing conn.Script = `local all = redis.call('HGETALL', KEYS[1])
table.insert(all, 1, redis.call('TIME')[1])
return all`

// List returns the nodes that are alive, by name. What was not seen for a day is forgotten.
func (r *Registry) List(ctx context.Context) ([]Info, error) {
	var all []string
	err := r.o.Conn.Do(ctx, conn.Background, func(ctx context.Context, c redis.UniversalClient) (err error) {
		all, err = listing.Run(ctx, c, []string{r.nodesKey()}).StringSlice()
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(all)%2 != 1 {
		return nil, fmt.Errorf("%w: the list of nodes has %d values", conn.ErrAway, len(all))
	}
	seconds, err := strconv.ParseInt(all[0], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%w: the server's clock is %q", conn.ErrAway, all[0])
	}
	now := time.Unix(seconds, 0)
	var list []Info
	var old []string
	for i := 1; i < len(all); i += 2 {
		info, ok := parse(all[i], all[i+1])
		age := now.Sub(info.At)
		switch {
		case !ok || age > forgotten:
			old = append(old, all[i])
		case age <= Gone && len(list) < most:
			list = append(list, info)
		}
	}
	if len(old) > 0 {
		_ = r.o.Conn.Do(ctx, conn.Background, func(ctx context.Context, c redis.UniversalClient) error {
			return c.HDel(ctx, r.nodesKey(), old[:min(len(old), most)]...).Err()
		})
	}
	slices.SortFunc(list, func(a, b Info) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// parse reads what living wrote; anybody may have written it.
func parse(name, text string) (info Info, ok bool) {
	at, rest, _ := strings.Cut(text, " ")
	_, record, _ := strings.Cut(rest, " ")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || seconds < 0 || seconds > 1<<40 || json.Unmarshal([]byte(record), &info) != nil || info.Name != name {
		return Info{}, false
	}
	info.At = time.Unix(seconds, 0)
	for _, s := range []*string{&info.Name, &info.Version, &info.Rules, &info.Config, &info.Addr} {
		*s = plain(*s)
	}
	return info, true
}

// plain cuts a text and leaves out what could steer a terminal.
func plain(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), longest)], "")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, s)
}

// twin watches for another process under our name: its signs of life come between ours.
type twin struct {
	ours    bool // we have written at least once
	between int  // signs of another process, in a row or with ours between
	other   Info
	last    time.Time
	begun   time.Time // our first sign of life
	beat    time.Time // and our last
}

func (t *twin) saw(self, was Info, ok bool, now time.Time) {
	if !t.ours {
		t.begun = now
	}
	if ok && t.ours && !was.Started.Equal(self.Started) {
		if now.Sub(t.last) > Gone {
			t.between = 0
		}
		t.between++
		t.other, t.last = was, now
	}
	t.ours, t.beat = true, now
}

func (t *twin) err(now time.Time) error {
	if since := now.Sub(t.last); t.between < twinsAt || since > Gone || since < -Gone {
		return nil
	}
	where := ""
	if t.other.Addr != "" {
		where = " at " + t.other.Addr
	}
	return fmt.Errorf("another process%s, started %s, has the name of this node: every node needs a name of its own", where, t.other.Started.UTC().Format(time.DateTime))
}
