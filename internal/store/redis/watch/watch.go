// Package watch sees when the store has gone back in time: it was emptied, restored from an old
// dump, restarted, or replaced by a replica that lacks something. It also carries hints between
// nodes.
package watch

import (
	"context"
	"errors"
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

// Options say what is watched and who is told.
type Options struct {
	Conn  *conn.Conn
	Node  string           // our name among the nodes
	Now   func() time.Time // nil: the clock
	Log   *slog.Logger     // nil: none
	Every time.Duration    // between beats; 0 = 1 s

	// Lost is called once for every time that the store may lack what it had acknowledged, with
	// the reason in plain words. The next beat waits for its end.
	Lost func(ctx context.Context, why string)
	// Strict is told what speaks against the store keeping what it acknowledges, at the start
	// and on change.
	Strict func(findings []string)
}

// Times of the watch.
const (
	strictEvery = 5 * time.Minute
	beatTime    = 2 * time.Second     // a silent master does not delay the beats of the others for longer
	beatKept    = 30 * 24 * time.Hour // beats of a node that is no more
)

// Watch writes a beat to every master and looks whether the last one is still there.
type Watch struct {
	o Options

	keys     map[string]string // master -> key of its beat
	history  *history
	findings []string
	asked    time.Time // Strict was; zero: ask
	known    bool      // findings are
}

// New makes a watch; Run starts it.
func New(o Options) *Watch {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Every <= 0 {
		o.Every = time.Second
	}
	if o.Lost == nil {
		o.Lost = func(context.Context, string) {}
	}
	if o.Strict == nil {
		o.Strict = func([]string) {}
	}
	return &Watch{o: o, history: newHistory()}
}

// Run watches until the context ends.
func (w *Watch) Run(ctx context.Context) {
	tick := time.NewTicker(w.o.Every)
	defer tick.Stop()
	for {
		w.round(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// round makes one beat and tells what it showed.
func (w *Watch) round(ctx context.Context) {
	results := w.beat(ctx)
	if ctx.Err() != nil {
		return
	}
	seen := w.history.note(results)
	if seen.back {
		w.Reborn(ctx)
	}
	if len(seen.why) > 0 {
		why := strings.Join(seen.why, "; ")
		w.o.Log.Warn("redis may lack what it had acknowledged", "why", why)
		w.asked = time.Time{}
		w.o.Lost(ctx, why)
	}
	w.strict(ctx)
}

// strict asks again after a while, after a failover, and until there is an answer.
func (w *Watch) strict(ctx context.Context) {
	now := w.o.Now()
	if since := now.Sub(w.asked); !w.asked.IsZero() && since >= 0 && since < strictEvery {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, beatTime)
	defer cancel()
	findings, err := w.o.Conn.Strict(ctx)
	if err != nil {
		return
	}
	w.asked = now
	if w.known && slices.Equal(findings, w.findings) {
		return
	}
	w.known, w.findings = true, findings
	w.o.Strict(findings)
}

// beating writes a number that only grows, and returns the last one and the new one. Two
// processes under one name do not lower each other's.
const beating conn.Script = `local was = redis.call('GET', KEYS[1])
local n, last = tonumber(ARGV[1]), tonumber(was or '')
if last and last >= n and last < tonumber(ARGV[3]) then n = last + 1 end
local text = string.format('%.0f', n)
redis.call('SET', KEYS[1], text, 'PX', ARGV[2])
return {was or '', text}`

// highest is above all beats: Lua counts in floating point.
const highest = 9_000_000_000_000_000

// beat writes a beat to every master.
func (w *Watch) beat(ctx context.Context) (results []result) {
	_ = w.o.Conn.Do(ctx, conn.Background, func(ctx context.Context, r redis.UniversalClient) error {
		ctx, cancel := context.WithTimeout(ctx, beatTime)
		defer cancel()
		masters, err := mastersOf(ctx, r)
		if err == nil {
			err = w.choose(ctx, r, masters)
		}
		if err != nil {
			return err
		}
		var wg sync.WaitGroup
		results = make([]result, len(w.keys))
		i := 0
		for master, key := range w.keys {
			at := &results[i]
			wg.Go(func() { *at = w.one(ctx, masters[master], key) })
			i++
		}
		wg.Wait()
		for _, r := range results {
			if r.err != nil {
				return r.err
			}
		}
		return nil
	})
	return results
}

func mastersOf(ctx context.Context, r redis.UniversalClient) (map[string]*redis.Client, error) {
	masters := map[string]*redis.Client{}
	switch r := r.(type) {
	case *redis.Client:
		masters[r.Options().Addr] = r
	case *redis.ClusterClient:
		var mu sync.Mutex
		err := r.ForEachMaster(ctx, func(_ context.Context, r *redis.Client) error { // learns anew which they are
			mu.Lock()
			defer mu.Unlock()
			masters[r.Options().Addr] = r
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if len(masters) == 0 {
		return nil, errors.New("redis has no master")
	}
	return masters, nil
}

// one writes the beat of one master and asks who it is, in one round trip.
func (w *Watch) one(ctx context.Context, r *redis.Client, key string) result {
	n := max(w.o.Now().UnixMilli(), w.history.floor(key)+1)
	p := r.Pipeline()
	cmd := beating.Run(ctx, p, []string{key}, n, beatKept.Milliseconds(), highest)
	info := p.Info(ctx, "server")
	_, _ = p.Exec(ctx)
	got := result{key: key, master: r.Options().Addr}
	pair, err := cmd.StringSlice()
	if err == nil && len(pair) != 2 {
		err = fmt.Errorf("a beat was answered with %d values", len(pair))
	}
	if got.err = err; err != nil {
		return got
	}
	if n, bad := strconv.ParseInt(pair[0], 10, 64); bad == nil && n < highest {
		got.was = n // else no number of ours
	}
	if got.wrote, got.err = strconv.ParseInt(pair[1], 10, 64); got.err == nil && got.wrote < n {
		got.err = fmt.Errorf("the beat %d was answered with %d", n, got.wrote)
	}
	if text, err := info.Result(); err == nil { // some may not be asked
		got.run = runID(text)
	}
	return got
}

func runID(info string) string {
	for line := range strings.Lines(info) {
		if id, ok := strings.CutPrefix(line, "run_id:"); ok {
			return strings.TrimSpace(id)
		}
	}
	return ""
}

// choose finds a key on every master, and stays with the keys that there are: what happened to
// a key is what is watched, also when another master has it now.
func (w *Watch) choose(ctx context.Context, r redis.UniversalClient, masters map[string]*redis.Client) error {
	cluster, ok := r.(*redis.ClusterClient)
	if !ok {
		for master := range masters {
			w.keys = map[string]string{master: w.key(0)}
		}
		return nil
	}
	chosen := map[string]string{}
	take := func(key string) error {
		r, err := cluster.MasterForKey(ctx, key)
		if err != nil {
			return err
		}
		addr := r.Options().Addr
		if _, has := chosen[addr]; !has && masters[addr] != nil {
			chosen[addr] = key
		}
		return nil
	}
	for _, key := range w.keys {
		if err := take(key); err != nil {
			return err
		}
	}
	for n := 0; len(chosen) < len(masters) && n < candidates; n++ {
		if err := take(w.key(n)); err != nil {
			return err
		}
	}
	w.keys = chosen
	return nil
}

// candidates are the keys that are tried; a master without any of them has very few slots.
const candidates = 20_000

func (w *Watch) key(n int) string { return w.o.Conn.Key(fmt.Sprintf("{beat:%d}", n), w.o.Node) }

// bearing returns when the store was born and what time it is, in milliseconds, and writes down a
// first birth. KEYS[1] holds it; ARGV[1] is "1" where it is born now. It is later than any before
// it, so that nobody misses it.
const bearing conn.Script = `local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local born = tonumber(redis.call('GET', KEYS[1]) or '')
if born and not (born > 0 and born <= tonumber(ARGV[2])) then born = nil end -- 'nan' is a number too
if ARGV[1] == '1' then
  born = math.max(now, (born or 0) + 1)
elseif born then
  return {string.format('%.0f', born), string.format('%.0f', now)}
else
  born = now
end
redis.call('SET', KEYS[1], string.format('%.0f', born))
return {string.format('%.0f', born), string.format('%.0f', now)}`

// Born is when the store was last found empty, or gone back, by anybody, and what time it is now.
// Both are the server's.
func (w *Watch) Born(ctx context.Context) (born, now time.Time, err error) { return w.bear(ctx, "0") }

// Reborn says that the store has gone back.
func (w *Watch) Reborn(ctx context.Context) {
	if _, _, err := w.bear(ctx, "1"); err != nil {
		w.o.Log.Error("that redis has gone back could not be said there", "error", err)
	}
}

func (w *Watch) bear(ctx context.Context, anew string) (born, now time.Time, err error) {
	err = w.o.Conn.Do(ctx, conn.Background, func(ctx context.Context, r redis.UniversalClient) error {
		pair, err := bearing.Run(ctx, r, []string{w.o.Conn.Key("born")}, anew, highest).StringSlice()
		if err != nil {
			return err
		}
		if len(pair) != 2 {
			return fmt.Errorf("when the store was born was answered with %d values", len(pair))
		}
		a, bad := strconv.ParseInt(pair[0], 10, 64)
		b, worse := strconv.ParseInt(pair[1], 10, 64)
		born, now = time.UnixMilli(a), time.UnixMilli(b)
		return errors.Join(bad, worse)
	})
	return born, now, err
}
