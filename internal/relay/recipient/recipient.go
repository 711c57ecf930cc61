// Package recipient knows which addresses the servers behind take.
package recipient

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"postern/internal/address"
	"postern/internal/relay/client"
)

// Kind is how recipients of a route are known.
type Kind string

// The kinds: ask the server behind, look in a file, or take any address.
const (
	Verify Kind = "verify"
	File   Kind = "file"
	Any    Kind = "any"
)

// Mode is the recipients setting of a route.
type Mode struct {
	Kind Kind
	Path string // of the file when Kind is File, see CheckFile
}

// Answer says whether an address is taken.
type Answer struct {
	Known    bool
	Verified bool         // false when nothing really checked it: mode any, or a server that takes everything
	Stale    bool         // an old answer, used because the server behind is down
	Reply    client.Reply // the refusal when !Known: what the sender is told
}

// TempError says that it could not be told now. Reply is a 4xx for the sender, never 421.
type TempError struct {
	Reply client.Reply
	Err   error // the private cause; nil when the server behind said so itself
}

func (e *TempError) Error() string {
	s := "recipient: " + e.Reply.String()
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *TempError) Unwrap() error { return e.Err }

// Prober asks a server of a pool whether it takes addresses; *backend.Pools is one.
type Prober interface {
	Probe(ctx context.Context, name string, to ...string) (client.Begun, error)
}

// Config bounds the cache. Zero fields take the default.
type Config struct {
	Known    time.Duration // how long a positive answer is believed; default 12 h
	Unknown  time.Duration // a negative one; default 5 min
	Timeout  time.Duration // for one probe; default 20 s
	Probes   int           // probes at once per backend; default 8, so that guessing does not take the connections of mail
	MaxCache int           // addresses remembered, known and unknown apart; default 100,000
	// TakesAny is told once when a server behind takes a random address of the domain, and
	// once when it no longer does. It must not block.
	TakesAny func(backend, domain string, takesAny bool)
}

func (c Config) filled() Config {
	duration := func(d *time.Duration, usual time.Duration) {
		if *d <= 0 {
			*d = usual
		}
	}
	duration(&c.Known, 12*time.Hour)
	duration(&c.Unknown, 5*time.Minute)
	duration(&c.Timeout, 20*time.Second)
	if c.Probes <= 0 {
		c.Probes = 8
	}
	if c.MaxCache <= 0 {
		c.MaxCache = 100_000
	}
	if c.TakesAny == nil {
		c.TakesAny = func(string, string, bool) {}
	}
	return c
}

// Verifier answers for recipients. It is safe for use by many goroutines.
type Verifier struct {
	cfg    Config
	prober Prober
	now    func() time.Time
	log    *slog.Logger

	life context.Context // of probes: they outlive the caller that began them
	end  context.CancelFunc
	wg   sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	known   *lru[time.Time] // when the server last took the address
	unknown *lru[refusal]
	any     *lru[trial] // by backend and domain
	flights map[string]*flight
	lanes   map[string]chan struct{} // one entry per probe under way
	files   map[string]*file
}

// refusal is a negative answer and its age.
type refusal struct {
	at    time.Time
	reply client.Reply
}

// New makes a verifier with an empty cache; it starts no goroutine.
func New(cfg Config, p Prober, now func() time.Time, log *slog.Logger) *Verifier {
	cfg = cfg.filled()
	life, end := context.WithCancel(context.Background())
	return &Verifier{
		cfg: cfg, prober: p, now: now, log: log, life: life, end: end,
		known: newLRU[time.Time](cfg.MaxCache), unknown: newLRU[refusal](cfg.MaxCache), any: newLRU[trial](cfg.MaxCache),
		flights: map[string]*flight{}, lanes: map[string]chan struct{}{}, files: map[string]*file{},
	}
}

// Close stops probes under way and waits for them.
func (v *Verifier) Close() error {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	v.end()
	v.wg.Wait()
	return nil
}

var (
	errClosed = errors.New("the verifier is closed")
	errKind   = errors.New("unknown kind of recipients")
)

// Known says whether the backend takes the address under the mode. The error is a
// *TempError.
func (v *Verifier) Known(ctx context.Context, backend string, mode Mode, addr string) (Answer, error) {
	switch mode.Kind {
	case Any:
		return Answer{Known: true}, nil
	case File:
		return v.inFile(mode.Path, addr)
	case Verify:
		return v.verify(ctx, backend, addr)
	default:
		return Answer{}, cannot(errKind)
	}
}

// cannot is the answer when nothing could be asked.
func cannot(err error) *TempError {
	return &TempError{Err: err, Reply: client.Reply{Code: 450, Enhanced: "4.4.1", Text: "the recipient cannot be verified now, try again later"}}
}

// verify answers from the cache, or asks; callers with the same question share one probe.
func (v *Verifier) verify(ctx context.Context, backend, addr string) (Answer, error) {
	key := backend + "\x00" + address.Normalize(addr)
	domain := address.DomainOf(addr)
	v.mu.Lock()
	if a, ok := v.cached(key, backend, domain); ok {
		v.mu.Unlock()
		return a, nil
	}
	f := v.flights[key]
	if f == nil {
		if v.closed {
			v.mu.Unlock()
			return Answer{}, cannot(errClosed)
		}
		f = &flight{done: make(chan struct{})}
		v.flights[key] = f
		v.wg.Go(func() { v.fly(f, key, backend, addr, domain) })
	}
	v.mu.Unlock()
	select {
	case <-f.done:
		return f.answer, f.err
	case <-ctx.Done():
		return Answer{}, cannot(context.Cause(ctx))
	}
}

// cached is the answer that is fresh enough; the lock is held.
func (v *Verifier) cached(key, backend, domain string) (Answer, bool) {
	now := v.now()
	if at, ok := v.known.get(key); ok && now.Sub(at) < v.cfg.Known {
		return Answer{Known: true, Verified: !v.takesAny(backend, domain)}, true
	}
	if r, ok := v.unknown.get(key); ok && now.Sub(r.at) < v.cfg.Unknown {
		return Answer{Verified: true, Reply: r.reply}, true
	}
	return Answer{}, false
}

// Forget drops what is cached of an address at every backend, so that a mailbox just made
// or removed is asked about at once.
func (v *Verifier) Forget(addr string) {
	suffix := "\x00" + address.Normalize(addr)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.known.dropSuffix(suffix)
	v.unknown.dropSuffix(suffix)
}
