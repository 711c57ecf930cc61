// Package recipient knows which addresses the servers behind take.
package recipient

import (
	"context"
	"errors"
	"log/slog"
	"time"

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
	Path string // of the file when Kind is File: an address or "@domain" per line, # comments
}

// Answer says whether an address is taken.
type Answer struct {
	Known    bool
	Verified bool         // false when nothing really checked it: mode any, or a server that takes everything
	Stale    bool         // an old answer, used because the server behind is down
	Reply    client.Reply // the refusal when !Known: what the sender is told
}

// TempError says that it could not be told now. Reply is a 4xx for the sender.
type TempError struct {
	Reply client.Reply
	Err   error
}

func (e *TempError) Error() string { return "recipient: " + e.Reply.String() }

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
	MaxCache int           // addresses remembered; default 100,000
	// TakesAny is told once when a server behind takes a random address of the domain, and
	// once when it no longer does.
	TakesAny func(backend, domain string, takesAny bool)
}

// Verifier answers for recipients. It is safe for use by many goroutines.
type Verifier struct{}

// New makes a verifier with an empty cache.
func New(cfg Config, p Prober, now func() time.Time, log *slog.Logger) *Verifier {
	return &Verifier{}
}

// Known says whether the backend takes the address under the mode. The error is a *TempError.
func (v *Verifier) Known(ctx context.Context, backend string, mode Mode, address string) (Answer, error) {
	return Answer{}, errors.New("not yet")
}

// Close stops probes under way and waits for them.
func (v *Verifier) Close() error { return nil }
