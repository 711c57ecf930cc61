package dns

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/miekg/dns"
)

// flight is one question on the wire that several lookups may wait for. It outlives them:
// what it brings goes into the cache.
type flight struct {
	done   chan struct{}
	answer *answer // set before done closes
	keep   bool    // somebody asked for it who would have taken it from the cache
}

// flightTimeouts bounds a flight, in tries' timeouts: all servers, retries and the names at
// the end of CNAMEs together.
const flightTimeouts = 5

// lookup answers from the cache or waits for a flight. The error is always a *net.DNSError;
// it is returned as error so that a nil stays nil.
func (r *Resolver) lookup(ctx context.Context, name string, qtype uint16) (*answer, error) {
	r.count.lookups.Add(1)
	wire, ok := wireName(name)
	if !ok {
		return nil, &net.DNSError{Err: ErrBadName.Error(), UnwrapErr: ErrBadName, Name: name, IsNotFound: true}
	}
	q := question{wire, qtype}
	a, err := r.answer(ctx, name, q)
	if err != nil {
		r.count.failures.Add(1)
		return nil, err
	}
	if err := a.err(name); err != nil {
		if !err.IsNotFound {
			r.count.failures.Add(1)
		}
		return nil, err
	}
	return a, nil
}

// answer takes what is known of q, or asks.
func (r *Resolver) answer(ctx context.Context, name string, q question) (*answer, error) {
	if !isFresh(ctx) {
		if a, ok := r.cache.get(q, r.now()); ok {
			r.count.hits.Add(1)
			return a, nil
		}
	}
	return r.wait(ctx, name, q)
}

// err is what a lookup returns for an answer without records, else nil.
func (a *answer) err(name string) *net.DNSError {
	switch a.status {
	case found:
		return nil
	case noName:
		return &net.DNSError{Err: ErrNoName.Error(), UnwrapErr: ErrNoName, Name: name, IsNotFound: true}
	case noData:
		return &net.DNSError{Err: "no such record", Name: name, IsNotFound: true}
	default:
		return &net.DNSError{Err: a.reason, UnwrapErr: a.cause, Name: name, IsTemporary: true, IsTimeout: a.timeout}
	}
}

// wait asks on behalf of one lookup, inside its context and its message's budget.
func (r *Resolver) wait(ctx context.Context, name string, q question) (*answer, error) {
	own := ctx
	budget := budgetOf(ctx)
	if budget != nil {
		left, ok := budget.begin(shareOf(ctx))
		if !ok {
			r.count.refused.Add(1)
			return nil, &net.DNSError{Err: ErrBudget.Error(), UnwrapErr: ErrBudget, Name: name, IsTemporary: true}
		}
		defer budget.end()
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, left)
		defer cancel()
	}
	f, err := r.join(ctx, q)
	if err == nil {
		select {
		case <-f.done:
			return f.answer, nil
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if own.Err() == nil && ctx.Err() != nil {
		budget.setCut()
		r.count.refused.Add(1)
		err = ErrBudget
	}
	return nil, &net.DNSError{Err: err.Error(), UnwrapErr: err, Name: name, IsTemporary: true, IsTimeout: !errors.Is(err, context.Canceled)}
}

// join finds the flight for q or starts it. It waits for a free slot in the caller's
// goroutine, so that there are never more goroutines than slots.
func (r *Resolver) join(ctx context.Context, q question) (*flight, error) {
	fresh := isFresh(ctx)
	if f := r.flying(q, !fresh); f != nil {
		return f, nil
	}
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.flights[q]; f != nil || r.closed {
		<-r.slots
		if f != nil {
			f.keep = f.keep || !fresh
			return f, nil
		}
		return nil, net.ErrClosed
	}
	f := &flight{done: make(chan struct{}), keep: !fresh}
	if a, ok := r.cache.get(q, r.now()); ok && !fresh { // its flight landed while we waited for a slot
		<-r.slots
		f.answer = a
		close(f.done)
		return f, nil
	}
	r.flights[q] = f
	r.wg.Go(func() { r.fly(q, f) })
	return f, nil
}

// flying returns the flight for q, if there is one.
func (r *Resolver) flying(q question, keep bool) *flight {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.flights[q]
	if f != nil {
		f.keep = f.keep || keep
	}
	return f
}

// fly runs one flight to its end.
func (r *Resolver) fly(q question, f *flight) {
	ctx, cancel := context.WithTimeout(r.ctx, flightTimeouts*r.timeout)
	f.answer = r.resolve(ctx, q)
	cancel()
	r.mu.Lock()
	if !errors.Is(f.answer.cause, ErrNoServer) && r.ctx.Err() == nil {
		r.cache.put(q, f.answer, r.now(), f.keep)
	}
	delete(r.flights, q)
	r.mu.Unlock()
	close(f.done)
	<-r.slots
}

// resolve asks the servers and follows CNAMEs that a server left unfollowed. A panic over
// hostile bytes is a failure of this question, not of the process.
func (r *Resolver) resolve(ctx context.Context, q question) (a *answer) {
	defer func() {
		if v := recover(); v != nil {
			a = failure("internal fault", fmt.Errorf("panic: %v", v), false)
		}
	}()
	hops, ttl := 0, maxTTL
	for {
		resp, err := r.ask(ctx, q)
		if err != nil {
			var rcode rcodeError
			return failure(err.Error(), err, !errors.As(err, &rcode))
		}
		var next string
		a, next = read(resp, q, &hops)
		if next == "" {
			a.ttl = min(a.ttl, ttl)
			return a
		}
		for _, rr := range resp.Answer {
			if _, ok := rr.(*dns.CNAME); ok {
				ttl = max(minTTL, min(ttl, seconds(rr.Header().Ttl)))
			}
		}
		q.name = next
	}
}
