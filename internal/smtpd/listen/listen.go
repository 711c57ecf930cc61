// Package listen accepts connections for one listener: PROXY headers, back-off when the
// host runs short, session tickets, and the list of who is connected.
package listen

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/pires/go-proxyproto"

	"postern/internal/smtpd/command"
	"postern/internal/smtpd/wire"
)

// Listener hands out Conns and remembers those that are open.
type Listener struct {
	net.Listener
	// Options are asked for each connection; an error drops it.
	Options func() (wire.Options, error)
	// Proxy lists the peers that must send a PROXY header; asked for each connection.
	Proxy func() []netip.Prefix
	// Room is asked for each connection; it returns what to call at its end, or nil when
	// there is none.
	Room func() (leave func())
	Log  *slog.Logger

	mu       sync.Mutex
	empty    chan struct{} // closed when the last session ends; nil while nobody waits
	open     map[*wire.Conn]struct{}
	draining bool
	closing  chan struct{}
	once     sync.Once
}

// New wraps ln; set the fields before the first Accept.
func New(ln net.Listener) *Listener {
	return &Listener{Listener: ln, open: map[*wire.Conn]struct{}{}, closing: make(chan struct{})}
}

// Accept waits for the next client. Running out of descriptors or memory makes it wait and
// try again; only a closed listener or a fault of its own ends it.
func (l *Listener) Accept() (net.Conn, error) {
	pause := 5 * time.Millisecond
	for {
		raw, err := l.Listener.Accept()
		if err == nil {
			if c := l.take(raw); c != nil {
				return c, nil
			}
			continue
		}
		if !transient(err) {
			return nil, err
		}
		l.Log.Warn("cannot accept connections, trying again", "listener", l.Addr().String(), "error", err, "pause", pause)
		select {
		case <-time.After(pause):
		case <-l.closing:
			return nil, net.ErrClosed
		}
		pause = min(2*pause, time.Second)
	}
}

func transient(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EINTR} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// take makes a Conn of a fresh connection. It must not block: the PROXY header is read in
// the goroutine that serves it.
func (l *Listener) take(raw net.Conn) *wire.Conn {
	opt, err := l.Options()
	if err != nil {
		l.Log.Error("connection dropped", "listener", l.Addr().String(), "error", err)
		_ = raw.Close()
		return nil
	}
	leave := l.Room()
	if leave == nil {
		refuseFull(raw, opt)
		return nil
	}
	base := raw
	if l.proxied(raw.RemoteAddr()) {
		base = &proxied{proxyproto.NewConn(raw, proxyproto.WithPolicy(proxyproto.REQUIRE),
			proxyproto.SetReadHeaderTimeout(opt.Handshake)), raw}
	}
	var c *wire.Conn
	c = wire.NewConn(base, opt, func() {
		leave()
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.open, c)
		l.tell()
	})
	l.mu.Lock()
	l.open[c] = struct{}{}
	if l.draining {
		c.Drain()
	}
	l.mu.Unlock()
	return c
}

func (l *Listener) proxied(a net.Addr) bool {
	ip := command.AddrPort(a).Addr()
	for _, p := range l.Proxy() {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// refuseFull answers 421 without a session; a fresh socket takes one line without waiting.
func refuseFull(raw net.Conn, opt wire.Options) {
	if !opt.ImplicitTLS {
		r := command.NewReply(421, 3, 2, opt.Hostname+" is too busy, try again later")
		_ = raw.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = raw.Write([]byte(r.String() + "\r\n"))
	}
	_ = raw.Close()
}

// Close stops Accept.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closing) })
	return l.Listener.Close()
}

// Drain tells all sessions to end, see Conn.Drain.
func (l *Listener) Drain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.draining = true
	for c := range l.open {
		c.Drain()
	}
}

// tell wakes Wait when nobody is connected any more. The lock is held.
func (l *Listener) tell() {
	if l.empty != nil && len(l.open) == 0 {
		close(l.empty)
		l.empty = nil
	}
}

// Wait waits until all sessions have ended, at most until ctx does.
func (l *Listener) Wait(ctx context.Context) error {
	l.mu.Lock()
	if l.empty == nil {
		l.empty = make(chan struct{})
	}
	empty := l.empty
	l.tell()
	l.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Abort closes the sockets of all sessions.
func (l *Listener) Abort() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		c.Abort()
	}
}

// proxied is a connection whose address stands in a PROXY header.
type proxied struct {
	*proxyproto.Conn
	raw net.Conn
}

// RemoteAddr reads the header on first use. Without a proper header there is no address,
// and the connection is refused.
func (p *proxied) RemoteAddr() net.Addr {
	h := p.ProxyHeader()
	if h == nil {
		return nil
	}
	if h.Command.IsLocal() {
		return p.raw.RemoteAddr()
	}
	return h.SourceAddr
}

// CloseWrite ends our side of the stream.
func (p *proxied) CloseWrite() error {
	if half, ok := p.raw.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return net.ErrClosed
}
