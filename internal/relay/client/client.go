// Package client speaks SMTP and LMTP to the servers behind the gateway. A transaction is
// cut in three, Begin up to 354, Body without the final dot, End with it, so that many can
// be brought to the same point before any of them is ended.
package client

import (
	"bufio"
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"postern/filter"
	"postern/internal/relay/client/dots"
	"postern/internal/relay/client/reply"
)

// Reply is one answer of a server, safe to show and to pass on.
type Reply = reply.Reply

// Extensions is what a server offered in its answer to EHLO.
type Extensions = reply.Extensions

// BodyError says that a body cannot be sent as it is.
type BodyError = dots.Error

// ErrProtocol is the cause of an Error when the server broke the protocol.
var ErrProtocol = reply.ErrProtocol

// Protocol is what the server behind speaks.
type Protocol string

// The protocols of RFC 5321 and RFC 2033. The zero Protocol is SMTP.
const (
	SMTP Protocol = "smtp"
	LMTP Protocol = "lmtp"
)

// TLSMode says when STARTTLS is used.
type TLSMode uint8

// The modes. Opportunistic encrypts where it can, without asking whose certificate it is;
// Required encrypts to a verified server or not at all.
const (
	TLSNone TLSMode = iota
	TLSOpportunistic
	TLSRequired
)

// ParseTLSMode reads "none", "opportunistic" or "required".
func ParseTLSMode(s string) (TLSMode, error) {
	for i, name := range [...]string{"none", "opportunistic", "required"} {
		if s == name {
			return TLSMode(i), nil
		}
	}
	return TLSNone, fmt.Errorf("tls: %q is none of none, opportunistic, required", s)
}

// TLS is the policy towards one server behind.
type TLS struct {
	Mode       TLSMode
	CA         *x509.CertPool // nil = the system's
	ServerName string         // name the certificate must have; "" = the host of the address
}

// Auth is a login made on every connection, over verified TLS only.
type Auth struct{ Mechanism, User, Secret string } // Mechanism "" = PLAIN, else LOGIN

// Timeouts bound the stages of a session; zero fields take the default. The context bounds
// them all together.
type Timeouts struct {
	Connect time.Duration // 5 s
	Reply   time.Duration // banner, EHLO, STARTTLS, MAIL, RCPT, DATA: 20 s each
	Write   time.Duration // time without progress while the body goes out: 30 s
	End     time.Duration // answer to the final dot: 300 s
}

func (t Timeouts) filled() Timeouts {
	fill := func(d *time.Duration, usual time.Duration) {
		if *d <= 0 {
			*d = usual
		}
	}
	fill(&t.Connect, 5*time.Second)
	fill(&t.Reply, 20*time.Second)
	fill(&t.Write, 30*time.Second)
	fill(&t.End, 300*time.Second)
	return t
}

// Options say how to reach a server and what to ask of it.
type Options struct {
	Addr      string // "host:port" or "unix:/path"
	Protocol  Protocol
	LocalName string // our name in EHLO
	TLS       TLS
	XClient   bool // pass the real client on by XCLIENT where offered
	XForward  bool // the same by XFORWARD
	Auth      *Auth
	Timeouts  Timeouts
	Dial      func(ctx context.Context, network, addr string) (net.Conn, error) // nil = net.Dialer
}

// state is how far the transaction on a connection is.
type state uint8

const (
	idle   state = iota
	inMail       // MAIL was sent
	inData       // 354 was received
	closed
)

// Conn is one connection to a server behind. It is for one goroutine at a time.
type Conn struct {
	o    Options
	raw  net.Conn // the socket, for deadlines and to see whether it is alive
	nc   net.Conn // what is spoken over: raw, or TLS on it
	r    *bufio.Reader
	buf  []byte // chunk of a body, made at the first one
	ext  Extensions
	tls  filter.TLSInfo
	st   state
	err  error
	took int // recipients taken by the running transaction

	cancelled    atomic.Bool // the context of the running stage has ended
	impersonated bool
	uses         int
	probes       int
	refusals     int
}

// Dial connects and greets: banner, EHLO, STARTTLS, AUTH. Its error is an *Error; a 5xx of
// the server at these stages is a fault of the link, never of the mail.
//
// Opportunistic TLS falls back to clear text when the server offers no STARTTLS, refuses it,
// or fails the handshake (then over a second connection). Text sent by the server between
// its answer to STARTTLS and the handshake is a fault and nothing is tried again
// (CVE-2021-38371).
func Dial(ctx context.Context, o Options) (*Conn, error) {
	o.Timeouts = o.Timeouts.filled()
	c, err := dial(ctx, o)
	if err != nil && o.TLS.Mode == TLSOpportunistic && ctx.Err() == nil && isHandshake(err) {
		o.TLS.Mode = TLSNone
		c, err = dial(ctx, o)
	}
	return c, err
}

func dial(ctx context.Context, o Options) (*Conn, error) {
	if o.LocalName == "" || strings.ContainsFunc(o.LocalName, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, &Error{Addr: o.Addr, Stage: StageHello, Err: fmt.Errorf("local name %q cannot be said", o.LocalName)}
	}
	network, addr := "tcp", o.Addr
	if path, ok := strings.CutPrefix(o.Addr, "unix:"); ok {
		network, addr = "unix", path
	}
	dialer := o.Dial
	if dialer == nil {
		dialer = new(net.Dialer).DialContext
	}
	dctx, cancel := context.WithTimeout(ctx, o.Timeouts.Connect)
	defer cancel()
	nc, err := dialer(dctx, network, addr)
	if err != nil {
		return nil, &Error{Addr: o.Addr, Stage: StageConnect, Err: cause(ctx, err)}
	}
	c := &Conn{o: o, raw: nc, nc: nc, r: bufio.NewReaderSize(nc, reply.Buffer)}
	err = c.greet(ctx)
	if err == nil && c.st == closed {
		err = c.notNow(StageHello) // the context may have ended after the last answer
	}
	if err != nil {
		c.shut()
		return nil, err
	}
	return c, nil
}

// Extensions is what the server offered last (after STARTTLS, when that was done).
func (c *Conn) Extensions() Extensions { return c.ext }

// TLS describes the session's encryption; the zero value means clear text.
func (c *Conn) TLS() filter.TLSInfo { return c.tls }

// Addr is the address it was dialled with.
func (c *Conn) Addr() string { return c.o.Addr }

// Err is why the connection was closed, or nil while it can be used.
func (c *Conn) Err() error { return c.err }

// Idle reports whether a transaction can begin.
func (c *Conn) Idle() bool { return c.st == idle }

// Impersonated reports whether XCLIENT was sent: the server may go on treating whatever
// comes over this connection as from that client.
func (c *Conn) Impersonated() bool { return c.impersonated }

// Uses counts transactions and probes begun.
func (c *Conn) Uses() int { return c.uses }

// Limits after which a connection should be renewed: Postfix counts RSET as junk from the
// 100th on, and slows a client down at 10 errors and drops it at 20.
const (
	MaxProbes   = 50
	MaxRefusals = 8
)

// Worn reports whether the connection has seen so many probes or refusals that the server
// may soon lose patience with it.
func (c *Conn) Worn() bool { return c.probes >= MaxProbes || c.refusals >= MaxRefusals }

// Alive reports whether the idle connection still stands, as far as that can be told
// without asking: nothing was said by the server and it did not close.
func (c *Conn) Alive() bool { return c.st == idle && c.r.Buffered() == 0 && peek(c.raw) == nothing }

// Abort ends an unfinished transaction so that nothing is delivered: once 354 came by closing
// the connection, since nothing else takes a DATA back.
func (c *Conn) Abort(ctx context.Context) {
	if c.st == inMail {
		_ = c.Reset(ctx) // a connection that cannot be reset is closed
	}
	if c.st == inData {
		c.shut()
	}
}

// Reset sends RSET, which ends a transaction before DATA and shows that the server is there.
func (c *Conn) Reset(ctx context.Context) error {
	if c.st == inData {
		c.shut()
	}
	r, err := c.ask(ctx, StageReset, "RSET")
	if err != nil {
		return err
	}
	if !r.OK() {
		return c.fail(StageReset, r, nil)
	}
	c.st, c.took = idle, 0
	return nil
}

// Close says QUIT without waiting for the answer and closes the connection.
func (c *Conn) Close() error {
	if c.st == idle {
		c.raw.SetDeadline(time.Now().Add(time.Second))
		fmt.Fprint(c.nc, "QUIT\r\n")
	}
	c.shut()
	return nil
}

func (c *Conn) shut() {
	c.st = closed
	c.raw.Close()
	if c.err == nil {
		c.err = net.ErrClosed
	}
}
