// Package breaker is a circuit breaker: after some failures in a row a thing is left alone
// for a while, then one caller may try it again, and each failed trial doubles the rest.
package breaker

import (
	"sync"
	"time"
)

// State is what a breaker currently lets through.
type State uint8

// The states. Closed lets everything through, Open nothing, HalfOpen one trial.
const (
	Closed State = iota
	Open
	HalfOpen
)

// String is the state as shown by health reports.
func (s State) String() string {
	switch s {
	case Open:
		return "resting"
	case HalfOpen:
		return "trial"
	default:
		return "up"
	}
}

// Config says when a breaker opens and for how long. Zero fields take the default.
type Config struct {
	Failures int           // failures in a row that open it; default 3
	Rest     time.Duration // first rest, doubled by each failed trial; default 500 ms
	MaxRest  time.Duration // the longest rest; default 8 s
	Trial    time.Duration // a trial that never reports is given up after this; default 60 s
}

func (c Config) filled() Config {
	if c.Failures <= 0 {
		c.Failures = 3
	}
	if c.Rest <= 0 {
		c.Rest = 500 * time.Millisecond
	}
	if c.MaxRest <= 0 {
		c.MaxRest = 8 * time.Second
	}
	c.MaxRest = max(c.MaxRest, c.Rest)
	if c.Trial <= 0 {
		c.Trial = time.Minute
	}
	return c
}

// Breaker guards one thing. It is safe for use by many goroutines.
type Breaker struct {
	cfg Config
	now func() time.Time

	mu       sync.Mutex
	state    State
	failures int
	rest     time.Duration
	until    time.Time // end of the rest, or of the trial
}

// New returns a closed breaker that reads the time from now.
func New(cfg Config, now func() time.Time) *Breaker {
	return &Breaker{cfg: cfg.filled(), now: now}
}

// Allow reports whether the caller may try now. When the rest is over it says yes to one
// caller only; that caller must report Success, Failure or Cancel.
func (b *Breaker) Allow() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == Closed {
		return true
	}
	now := b.now()
	if now.Before(b.until) {
		return false
	}
	b.state = HalfOpen
	b.until = now.Add(b.cfg.Trial)
	return true
}

// Success closes the breaker.
func (b *Breaker) Success() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state, b.failures, b.rest = Closed, 0, 0
}

// Failure counts a failure and reports whether it opened the breaker. A failure that
// arrives while the breaker already rests, from a call begun earlier, changes nothing.
func (b *Breaker) Failure() (opened bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
	switch {
	case b.state == Open:
		return false
	case b.state == Closed && b.failures < b.cfg.Failures:
		return false
	case b.rest == 0:
		b.rest = b.cfg.Rest
	default:
		b.rest = min(2*b.rest, b.cfg.MaxRest)
	}
	b.state, b.until = Open, b.now().Add(b.rest)
	return true
}

// Cancel gives an allowed try back without a result: a trial may be made again at once.
func (b *Breaker) Cancel() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == HalfOpen {
		b.state, b.until = Open, b.now()
	}
}

// State is the current state. A rest that is over still reads Open until somebody tries.
func (b *Breaker) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}

// Until is when the next try is allowed; the zero time means now.
func (b *Breaker) Until() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == Closed {
		return time.Time{}
	}
	return b.until
}
