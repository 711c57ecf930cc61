package backend

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"postern/internal/breaker"
	"postern/internal/relay/client"
)

// resting is a connection that waits to be used again.
type resting struct {
	c     *client.Conn
	since time.Time
}

// server is one server with its connections.
type server struct {
	cfg  Server
	with Config // as it was made with; Pools is not used
	brk  *breaker.Breaker
	use  chan struct{} // one entry per connection in use
	now  func() time.Time
	log  *slog.Logger

	checking atomic.Bool

	mu      sync.Mutex
	idle    []resting // the latest last
	ext     client.Extensions
	seen    bool
	lastErr string
	retired bool
}

func newServer(s Server, cfg Config, now func() time.Time, log *slog.Logger) *server {
	cfg.Pools = nil
	conns := s.MaxConns
	if conns <= 0 {
		conns = cfg.MaxConns
	}
	return &server{
		cfg: s, with: cfg, now: now, log: log,
		brk: breaker.New(cfg.Rest, now), use: make(chan struct{}, conns),
	}
}

// matches reports whether the server is the one configured, so that it can stay.
func (s *server) matches(o Server, cfg Config) bool {
	a, b := s.cfg, o
	if !a.TLS.CA.Equal(b.TLS.CA) || (a.Auth == nil) != (b.Auth == nil) || a.Auth != nil && *a.Auth != *b.Auth {
		return false
	}
	a.TLS.CA, a.Auth, b.TLS.CA, b.Auth = nil, nil, nil, nil
	w := s.with
	return a == b && w.LocalName == cfg.LocalName && w.Timeouts == cfg.Timeouts && w.Rest == cfg.Rest &&
		w.MaxIdle == cfg.MaxIdle && w.IdleTime == cfg.IdleTime && w.MaxConns == cfg.MaxConns && w.MaxWait == cfg.MaxWait && w.MaxUses == cfg.MaxUses
}

func (s *server) options() client.Options {
	return client.Options{
		Addr: s.cfg.Addr, Protocol: s.cfg.Protocol, LocalName: s.with.LocalName, TLS: s.cfg.TLS,
		XClient: s.cfg.XClient, XForward: s.cfg.XForward, Auth: s.cfg.Auth, Timeouts: s.with.Timeouts, Dial: s.with.Dial,
	}
}

func poolError(addr string, err error) *client.Error {
	return &client.Error{Addr: addr, Stage: client.StagePool, Err: err}
}

// want says what kind of connection is wanted.
type want struct {
	fresh bool // not an idle one
	own   bool // one that never carried XCLIENT
}

// lease is a connection in use.
type lease struct {
	s      *server
	c      *client.Conn
	reused bool
	once   sync.Once
}

// acquire takes an idle connection or makes one.
func (s *server) acquire(ctx context.Context, w want) (*lease, error) {
	if s.now().Before(s.brk.Until()) {
		return nil, poolError(s.cfg.Addr, ErrResting)
	}
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	if !w.fresh {
		if c := s.take(w.own); c != nil {
			return &lease{s: s, c: c, reused: true}, nil
		}
	}
	if !s.brk.Allow() {
		<-s.use
		return nil, poolError(s.cfg.Addr, ErrResting)
	}
	c, err := s.connect(ctx, s.options())
	if err != nil {
		<-s.use
		return nil, err
	}
	return &lease{s: s, c: c}, nil
}

// wait takes a place among the connections in use.
func (s *server) wait(ctx context.Context) error {
	select {
	case s.use <- struct{}{}:
		return nil
	default:
	}
	late := time.NewTimer(s.with.MaxWait)
	defer late.Stop()
	select {
	case s.use <- struct{}{}:
		return nil
	case <-late.C:
		return poolError(s.cfg.Addr, ErrBusy)
	case <-ctx.Done():
		return poolError(s.cfg.Addr, context.Cause(ctx))
	}
}

// take gives the idle connection used last, if it still stands. With own, one that carried
// XCLIENT is passed over.
func (s *server) take(own bool) *client.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reap(s.now())
	for i := len(s.idle) - 1; i >= 0; i-- {
		c := s.idle[i].c
		if own && c.Impersonated() {
			continue
		}
		s.idle = append(s.idle[:i], s.idle[i+1:]...)
		if c.Alive() {
			return c
		}
		_ = c.Close()
	}
	return nil
}

// reap closes what waited too long; the lock is held.
func (s *server) reap(now time.Time) {
	old := 0
	for old < len(s.idle) && now.Sub(s.idle[old].since) >= s.with.IdleTime {
		_ = s.idle[old].c.Close()
		old++
	}
	s.idle = append(s.idle[:0], s.idle[old:]...)
}

// connect dials and tells the breaker what came of it.
func (s *server) connect(ctx context.Context, o client.Options) (*client.Conn, error) {
	c, err := client.Dial(ctx, o)
	if err != nil {
		s.failed(err)
		return nil, err
	}
	s.greeted()
	s.mu.Lock()
	s.ext, s.seen = c.Extensions(), true
	s.mu.Unlock()
	return c, nil
}

// greeted ends a rest. A server that greets and then breaks every transaction off is not
// well, so failures in a row are only forgotten after a transaction.
func (s *server) greeted() {
	if s.brk.State() != breaker.Closed {
		s.worked()
	}
}

func (s *server) worked() {
	if s.brk.State() != breaker.Closed {
		s.log.Info("backend is back", "addr", s.cfg.Addr)
	}
	s.brk.Success()
}

// failed counts a failure, unless it was the caller who gave up.
func (s *server) failed(err error) {
	if errors.Is(err, context.Canceled) {
		s.brk.Cancel()
		return
	}
	s.mu.Lock()
	s.lastErr = err.Error()
	s.mu.Unlock()
	if !s.brk.Failure() {
		return
	}
	s.log.Warn("backend rests", "addr", s.cfg.Addr, "until", s.brk.Until(), "err", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reap(s.now().Add(s.with.IdleTime)) // what is idle is of no more use
}

// release gives the connection back; again is whether it may be used again.
func (l *lease) release(again bool) {
	l.once.Do(func() {
		defer func() { <-l.s.use }()
		s, c := l.s, l.c
		err := c.Err()
		switch {
		case err == nil:
			s.worked()
		case serverFault(err) && !l.stale(err):
			s.failed(err)
		}
		if !again || !s.park(c) {
			_ = c.Close()
		}
	})
}

// park keeps a connection for later.
func (s *server) park(c *client.Conn) bool {
	if !c.Idle() || c.Worn() || c.Uses() >= s.with.MaxUses {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retired {
		return false
	}
	s.reap(s.now())
	if len(s.idle) >= s.with.MaxIdle {
		return false
	}
	s.idle = append(s.idle, resting{c, s.now()})
	return true
}

// stale reports whether the error only shows that the connection had died while idle.
func (l *lease) stale(err error) bool {
	var e *client.Error
	var ne net.Error
	timeout := errors.As(err, &ne) && ne.Timeout()
	return l.reused && !timeout && errors.As(err, &e) && (e.Stage == client.StageMail || e.Stage == client.StageXClient)
}

// serverFault reports whether a connection was lost by the server or the way to it, rather
// than ended by a farewell, by the caller or by its body.
func serverFault(err error) bool {
	var e *client.Error
	var ne net.Error
	if !errors.As(err, &e) || errors.Is(err, context.Canceled) {
		return false
	}
	if errors.Is(err, client.ErrProtocol) {
		return true
	}
	return e.Reply.Code == 0 && (errors.As(err, &ne) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded))
}

// retire closes idle connections and keeps no more of them.
func (s *server) retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retired = true
	for _, r := range s.idle {
		_ = r.c.Close()
	}
	s.idle = nil
}

func (s *server) offers() (client.Extensions, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ext, s.seen
}

func (s *server) health() Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Health{Addr: s.cfg.Addr, State: s.brk.State(), Until: s.brk.Until(), LastError: s.lastErr, Idle: len(s.idle), Use: len(s.use)}
}
