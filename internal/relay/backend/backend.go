// Package backend keeps the pools of servers behind: which server is asked, which rests,
// and the connections that wait to be used again.
package backend

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"postern/internal/breaker"
	"postern/internal/relay/client"
)

// Server is one server of a pool.
type Server struct {
	Addr     string // "host:port" or "unix:/path"
	Protocol client.Protocol
	Priority int // the lowest that is up is asked; equal ones in turn
	TLS      client.TLS
	XClient  bool
	XForward bool
	Auth     *client.Auth
}

// Config is every pool by its name, and what they share. Zero fields take the default.
type Config struct {
	LocalName string
	Pools     map[string][]Server
	Timeouts  client.Timeouts
	Rest      breaker.Config
	MaxIdle   int           // idle connections kept per server; default 10
	IdleTime  time.Duration // how long one is kept; default 30 s
	MaxConns  int           // connections open at once per server; default 45, under Postfix' 50 per client
	MaxUses   int           // transactions per connection; default 100
	Dial      func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Health is the state of one server.
type Health struct {
	Addr      string
	State     breaker.State
	Until     time.Time // next try when it rests
	LastError string    // the latest failure in private words, "" when none
	Idle, Use int       // connections waiting and in use
}

// Pools holds all pools. It is safe for use by many goroutines.
type Pools struct{}

// New makes the pools without connecting anywhere and starts no goroutine.
func New(cfg Config, now func() time.Time, log *slog.Logger) *Pools { return &Pools{} }

// Get returns a connection to a server of the pool that is ready for MAIL: an idle one that
// is still alive or a fresh one. release must be called once: reuse says that the last
// transaction ended as it should. The error is an *client.Error (Public is a 451).
func (p *Pools) Get(ctx context.Context, name string) (c *client.Conn, release func(reuse bool), err error) {
	return nil, nil, errors.New("not yet")
}

// Begin gets a connection and begins a transaction on it. When an idle connection turns out
// to be dead, it is tried once more on a fresh one: no byte of a body was sent yet. The
// caller always calls release when err is nil, also when !begun.OK().
func (p *Pools) Begin(ctx context.Context, name string, e client.Envelope) (c *client.Conn, begun client.Begun, release func(reuse bool), err error) {
	return nil, client.Begun{}, nil, errors.New("not yet")
}

// Probe asks a server of the pool whether it takes each address (MAIL FROM:<>, RCPT, RSET),
// over a connection that never carried XCLIENT.
func (p *Pools) Probe(ctx context.Context, name string, to ...string) (client.Begun, error) {
	return client.Begun{}, errors.New("not yet")
}

// Login connects afresh to a server of the pool with verified TLS and logs in there. The
// connection belongs to the caller and never enters the pool.
func (p *Pools) Login(ctx context.Context, name, mech, user, secret string) (*client.Conn, error) {
	return nil, errors.New("not yet")
}

// Extensions is what every server of the named pools offers. Servers not yet seen offer
// nothing; Warm asks them.
func (p *Pools) Extensions(names ...string) client.Extensions { return client.Extensions{} }

// Warm connects once to every server that was never seen and keeps the connection.
func (p *Pools) Warm(ctx context.Context) {}

// Health returns the state of each server of the pool, in configured order.
func (p *Pools) Health(name string) []Health { return nil }

// Up reports whether any server of the pool is not resting.
func (p *Pools) Up(name string) bool { return false }

// Run probes resting servers and closes connections idle for too long until ctx ends.
func (p *Pools) Run(ctx context.Context) {}

// Reload swaps the configuration. Connections in use finish their work; servers that did
// not change keep their state and idle connections.
func (p *Pools) Reload(cfg Config) {}

// Close closes idle connections at once and those in use when they are released.
func (p *Pools) Close() error { return nil }
