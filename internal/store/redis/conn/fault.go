package conn

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Script is a Lua script. Its source is sent with every call: a server that forgot it after a
// failover or a flush needs no second try. Keys of one script share a hash slot. A script says
// no with redis.error_reply("POSTERN <word>"), which Refused reads.
type Script string

// Run calls the script in a pipeline, or at once on a client.
func (s Script) Run(ctx context.Context, r redis.Scripter, keys []string, args ...any) *redis.Cmd {
	return r.Eval(ctx, string(s), keys, args...)
}

// refusal is in front of what a script of ours refused.
const refusal = "POSTERN "

// Refused returns the word with which a script of ours refused, or "".
func Refused(err error) string {
	if err == nil || !strings.HasPrefix(err.Error(), refusal) {
		return ""
	}
	return strings.TrimPrefix(err.Error(), refusal)
}

// isFault reports whether an error is the store's and not an answer: everything but redis.Nil
// and the refusals of our own scripts.
func isFault(err error) bool {
	return err != nil && !errors.Is(err, redis.Nil) && Refused(err) == "" && !errors.Is(err, errAnswer)
}

// errAnswer marks errors that f of Do made itself from a good answer.
var errAnswer = errors.New("answer")

// Answer marks an error that is made from an answer of the store, so that Do does not take it
// for a fault. errors.Is still finds err.
func Answer(err error) error {
	if err == nil {
		return nil
	}
	return answer{err}
}

type answer struct{ error }

func (a answer) Unwrap() error        { return a.error }
func (a answer) Is(target error) bool { return target == errAnswer }

// every is how often trouble is said at most.
const every = 10 * time.Second

// trouble says once in a while that the store is away, and once that it is back.
type trouble struct {
	log *slog.Logger
	now func() time.Time

	mu     sync.Mutex
	since  time.Time // zero: all is well
	said   time.Time
	unsaid int
}

func (t *trouble) say(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if t.since.IsZero() {
		t.since = now
	}
	if !t.said.IsZero() && now.Sub(t.said) < every && !now.Before(t.said) {
		t.unsaid++
		return
	}
	t.log.Error("redis is away", "error", err, "since", t.since, "failures_not_said", t.unsaid)
	t.said, t.unsaid = now, 0
}

func (t *trouble) over() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since.IsZero() {
		return
	}
	t.log.Info("redis is back", "away_since", t.since)
	t.since = time.Time{}
}

// counter counts round trips.
type counter struct{ n *atomic.Int64 }

func (c *counter) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmd)
	}
}

func (c *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmds)
	}
}
