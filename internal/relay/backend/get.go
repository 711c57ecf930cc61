package backend

import (
	"context"
	"errors"
	"sync"
	"time"

	"postern/internal/breaker"
	"postern/internal/relay/client"
)

// Get returns a connection to a server of the pool that is ready for MAIL: an idle one that
// still seems alive or a fresh one. release must be called once: reuse says that the last
// transaction ended as it should. The error is a *client.Error (Public is a 451).
func (p *Pools) Get(ctx context.Context, name string) (c *client.Conn, release func(reuse bool), err error) {
	l, err := p.acquire(ctx, name, want{})
	if err != nil {
		return nil, nil, err
	}
	return l.c, l.release, nil
}

// acquire asks the servers of a pool in their order.
func (p *Pools) acquire(ctx context.Context, name string, w want) (*lease, error) {
	servers, err := p.order(name)
	if err != nil {
		return nil, poolError(name, err)
	}
	var last error
	for _, s := range servers {
		l, err := s.acquire(ctx, w)
		if err == nil {
			return l, nil
		}
		// The word of a server that was really asked says more than that another rests.
		if last == nil || !errors.Is(err, ErrResting) {
			last = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, last
}

// Begin gets a connection and begins a transaction on it. When an idle connection turns out
// to be dead it is tried once more on a fresh one: no byte of a body was sent yet. The
// caller always calls release when err is nil, also when !begun.OK(). The error is a
// *client.Error.
func (p *Pools) Begin(ctx context.Context, name string, e client.Envelope) (c *client.Conn, begun client.Begun, release func(reuse bool), err error) {
	l, begun, err := p.try(ctx, name, want{}, func(c *client.Conn) (client.Begun, error) { return c.Begin(ctx, e) })
	if err != nil {
		return nil, begun, nil, err
	}
	return l.c, begun, l.release, nil
}

// Probe asks a server of the pool whether it takes each address (MAIL FROM:<>, RCPT, RSET),
// over a connection that never carried XCLIENT. The error is a *client.Error.
func (p *Pools) Probe(ctx context.Context, name string, to ...string) (client.Begun, error) {
	l, begun, err := p.try(ctx, name, want{own: true}, func(c *client.Conn) (client.Begun, error) { return c.Probe(ctx, to...) })
	if err != nil {
		return begun, err
	}
	l.release(true)
	return begun, nil
}

// try runs the opening of a transaction, twice when the first connection was stale.
func (p *Pools) try(ctx context.Context, name string, w want, open func(*client.Conn) (client.Begun, error)) (*lease, client.Begun, error) {
	for {
		l, err := p.acquire(ctx, name, w)
		if err != nil {
			return nil, client.Begun{}, err
		}
		begun, err := open(l.c)
		farewell := begun.Mail.Code == 421 && l.reused
		if err == nil && !farewell {
			return l, begun, nil
		}
		again := farewell || l.stale(err)
		l.release(false)
		if ctx.Err() != nil && err == nil {
			err = poolError(l.c.Addr(), context.Cause(ctx))
		}
		if !again || ctx.Err() != nil {
			return nil, begun, err
		}
		w.fresh = true
	}
}

// Login connects afresh to a server of the pool with verified TLS and logs in there. The
// connection belongs to the caller and never enters the pool. A refused login is a
// *client.Error at StageAuth whose Reply is the server's answer.
func (p *Pools) Login(ctx context.Context, name, mech, user, secret string) (*client.Conn, error) {
	servers, err := p.order(name)
	if err != nil {
		return nil, poolError(name, err)
	}
	var last error = poolError(name, ErrResting)
	for _, s := range servers {
		if !s.brk.Allow() {
			continue
		}
		o := s.options()
		o.TLS.Mode, o.Auth = client.TLSRequired, nil
		c, err := client.Dial(ctx, o)
		var e *client.Error
		switch {
		case err == nil:
			s.greeted()
			if err = c.Auth(ctx, mech, user, secret); err == nil {
				return c, nil
			}
			if errors.As(err, &e) && e.Reply.Code != 0 {
				return nil, err // the word of one server on a password is that of all
			}
		case errors.As(err, &e) && e.Stage == client.StageTLS:
			s.brk.Cancel() // it may lack what a login needs and still take mail
		default:
			s.failed(err)
		}
		last = err
		if ctx.Err() != nil {
			break
		}
	}
	return nil, last
}

// Warm connects once to every server that was never reached and keeps the connection.
func (p *Pools) Warm(ctx context.Context) {
	var wg sync.WaitGroup
	for _, s := range p.all() {
		if _, seen := s.offers(); !seen {
			wg.Go(func() { s.check(ctx) })
		}
	}
	wg.Wait()
}

// check makes a connection and keeps it, so that the breaker learns how the server is. A
// check that still waits for its server is enough.
func (s *server) check(ctx context.Context) {
	if !s.checking.CompareAndSwap(false, true) {
		return
	}
	defer s.checking.Store(false)
	if l, err := s.acquire(ctx, want{fresh: true}); err == nil {
		l.release(true)
	}
}

// Run probes servers that rest or were never reached, and closes connections idle for too
// long, until ctx ends. Without it a server is tried again by the next mail for it.
func (p *Pools) Run(ctx context.Context) {
	p.run(ctx, time.Second)
}

func (p *Pools) run(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, s := range p.all() {
			s.mu.Lock()
			s.reap(s.now())
			ask := !s.seen
			s.mu.Unlock()
			if ask || s.brk.State() != breaker.Closed {
				wg.Go(func() { s.check(ctx) })
			}
		}
	}
}
