// Package client speaks SMTP and LMTP to the servers behind the gateway. A transaction is
// cut in three, Begin up to 354, Body without the final dot, End with it, so that many can
// be brought to the same point before any of them is ended.
package client

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"time"

	"postern/filter"
)

// Protocol is what the server behind speaks.
type Protocol string

// The protocols of RFC 5321 and RFC 2033.
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

// TLS is the policy of one server behind.
type TLS struct {
	Mode       TLSMode
	CA         *x509.CertPool // nil = the system's
	ServerName string         // name the certificate must have; "" = the host of the address
}

// Auth is a login made on every connection, over verified TLS only.
type Auth struct{ Mechanism, User, Secret string } // Mechanism "" = the best both sides know

// Timeouts bound the stages of a session; zero fields take the default. The context bounds
// them all together.
type Timeouts struct {
	Connect time.Duration // 5 s
	Reply   time.Duration // banner, EHLO, STARTTLS, MAIL, RCPT, DATA: 20 s each
	Write   time.Duration // time without progress while the body goes out: 30 s
	End     time.Duration // answer to the final dot: 300 s
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

// Envelope is one transaction to begin.
type Envelope struct {
	From     string   // "" is the null sender
	To       []string // at least one
	Size     int64    // bytes that Body will send, our headers included; 0 = unknown
	UTF8     bool     // the sender asked for SMTPUTF8 (RFC 6531)
	EightBit bool     // the body has bytes above 127
	Client   filter.Client
	Account  string // authenticated account for XCLIENT LOGIN; "" = none
}

// Begun is how far Begin came. Rcpt has one entry per Envelope.To when MAIL was taken and is
// nil otherwise; Data is the zero Reply when no recipient was taken.
type Begun struct {
	Mail Reply
	Rcpt []Reply
	Data Reply
}

// OK reports whether the server said 354: a body may follow.
func (b Begun) OK() bool { return b.Data.Code == 354 }

// Conn is one connection to a server behind. It is for one goroutine at a time.
type Conn struct{}

// Dial connects and greets: banner, EHLO, STARTTLS, AUTH. Its error is an *Error; a 5xx of
// the server at these stages is a fault of the link, never of the mail.
func Dial(ctx context.Context, o Options) (*Conn, error) { return nil, errors.New("not yet") }

// Begin sends MAIL, RCPT and DATA. A refusal is no error: it is in Begun, and the connection
// is ready for the next transaction. An error (*Error) means that the connection is lost.
func (c *Conn) Begin(ctx context.Context, e Envelope) (Begun, error) {
	return Begun{}, errors.New("not yet")
}

// Body sends the whole of r, dot-stuffed, without the final dot. A bare CR or LF, a NUL or a
// last line without CRLF is a *BodyError; the connection is then closed, nothing delivered.
func (c *Conn) Body(ctx context.Context, r io.Reader) error { return errors.New("not yet") }

// End sends the final dot and returns one reply (SMTP) or one per recipient taken by Begin,
// in their order (LMTP). An *Error with Ambiguous set means that the connection was lost
// after the dot: the server may or may not have the message.
func (c *Conn) End(ctx context.Context) ([]Reply, error) { return nil, errors.New("not yet") }

// Probe asks whether the server takes each address (MAIL FROM:<>, RCPT..., RSET).
func (c *Conn) Probe(ctx context.Context, to ...string) (Begun, error) {
	return Begun{}, errors.New("not yet")
}

// Abort ends an unfinished transaction so that nothing is delivered: by RSET before 354, by
// closing the connection after it.
func (c *Conn) Abort(ctx context.Context) {}

// Reset sends RSET.
func (c *Conn) Reset(ctx context.Context) error { return errors.New("not yet") }

// Close says QUIT without waiting for the answer and closes the connection.
func (c *Conn) Close() error { return nil }

// Extensions is what the server offered last (after STARTTLS, when that was done).
func (c *Conn) Extensions() Extensions { return Extensions{} }

// Auth logs in with PLAIN, LOGIN or XOAUTH2 (secret is the password or the token), over
// verified TLS only. A refused login is an *Error whose Reply is the server's 5xx.
func (c *Conn) Auth(ctx context.Context, mech, user, secret string) error {
	return errors.New("not yet")
}
