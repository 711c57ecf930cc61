// Package lease lets one of several nodes run a job.
package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
)

// Runner runs jobs. Of all nodes that share a home at most one runs a job for a period at a time,
// and none runs it again once it was done for that period; ran is false then. The period ""
// is for jobs that are never done: they run whenever nobody else runs them. The token is greater
// than that of every earlier run of the job. When the lease is lost, the context of f ends with
// ErrLost as its cause. A job whose f fails is not done.
type Runner interface {
	Run(ctx context.Context, job, period string, ttl time.Duration, f func(ctx context.Context, token int64) error) (ran bool, err error)
}

// ErrLost says that a lease ended before its job did: another node may run the job now.
var ErrLost = errors.New("the lease of the job was lost")

const (
	// DoneLife is how long it is remembered that a job was done for a period.
	DoneLife = 7 * 24 * time.Hour
	leastTTL = 100 * time.Millisecond
)

// Leases is the Runner of several nodes. Leases end by the clock of the server. One that could not
// be renewed ends here a tenth of its time earlier, by the node's monotonic clock.
type Leases struct {
	conn *conn.Conn
	node string
	now  func() time.Time
}

// New makes the Runner of a node. Now tells how long calls take.
func New(c *conn.Conn, node string, now func() time.Time) *Leases {
	return &Leases{conn: c, node: node, now: now}
}

// The scripts share KEYS lease, token, done. The holder is a name that only one run has, so that
// a script whose answer was lost can be sent again.

// acquire: ARGV holder, ttl. The clock of the server, in microseconds, is a floor for tokens: no
// two runs begin within one, so that tokens grow also when the store lost its data.
const acquire conn.Script = `
if redis.call('EXISTS', KEYS[3]) == 1 then return redis.error_reply('POSTERN done') end
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return redis.error_reply('POSTERN held') end
local t = redis.call('TIME')
local token = math.max((tonumber(redis.call('GET', KEYS[2]) or '0') or 0) + 1, t[1] * 1000000 + t[2])
redis.call('SET', KEYS[2], string.format('%.0f', token))
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return string.format('%.0f', token)
`

// renew: ARGV holder, ttl.
const renew conn.Script = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('POSTERN lost') end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
`

// finish: ARGV holder, life of the done mark in ms or "0" for none.
const finish conn.Script = `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return redis.error_reply('POSTERN lost') end
if ARGV[2] ~= '0' then redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[2]) end
redis.call('DEL', KEYS[1])
return 1
`

// release: ARGV holder.
const release conn.Script = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
`

// hold is one run of a job.
type hold struct {
	*Leases
	keys   []string
	holder string
	ttl    time.Duration
}

var wellFormed = regexp.MustCompile(`^[0-9A-Za-z:._+-]{0,64}$`)

// Run implements Runner. The error wraps conn.ErrAway when the store could not be asked; the job
// is not run then. A node that dies leaves its lease to run out.
func (l *Leases) Run(ctx context.Context, job, period string, ttl time.Duration, f func(ctx context.Context, token int64) error) (bool, error) {
	if job == "" || !wellFormed.MatchString(job) || !wellFormed.MatchString(period) {
		return false, fmt.Errorf("job %q for %q: a name has up to 64 letters, digits and signs of :-+._ alone", job, period)
	}
	tag := "{job:" + job + "}"
	h := &hold{
		Leases: l, holder: l.node + " " + rand.Text(), ttl: max(ttl, leastTTL),
		keys: []string{l.conn.Key(tag, "lease", period), l.conn.Key(tag, "token"), l.conn.Key(tag, "done", period)},
	}
	begun := l.now()
	token, err := h.call(ctx, acquire, h.ttl.Milliseconds()).Int64()
	switch {
	case conn.Refused(err) != "":
		return false, nil
	case err != nil:
		return false, fmt.Errorf("job %s: %w", job, err)
	}
	held, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	stop := h.keep(held, lose, begun)
	err = f(held, token)
	stop()
	if err = h.end(context.WithoutCancel(ctx), period, err); err != nil {
		err = fmt.Errorf("job %s for %q: %w", job, period, err)
	}
	return true, err
}

// call runs a script for this run.
func (h *hold) call(ctx context.Context, script conn.Script, args ...any) *redis.Cmd {
	var cmd *redis.Cmd
	err := h.conn.Do(ctx, conn.Background, func(ctx context.Context, r redis.UniversalClient) error {
		cmd = script.Run(ctx, r, h.keys, append([]any{h.holder}, args...)...)
		return cmd.Err()
	})
	if err != nil {
		cmd = redis.NewCmd(ctx)
		cmd.SetErr(err)
	}
	return cmd
}

// left is how long a lease that was asked for at some time can be relied on.
func (h *hold) left(asked time.Time) time.Duration {
	return max(0, h.ttl-h.ttl/10-h.now().Sub(asked))
}

// keep renews the lease until stop is called, and loses it when it can no longer be relied on.
func (h *hold) keep(ctx context.Context, lose func(error), begun time.Time) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	end := time.AfterFunc(h.left(begun), func() { lose(ErrLost) })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(h.ttl / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			asked := h.now()
			err := h.call(ctx, renew, h.ttl.Milliseconds()).Err()
			switch {
			case err == nil:
				end.Reset(h.left(asked))
			case conn.Refused(err) != "":
				lose(ErrLost)
				return
			}
		}
	}()
	return func() {
		cancel()
		<-ended
		end.Stop()
	}
}

// end gives the lease back and marks the job as done when f did all of it. That holds also when
// the lease was lost on the way and nobody else has it.
func (h *hold) end(ctx context.Context, period string, failed error) error {
	if failed != nil {
		_ = h.call(ctx, release).Err() // else it runs out
		return failed
	}
	life := DoneLife.Milliseconds()
	if period == "" {
		life = 0
	}
	err := h.call(ctx, finish, life).Err()
	if conn.Refused(err) != "" {
		return ErrLost
	}
	return err
}

// Local is the Runner of a node that has its home for itself: it always runs. The zero value is
// ready for use.
type Local struct{ last atomic.Int64 }

// Run implements Runner.
func (l *Local) Run(ctx context.Context, _, _ string, _ time.Duration, f func(ctx context.Context, token int64) error) (bool, error) {
	for {
		last := l.last.Load()
		token := max(last+1, time.Now().UnixMicro())
		if l.last.CompareAndSwap(last, token) {
			return true, f(ctx, token)
		}
	}
}
