package conn

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/breaker"
)

// rests are the breakers of one server, one for each kind of calls; nil lets everything through.
type rests [kinds]*breaker.Breaker

func newRests() *rests {
	r := &rests{}
	for k := range r {
		// Nodes that lost the server together should not come back together.
		r[k] = breaker.New(breaker.Config{Failures: 5, Rest: jitter(250 * time.Millisecond), MaxRest: jitter(4 * time.Second), Trial: 15 * time.Second}, time.Now)
	}
	return r
}

func (r *rests) allow(kind Kind) bool { return r == nil || r[kind].Allow() }

// note counts the end of a call. A server that answers that it cannot has answered.
func (r *rests) note(kind Kind, fault *Fault) {
	switch {
	case r == nil:
	case fault != nil && fault.rest:
		r[kind].Failure()
	default:
		r[kind].Success()
	}
}

func (r *rests) cancel(kind Kind) {
	if r != nil {
		r[kind].Cancel()
	}
}

// jitter is a time between three quarters of d and d.
func jitter(d time.Duration) time.Duration { return d - rand.N(d/4) }

// answered lets calls through again: lookups only when the answer is quick enough for them.
func (r *rests) answered(took time.Duration) {
	if r == nil {
		return
	}
	r[Write].Success()
	r[Background].Success()
	if took < LookupTime/2 {
		r[Lookup].Success()
	}
}

// call is what a command belongs to; it travels in the context.
type call struct {
	kind   Kind
	caller context.Context // with the time of the caller alone
}

type callKey struct{}

// noCall hides the call from what the client does on the way: logging in is no call of its own.
func noCall(ctx context.Context) context.Context {
	return context.WithValue(ctx, callKey{}, (*call)(nil))
}

// resting leaves one server of a Cluster alone while the others go on.
type resting struct {
	*rests
	why *atomic.Pointer[Fault]
}

// restEach gives every server of a Cluster its own breakers.
func restEach(c *redis.ClusterClient) {
	c.OnNewNode(func(node *redis.Client) { node.AddHook(resting{newRests(), &atomic.Pointer[Fault]{}}) })
}

func (r resting) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (r resting) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "ping" {
			start := time.Now()
			err := next(noCall(ctx), cmd)
			if err == nil {
				r.answered(time.Since(start))
			}
			return err
		}
		return r.rule(ctx, func(ctx context.Context) error { return next(ctx, cmd) }, cmd)
	}
}

func (r resting) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return r.rule(ctx, func(ctx context.Context) error { return next(ctx, cmds) }, cmds...)
	}
}

// rule makes a call when the server does not rest, and notes how it went.
func (r resting) rule(ctx context.Context, next func(context.Context) error, cmds ...redis.Cmder) error {
	of, _ := ctx.Value(callKey{}).(*call)
	if of == nil {
		return next(ctx)
	}
	if !r.allow(of.kind) {
		fault := &Fault{Reason: "no answer in time", Err: errResting}
		if last := r.why.Load(); last != nil {
			fault.Reason = last.Reason
		}
		for _, cmd := range cmds {
			cmd.SetErr(fault)
		}
		return fault
	}
	err := next(noCall(ctx))
	worst := err
	if !isFault(worst) {
		worst = firstFault(cmds, nil, isFault)
	}
	switch {
	case !isFault(worst):
		r.note(of.kind, nil)
	case gaveUp(of.caller):
		r.cancel(of.kind)
	default:
		fault := faultOf(worst)
		r.why.Store(fault)
		r.note(of.kind, fault)
	}
	return err
}

// gaveUp reports whether the caller's own time is over: that says nothing about the store. Its
// timer may be a little behind the deadline that ended the call.
func gaveUp(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// isResting reports whether the store was not even asked.
func isResting(err error) bool { return errors.Is(err, errResting) }
