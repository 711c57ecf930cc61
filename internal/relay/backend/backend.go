// Package backend keeps the pools of servers behind: which server is asked, which rests,
// and the connections that wait to be used again.
package backend

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
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
	MaxConns int // connections in use at once; 0 = that of Config
}

// Config is every pool by its name, and what they share. Zero fields take the default.
type Config struct {
	LocalName string
	Pools     map[string][]Server
	Timeouts  client.Timeouts
	Rest      breaker.Config
	MaxIdle   int           // idle connections kept per server; default 10
	IdleTime  time.Duration // how long one is kept; default 30 s
	MaxConns  int           // connections in use at once per server without its own; default 45, under Postfix' 50 per client
	MaxWait   time.Duration // for one of them to come free; default 10 s
	MaxUses   int           // transactions per connection; default 100
	Dial      func(ctx context.Context, network, addr string) (net.Conn, error)
}

func (c Config) filled() Config {
	number := func(n *int, usual int) {
		if *n <= 0 {
			*n = usual
		}
	}
	number(&c.MaxIdle, 10)
	number(&c.MaxConns, 45)
	number(&c.MaxUses, 100)
	if c.IdleTime <= 0 {
		c.IdleTime = 30 * time.Second
	}
	if c.MaxWait <= 0 {
		c.MaxWait = 10 * time.Second
	}
	return c
}

// What the Err of a *client.Error at StagePool may be.
var (
	ErrUnknown = errors.New("no such backend")
	ErrResting = errors.New("every server rests after failures")
	ErrBusy    = errors.New("every connection is in use")
	ErrClosed  = errors.New("the pools are closed")
)

// pool is the servers under one name, by priority.
type pool struct {
	servers []*server
	turn    atomic.Uint32
}

// Pools holds all pools. It is safe for use by many goroutines.
type Pools struct {
	now func() time.Time
	log *slog.Logger

	mu     sync.RWMutex
	pools  map[string]*pool
	closed bool
}

// New makes the pools without connecting anywhere and starts no goroutine. now is the clock
// for rests and idle times.
func New(cfg Config, now func() time.Time, log *slog.Logger) *Pools {
	p := &Pools{now: now, log: log, pools: map[string]*pool{}}
	p.Reload(cfg)
	return p
}

// Reload swaps the configuration. Connections in use finish their work; servers that did
// not change keep their state and idle connections.
func (p *Pools) Reload(cfg Config) {
	cfg = cfg.filled()
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.pools
	p.pools = map[string]*pool{}
	for name, list := range cfg.Pools {
		np := &pool{}
		for _, s := range list {
			np.servers = append(np.servers, p.keep(old[name], s, cfg))
		}
		slices.SortStableFunc(np.servers, func(a, b *server) int { return a.cfg.Priority - b.cfg.Priority })
		p.pools[name] = np
	}
	for name, op := range old {
		for _, s := range op.servers {
			if np := p.pools[name]; np == nil || !slices.Contains(np.servers, s) {
				s.retire()
			}
		}
	}
}

// keep finds the running server for a configured one, or makes a new one.
func (p *Pools) keep(old *pool, s Server, cfg Config) *server {
	if old != nil {
		for _, have := range old.servers {
			if have.matches(s, cfg) {
				return have
			}
		}
	}
	return newServer(s, cfg, p.now, p.log)
}

// Close closes idle connections at once and those in use when they are released.
func (p *Pools) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, pl := range p.pools {
		for _, s := range pl.servers {
			s.retire()
		}
	}
	return nil
}

// order is the servers of a pool as they are to be tried: by priority, equal ones in turn.
func (p *Pools) order(name string) ([]*server, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return nil, ErrClosed
	}
	pl := p.pools[name]
	if pl == nil || len(pl.servers) == 0 {
		return nil, ErrUnknown
	}
	turn := int(pl.turn.Add(1) - 1)
	list := make([]*server, 0, len(pl.servers))
	for i := 0; i < len(pl.servers); {
		j := i
		for j < len(pl.servers) && pl.servers[j].cfg.Priority == pl.servers[i].cfg.Priority {
			j++
		}
		for k := range j - i {
			list = append(list, pl.servers[i+(turn+k)%(j-i)])
		}
		i = j
	}
	return list, nil
}

// all is every server of every pool.
func (p *Pools) all() []*server {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var list []*server
	if !p.closed {
		for _, pl := range p.pools {
			list = append(list, pl.servers...)
		}
	}
	return list
}

// Extensions is what every server of the named pools offers, as far as they have been
// spoken to. A pool of which no server was ever reached offers nothing; Warm asks them.
func (p *Pools) Extensions(names ...string) client.Extensions {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var all client.Extensions
	first := true
	for _, name := range names {
		seen := false
		if pl := p.pools[name]; pl != nil {
			for _, s := range pl.servers {
				x, ok := s.offers()
				if !ok {
					continue
				}
				seen = true
				if first {
					all, first = x, false
				} else {
					all = all.Intersect(x)
				}
			}
		}
		if !seen {
			return client.Extensions{}
		}
	}
	return all
}

// Health is the state of one server.
type Health struct {
	Addr      string
	State     breaker.State
	Until     time.Time // next try when it rests
	LastError string    // the latest failure in private words, "" when none
	Idle, Use int       // connections waiting and in use
}

// Health returns the state of each server of the pool, by priority.
func (p *Pools) Health(name string) []Health {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var list []Health
	if pl := p.pools[name]; pl != nil {
		for _, s := range pl.servers {
			list = append(list, s.health())
		}
	}
	return list
}

// Names lists the pools in alphabetical order.
func (p *Pools) Names() []string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var names []string
	for name := range p.pools {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Up reports whether any server of the pool is not resting.
func (p *Pools) Up(name string) bool {
	return slices.ContainsFunc(p.Health(name), func(h Health) bool { return h.State == breaker.Closed })
}
