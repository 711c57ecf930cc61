package nodes

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
)

// ErrSchema says that this version cannot share the store with what is there.
var ErrSchema = errors.New("the store cannot be used by this version")

// agreement is the schema that the store is written in.
type agreement struct {
	speak, oldest int // what we can; speak 0: Schema was not called
	write         int
	since         time.Time // that all nodes speak a newer one; zero: they do not
	err           error
}

// agreeing returns the schema; an empty store gets the newest that all nodes speak.
const agreeing conn.Script = `local v = redis.call('GET', KEYS[2])
if v then return v end
local now, n = tonumber(redis.call('TIME')[1]), tonumber(ARGV[1])
local all = redis.call('HGETALL', KEYS[1])
for i = 2, #all, 2 do
  local at, speak = string.match(all[i], '^(%d+) (%d+) ')
  if at and now - tonumber(at) <= tonumber(ARGV[2]) and tonumber(speak) < n then n = tonumber(speak) end
end
local text = string.format('%d', n)
redis.call('SET', KEYS[2], text)
return text`

// raising sets the schema one higher, unless a node that is alive does not speak it.
const raising conn.Script = `local v = redis.call('GET', KEYS[2])
if v ~= ARGV[1] then return v or '' end
local now = tonumber(redis.call('TIME')[1])
local all = redis.call('HGETALL', KEYS[1])
for i = 2, #all, 2 do
  local at, speak = string.match(all[i], '^(%d+) (%d+) ')
  if at and now - tonumber(at) <= tonumber(ARGV[3]) and tonumber(speak) < tonumber(ARGV[2]) then return v end
end
redis.call('SET', KEYS[2], ARGV[2])
return ARGV[2]`

// Schema returns the schema in which the store is written. We read from oldest to speak; a store
// written in another one, or shared with nodes that only speak an older one, is refused with an
// ErrSchema that says what to do. Afterwards Run keeps Write up to date.
func (r *Registry) Schema(ctx context.Context, speak, oldest int) (write int, err error) {
	r.mu.Lock()
	r.schema.speak, r.schema.oldest = speak, oldest
	r.mu.Unlock()
	if err := r.live(ctx); err != nil { // from now on nobody raises it above us
		return 0, err
	}
	if err := r.agree(ctx); err != nil {
		return 0, err
	}
	return r.Write(), nil
}

// Join is Schema for who gives no signs of life, such as a command line: it takes the store as
// it is. In a store that no node has used yet Write stays 0.
func (r *Registry) Join(ctx context.Context, speak, oldest int) error {
	text := ""
	err := r.o.Conn.Do(ctx, conn.Background, func(ctx context.Context, c redis.UniversalClient) (err error) {
		text, err = c.Get(ctx, r.schemaKey()).Result()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err != nil {
		return err
	}
	v, err := schemaOf(text)
	if err == nil {
		err = shared(v, speak, oldest)
	}
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.schema.write = v
	return nil
}

// schemaOf reads what the store gives as its schema.
func schemaOf(text string) (int, error) {
	v, err := strconv.Atoi(text)
	if err != nil || v <= 0 {
		return 0, fmt.Errorf("%w: it gives its schema as %q, which is none", ErrSchema, plain(text))
	}
	return v, nil
}

// shared says why a version cannot use a store written in schema v, or nil.
func shared(v, speak, oldest int) error {
	switch {
	case v > speak:
		return fmt.Errorf("%w: it is written in schema %d and this version reads at most %d: install the version that the other nodes run, or a newer one", ErrSchema, v, speak)
	case v < oldest:
		return fmt.Errorf("%w: it is written in schema %d and this version reads from %d on: run all nodes with the version between for a minute, which raises it", ErrSchema, v, oldest)
	}
	return nil
}

// Write is the schema to write in.
func (r *Registry) Write() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.schema.write
}

func (r *Registry) run(ctx context.Context, s conn.Script, args ...any) (v int, err error) {
	text := ""
	err = r.o.Conn.Do(ctx, conn.Background, func(ctx context.Context, c redis.UniversalClient) error {
		text, err = s.Run(ctx, c, []string{r.nodesKey(), r.schemaKey()}, args...).Text()
		return err
	})
	if err != nil {
		return 0, err
	}
	return schemaOf(text)
}

// agree asks for the schema and says whether we can live with it.
func (r *Registry) agree(ctx context.Context) error {
	r.mu.Lock()
	speak, oldest, first := r.schema.speak, r.schema.oldest, r.schema.speak
	if r.schema.write > 0 { // a store that was emptied does not know the others yet
		first = min(speak, r.schema.write)
	}
	r.mu.Unlock()
	v, err := r.run(ctx, agreeing, first, int(Gone.Seconds()))
	if err == nil {
		err = shared(v, speak, oldest)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.schema.write, r.schema.err = v, nil
	case errors.Is(err, ErrSchema):
		if r.schema.err == nil {
			r.o.Log.Error("the store cannot be used", "error", err)
		}
		r.schema.err = err
	}
	return err
}

// follow keeps the schema up to date, and raises it when all nodes have spoken a newer one for
// a minute.
func (r *Registry) follow(ctx context.Context) error {
	r.mu.Lock()
	speak, now := r.schema.speak, r.o.Now()
	r.mu.Unlock()
	if speak == 0 {
		return nil
	}
	if err := r.agree(ctx); err != nil {
		return err
	}
	list, err := r.List(ctx)
	if err != nil {
		return err
	}
	if !r.ripe(list, now) {
		return nil
	}
	from := r.Write()
	v, err := r.run(ctx, raising, from, from+1, int(Gone.Seconds()))
	if err != nil || v <= from {
		return err
	}
	r.o.Log.Info("the store is written in a newer schema", "from", from, "to", v)
	return r.agree(ctx)
}

// ripe reports whether all nodes have spoken a newer schema for long enough.
func (r *Registry) ripe(list []Info, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.schema
	ready := len(list) > 0 && s.speak > s.write
	for _, node := range list {
		ready = ready && node.Schema > s.write
	}
	since := now.Sub(s.since)
	switch {
	case !ready:
		s.since = time.Time{}
	case s.since.IsZero(), since < 0: // also when the clock was set back
		s.since = now
	case since >= Agreed:
		s.since = time.Time{}
		return true
	}
	return false
}
