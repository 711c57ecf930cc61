// Package wire is the connection between an SMTP client and go-smtp. It sits above TLS and
// owns everything that travels: greeting, PROXY and XCLIENT, STARTTLS, line lengths, the
// budgets of errors and commands, idle time and data rate, and the framing of bodies.
//
// go-smtp reads one command line at a time and writes one reply for each; bodies never pass
// through its reader (see Conn.ReadBody).
package wire

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"postern/internal/smtpd/command"
	"postern/internal/smtpd/framing"
	"postern/internal/smtpd/input"
)

// Framing says what happens to bare CR, bare LF and NUL in a body.
type Framing = framing.Mode

// The framings.
const (
	Refuse    = framing.Refuse
	Normalize = framing.Normalize
)

// Reply is one SMTP reply.
type Reply = command.Reply

// ErrEnded is returned by ReadBody when the session is over: the client left, was too slow,
// sent far too much, or the server drains. What there was to say has been said.
var ErrEnded = errors.New("session ended inside a body")

// Options are the rules of one connection.
type Options struct {
	Hostname    string
	TLS         *tls.Config // nil: no STARTTLS
	ImplicitTLS bool
	Pause       time.Duration // before the greeting; whoever talks in it is dropped
	Framing     Framing
	XClient     []netip.Prefix // peers that may use XCLIENT

	Errors, Commands, Recipients int
	Message                      int64
	Line, DataRate               int
	Idle, Handshake, Write       time.Duration

	// Admit is asked once the peer is known, before the greeting. It returns what to call
	// at the end of the connection, or the reply to refuse it with.
	Admit func(peer netip.Addr) (release func(), refuse *Reply)
	// Offer lists the EHLO keywords besides PIPELINING, ENHANCEDSTATUSCODES, STARTTLS and
	// XCLIENT.
	Offer func(c *Conn) []string
	// Refused, if not nil, is told of every 5xx answer to a client that has not authenticated,
	// but for those that Recorded was called for.
	Refused func(c *Conn)
}

// Conn is one client's connection. Its methods are for the goroutine that serves it, but
// for Drain.
type Conn struct {
	opt  Options
	base net.Conn // below TLS
	in   input.Buffer
	out  []byte // replies not yet sent

	mu       sync.Mutex // guards what Drain touches
	conn     net.Conn   // base, or TLS over it
	draining bool
	past     bool // past a final dot: Drain waits

	peer    netip.AddrPort
	state   *tls.ConnectionState
	xclient command.XClient
	helo    string
	esmtp   bool
	greeted bool // HELO or EHLO since connect, STARTTLS or XCLIENT
	started bool
	ended   bool
	abrupt  bool // ended by us while the client may still be sending
	early   string

	pending []byte // the line go-smtp reads next
	partial []byte // a reply line go-smtp has not finished
	verb    string // the command go-smtp is answering
	mute    bool   // its reply is not for the client
	auth    bool   // the next line answers a 334
	body    bool   // a body comes next
	authed  bool
	told    bool // the answer to come is in somebody's records

	mail         bool
	rcpts, tried int
	strays       int // recipients refused
	errs, cmds   int
	path         string
	size         int64
	gate         func() *Reply
	release      func()
	closed       func()
	once         sync.Once
}

// NewConn wraps c. closed, if not nil, is called once when the connection is closed.
func NewConn(c net.Conn, opt Options, closed func()) *Conn {
	return &Conn{opt: opt, base: c, conn: c, closed: closed}
}

// Peer is the connecting client, as PROXY or XCLIENT gave it.
func (c *Conn) Peer() netip.AddrPort {
	ip, port := c.peer.Addr(), c.peer.Port()
	if c.xclient.Addr != nil {
		ip = *c.xclient.Addr
	}
	if c.xclient.Port != nil {
		port = *c.xclient.Port
	}
	return netip.AddrPortFrom(ip, port)
}

// Neighbour is the connecting client whatever XCLIENT said: whom access is granted to.
func (c *Conn) Neighbour() netip.Addr { return c.peer.Addr() }

// Helo is the name the client gave, or XCLIENT gave for it.
func (c *Conn) Helo() string {
	if c.xclient.Helo != nil {
		return *c.xclient.Helo
	}
	return c.helo
}

// XClient is what XCLIENT said.
func (c *Conn) XClient() command.XClient { return c.xclient }

// TLS is the state of TLS, or nil in clear.
func (c *Conn) TLS() *tls.ConnectionState { return c.state }

// Path is the raw path of the MAIL or RCPT being answered, without angle brackets.
func (c *Conn) Path() string { return c.path }

// Size is the SIZE of the last MAIL, or 0.
func (c *Conn) Size() int64 { return c.size }

// Commands counts what the client has sent.
func (c *Conn) Commands() int { return c.cmds }

// Recorded says that the answer to the command at hand is in the record of a transaction.
func (c *Conn) Recorded() { c.told = true }

// Early says in plain words where the client spoke before its turn, or "".
func (c *Conn) Early() string { return c.early }

// BeforeData sets what is asked before a DATA command is answered 354; a reply refuses it
// and leaves the transaction open.
func (c *Conn) BeforeData(gate func() *Reply) { c.gate = gate }

// Read gives go-smtp the next command line. It is called when go-smtp has answered all it
// got, so replies of ours keep their place.
func (c *Conn) Read(p []byte) (int, error) {
	if c.body { // nobody read the body: it must not be taken for commands
		if _, err := c.ReadBody(discard{}); err != nil && c.ended {
			return 0, errEOF
		}
	}
	for len(c.pending) == 0 {
		if c.ended {
			return 0, errEOF
		}
		c.next()
	}
	n := copy(p, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

// Flush sends the replies written so far.
func (c *Conn) Flush() {
	if len(c.out) == 0 {
		return
	}
	conn := c.transport()
	_ = conn.SetWriteDeadline(time.Now().Add(c.opt.Write))
	if _, err := conn.Write(c.out); err != nil {
		c.ended = true
	}
	c.out = c.out[:0]
}

func (c *Conn) transport() net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn
}

// arm sets when the next read gives up. It is errDraining once Drain was called.
func (c *Conn) arm(until time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining {
		return errDraining
	}
	return c.conn.SetReadDeadline(until)
}

// Drain ends the session with 421 at once, or after the answer when it is past a final dot.
func (c *Conn) Drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	if !c.past {
		_ = c.conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// fill reads more input until the given time, after sending what is owed.
func (c *Conn) fill(until time.Time) error {
	c.Flush()
	if c.ended {
		return errEOF
	}
	if err := c.arm(until); err != nil {
		return err
	}
	err := c.in.Fill(c.transport())
	if err != nil && c.drained() {
		return errDraining
	}
	return err
}

func (c *Conn) drained() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.draining
}

// Watch calls gone when the client leaves before stop is called. A client that has sent
// more already is not watched: what it sent may be a QUIT.
func (c *Conn) Watch(gone func()) (stop func()) {
	c.mu.Lock()
	c.past = true
	conn := c.conn
	_ = conn.SetReadDeadline(time.Time{})
	c.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if len(c.in.Bytes()) > 0 {
			return
		}
		if err := c.in.Fill(conn); err != nil && !isTimeout(err) {
			gone()
		}
	}()
	return func() {
		c.mu.Lock()
		c.past = false
		_ = conn.SetReadDeadline(time.Unix(1, 0))
		c.mu.Unlock()
		<-done
	}
}

// Abort closes the socket under the session, which ends it wherever it is.
func (c *Conn) Abort() { _ = c.base.Close() }

// Close sends what is owed and closes the connection; more calls do nothing.
func (c *Conn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		if !c.ended || len(c.out) > 0 {
			c.Flush()
		}
		c.ended = true
		if c.abrupt {
			c.linger()
		}
		err = c.transport().Close()
		if c.release != nil {
			c.release()
		}
		if c.closed != nil {
			c.closed()
		}
	})
	return err
}

// The rest of net.Conn. Deadlines are this package's own business.

// LocalAddr is the address the client connected to.
func (c *Conn) LocalAddr() net.Addr { return c.base.LocalAddr() }

// RemoteAddr is the peer of the socket or of its PROXY header.
func (c *Conn) RemoteAddr() net.Addr { return c.base.RemoteAddr() }

// SetDeadline does nothing.
func (c *Conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (c *Conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }
