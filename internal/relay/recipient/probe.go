package recipient

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"postern/internal/relay/client"
)

// flight is one probe that several callers may wait for.
type flight struct {
	done   chan struct{}
	answer Answer
	err    error
}

// trial is what a random address of a domain told about its backend.
type trial struct {
	at       time.Time
	takesAny bool
}

// fly probes and lets the waiting callers go.
func (v *Verifier) fly(f *flight, key, backend, addr, domain string) {
	ctx, cancel := context.WithTimeout(v.life, v.cfg.Timeout)
	defer cancel()
	f.answer, f.err = v.probe(ctx, key, backend, addr, domain)
	v.mu.Lock()
	delete(v.flights, key)
	v.mu.Unlock()
	close(f.done)
}

// probe asks the server behind and remembers what it said. A random address of the domain
// is asked about in the same breath when that is due.
func (v *Verifier) probe(ctx context.Context, key, backend, addr, domain string) (Answer, error) {
	lane := v.lane(backend)
	select {
	case lane <- struct{}{}:
		defer func() { <-lane }()
	case <-ctx.Done():
		return v.down(key, backend, domain, cannot(context.Cause(ctx)))
	}
	ask := []string{addr}
	if domain != "" && v.due(backend, domain) {
		ask = append(ask, "postern-"+strings.ToLower(rand.Text())+"@"+domain)
	}
	begun, err := v.prober.Probe(ctx, backend, ask...)
	switch {
	case err != nil:
		return v.down(key, backend, domain, cannot(err))
	case begun.Mail.Enhanced == "5.6.7":
		// The server cannot take such an address at all: an answer, and for good.
		return v.refused(key, begun.Mail), nil
	case !begun.Mail.OK() || len(begun.Rcpt) != len(ask):
		v.log.Warn("recipient probe refused at MAIL", "backend", backend, "reply", begun.Mail.String())
		return v.down(key, backend, domain, temporary(begun.Mail))
	}
	if len(ask) > 1 {
		v.judge(backend, domain, begun.Rcpt[1])
	}
	switch r := begun.Rcpt[0]; {
	case r.OK():
		return v.taken(key, backend, domain), nil
	case r.Permanent():
		return v.refused(key, r), nil
	case r.Code == 421:
		return v.down(key, backend, domain, temporary(r))
	default:
		return Answer{}, temporary(r)
	}
}

// temporary passes a 4xx on. What is not one, and 421, which would end our own session with
// the sender, becomes a plain 450.
func temporary(r client.Reply) *TempError {
	if r.Temporary() && r.Code != 421 {
		return &TempError{Reply: r}
	}
	e := cannot(nil)
	return e
}

// lane bounds the probes under way at a backend.
func (v *Verifier) lane(backend string) chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.lanes[backend] == nil {
		v.lanes[backend] = make(chan struct{}, v.cfg.Probes)
	}
	return v.lanes[backend]
}

func (v *Verifier) taken(key, backend, domain string) Answer {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.known.put(key, v.now())
	v.unknown.drop(key)
	return Answer{Known: true, Verified: !v.takesAny(backend, domain)}
}

func (v *Verifier) refused(key string, r client.Reply) Answer {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.unknown.put(key, refusal{v.now(), r})
	v.known.drop(key)
	return Answer{Verified: true, Reply: r}
}

// down answers while the server behind cannot say: by the last positive answer, however old.
func (v *Verifier) down(key, backend, domain string, err *TempError) (Answer, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.known.get(key); ok {
		return Answer{Known: true, Verified: !v.takesAny(backend, domain), Stale: true}, nil
	}
	return Answer{}, err
}

// due reports whether a random address is to be asked about.
func (v *Verifier) due(backend, domain string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	t, ok := v.any.get(backend + "\x00" + domain)
	return !ok || v.now().Sub(t.at) >= v.cfg.Known
}

// judge notes what became of the random address; a 4xx says nothing.
func (v *Verifier) judge(backend, domain string, r client.Reply) {
	if !r.OK() && !r.Permanent() {
		return
	}
	v.mu.Lock()
	was := v.takesAny(backend, domain)
	v.any.put(backend+"\x00"+domain, trial{v.now(), r.OK()})
	v.mu.Unlock()
	if was == r.OK() {
		return
	}
	if r.OK() {
		v.log.Warn("backend takes any address", "backend", backend, "domain", domain)
	}
	v.cfg.TakesAny(backend, domain, r.OK())
}

// takesAny is the latest judgement, however old; the lock is held.
func (v *Verifier) takesAny(backend, domain string) bool {
	t, ok := v.any.get(backend + "\x00" + domain)
	return ok && t.takesAny
}
