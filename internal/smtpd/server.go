package smtpd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"

	"postern/internal/smtpd/command"
	"postern/internal/smtpd/limit"
	"postern/internal/smtpd/listen"
	"postern/internal/smtpd/session"
	"postern/internal/smtpd/wire"
)

// ErrDraining is returned by Serve once Drain was called.
var ErrDraining = errors.New("smtpd: shutting down")

// abortWait is how long Serve and Drain wait, after the end of their context, for sessions
// whose sockets they closed.
const abortWait = 2 * time.Second

// Server runs listeners.
type Server struct {
	shared   session.Shared
	cfg      atomic.Pointer[Config]
	sessions limit.Sessions

	mu       sync.Mutex
	serving  map[*serving]struct{}
	draining bool
}

// serving is one running Serve.
type serving struct {
	accept *listen.Listener
	smtp   *smtp.Server
	done   chan struct{} // closed when nothing more is accepted
}

// New makes a server from its parts.
func New(cfg Config, parts Parts) *Server {
	if parts.Now == nil {
		parts.Now = time.Now
	}
	if parts.Log == nil {
		parts.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{serving: map[*serving]struct{}{}}
	s.shared.Parts, s.shared.Config = parts, s.cfg.Load
	s.Reload(cfg)
	return s
}

// Reload swaps the configuration; no connection is dropped.
func (s *Server) Reload(cfg Config) {
	cfg.Limits = cfg.Limits.Filled()
	s.cfg.Store(&cfg)
}

// Sessions counts what is open.
func (s *Server) Sessions() Counts {
	return Counts{Sessions: s.sessions.Count(), InFlight: s.shared.Bytes.Used()}
}

// Serve takes connections from ln until Drain, or until ctx ends, which drops all sessions.
// Both end it with nil.
func (s *Server) Serve(ctx context.Context, l *Listener, ln net.Listener) error {
	r, err := s.begin(ctx, l, ln)
	if err != nil {
		_ = ln.Close()
		return err
	}
	stop := context.AfterFunc(ctx, func() {
		_ = r.accept.Close()
		<-r.done
		r.accept.Abort()
	})
	err = r.smtp.Serve(r.accept)
	close(r.done)
	if stop() && !errors.Is(err, net.ErrClosed) {
		s.end(r)
		return err
	}
	if ctx.Err() != nil {
		r.wait(ctx)
		s.end(r)
	}
	return nil
}

// wait gives aborted sessions a moment to end.
func (r *serving) wait(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortWait)
	defer cancel()
	_ = r.accept.Wait(ctx)
}

func (s *Server) begin(ctx context.Context, l *Listener, ln net.Listener) (*serving, error) {
	r := &serving{accept: listen.New(ln), done: make(chan struct{})}
	tickets := &listen.Tickets{}
	r.accept.Log = s.shared.Parts.Log
	r.accept.Proxy = func() []netip.Prefix { return s.current(l).ProxyFrom }
	r.accept.Room = func() func() {
		if !s.sessions.Enter(s.cfg.Load().Limits.Sessions) {
			return nil
		}
		return s.sessions.Leave
	}
	r.accept.Options = func() (wire.Options, error) { return s.options(s.current(l), tickets) }
	r.smtp = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return s.shared.New(ctx, s.current(l), c), nil
	}))
	r.smtp.Domain = s.cfg.Load().Hostname
	r.smtp.MaxLineLength = 1 << 20 // lines are the connection's business
	r.smtp.AllowInsecureAuth = true
	r.smtp.EnableSMTPUTF8 = true
	r.smtp.ErrorLog = listen.ErrorLog{Log: s.shared.Parts.Log}

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return nil, ErrDraining
	}
	s.serving[r] = struct{}{}
	return r, nil
}

func (s *Server) end(r *serving) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.serving, r)
}

// Drain stops accepting, answers idle sessions 421 and waits for transactions past their
// final dot. At the end of ctx it closes what is left and returns its error.
func (s *Server) Drain(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	var all []*serving
	for r := range s.serving {
		all = append(all, r)
	}
	s.mu.Unlock()
	for _, r := range all {
		_ = r.accept.Close()
		r.accept.Drain()
	}
	var errs []error
	for _, r := range all {
		<-r.done
		if err := r.accept.Wait(ctx); err != nil {
			errs = append(errs, err)
			r.accept.Abort()
			r.wait(ctx)
		}
		s.end(r)
	}
	return errors.Join(errs...)
}

// current is the listener as the configuration has it now.
func (s *Server) current(l *Listener) *Listener {
	for _, c := range s.cfg.Load().Listeners {
		if c.Name == l.Name {
			return c
		}
	}
	return l
}

// options are the rules of a new connection.
func (s *Server) options(l *Listener, tickets *listen.Tickets) (wire.Options, error) {
	cfg := s.cfg.Load()
	tlsConfig, err := tickets.Config(l.TLS)
	if err != nil {
		return wire.Options{}, err
	}
	if l.ImplicitTLS && tlsConfig == nil {
		return wire.Options{}, errors.New("listener " + l.Name + " has no certificate")
	}
	lim := cfg.Limits
	return wire.Options{
		Hostname: cfg.Hostname, TLS: tlsConfig, ImplicitTLS: l.ImplicitTLS,
		Pause: l.GreetPause, Framing: l.Framing, XClient: l.XclientFrom,
		Errors: lim.Errors, Commands: lim.Commands, Recipients: lim.Recipients,
		Message: l.MessageLimit(lim), Line: lim.Line, DataRate: lim.DataRate,
		Idle: lim.Idle, Handshake: lim.Handshake, Write: lim.Write,
		Refused: func(c *wire.Conn) { s.refused(s.current(l), c) },
		Offer:   func(c *wire.Conn) []string { return s.shared.Offer(s.current(l), c) },
		Admit: func(ip netip.Addr) (func(), *Reply) {
			leave := s.sessions.EnterFrom(ip, lim.PerIP, lim.Per64)
			if leave == nil {
				return nil, command.NewReply(421, 7, 0, "too many connections from your network")
			}
			return leave, nil
		},
	}, nil
}

// refused passes on that a stranger was answered 5xx. A local server is none.
func (s *Server) refused(l *Listener, c *wire.Conn) {
	local := func(p netip.Prefix) bool { return p.Contains(c.Neighbour()) }
	if f := s.shared.Parts.Refused; f != nil && !slices.ContainsFunc(l.Networks, local) {
		f(c.Peer().Addr())
	}
}
