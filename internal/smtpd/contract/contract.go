// Package contract holds the nouns of the SMTP server and the small interfaces through
// which it sees the rest of the house. Package smtpd gives all of them its own name.
package contract

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"postern/filter"
	"postern/internal/mime"
	"postern/internal/smtpd/limit"
	"postern/internal/smtpd/wire"
	"postern/internal/spool"
)

// Kind says whom a listener serves.
type Kind uint8

// The kinds of listener.
const (
	KindInbound    Kind = iota // strangers, for our domains
	KindSubmission             // local people, after AUTH
	KindSmarthost              // local servers, by network, client certificate or AUTH
)

// Reply is one SMTP answer; as an error it is what the client is told. Its Text is public.
type Reply = wire.Reply

// Framing says what happens to bare CR, bare LF and NUL in a body.
type Framing = wire.Framing

// The framings.
const (
	Refuse    = wire.Refuse    // 550 5.5.2 at the real end of data
	Normalize = wire.Normalize // a bare LF becomes CRLF, a bare CR or NUL a space
)

// Extensions are the ESMTP extensions a listener offers: what all its backends can take.
type Extensions struct {
	SMTPUTF8 bool
	EightBit bool
	Size     int64 // smallest SIZE of the backends, in bytes; 0 = none said
}

// Listener is one address that takes mail. Do not change it after Serve; Reload replaces it
// by name.
type Listener struct {
	Name        string
	Kind        Kind
	Addr        string
	TLS         func() *tls.Config // nil func or nil result: no TLS. Asked per connection, so certificates reload
	ImplicitTLS bool
	ProxyFrom   []netip.Prefix // peers that must send a PROXY header
	XclientFrom []netip.Prefix // peers that may use XCLIENT
	Networks    []netip.Prefix // smarthost: who may send, and whose AccountHeader counts
	GreetPause  time.Duration
	Framing     Framing
	// AccountHeader names the field in which a local server writes the authenticated
	// sender; "" = none.
	AccountHeader     string
	MailFromIsAccount bool // smarthost: MAIL FROM names the account when nothing better does
	Extensions        func() Extensions
}

// Limits bound what clients may take. A zero field takes the default of limit.Default.
type Limits = limit.Limits

// Config is what Reload can change. Open sessions take new limits, Trusted and Hostname
// with their next transaction; listener settings count for new connections.
type Config struct {
	Hostname string
	Limits   Limits
	Trusted  []netip.Prefix // relays behind which the client is the first untrusted hop of Received
	// Refusals is how the address of the page about a refusal of inbound mail begins; the
	// reference follows. "" = there are none.
	Refusals string
	// Listeners replace those given to Serve, by name.
	Listeners []*Listener
}

// Login is an authenticated submission session; it may hold a backend connection.
type Login interface {
	Account() string
	Close() error
}

// Directory says where a recipient goes. The address is normalised; a bare "postmaster"
// has no domain. An error that is a *Reply is said to the client, any other is 451.
type Directory interface {
	Route(ctx context.Context, l *Listener, login Login, address string) (filter.Recipient, error)
}

// Delivery is one complete message ready to be judged and acted on.
type Delivery struct {
	Message *filter.Message
	Report  filter.Report   // all stages joined, in stage order
	Times   filter.Times    // Start, Data, Received and Checked are set
	Login   Login           // nil unless the client authenticated
	Abort   <-chan struct{} // closes when the client has gone
}

// Deliverer judges and acts (DESIGN section 4, steps 9 to 11). Outcome.Reply is what the
// client is answered; one that is not a proper SMTP reply counts as 451.
type Deliverer interface {
	Deliver(ctx context.Context, d Delivery) filter.Outcome
}

// Authenticator replays credentials. The secret is a password, or the token for XOAUTH2. An
// error that is a *Reply is said to the client, any other is 454.
type Authenticator interface {
	Mechanisms() []string
	Auth(ctx context.Context, l *Listener, peer filter.Client, mech, user, secret string) (Login, error)
}

// Accounts knows which local accounts may not send. It is asked at every MAIL, RCPT and after
// every body: a session that was open before is stopped as well.
type Accounts interface {
	Suspended(account string) (reason string, yes bool)
}

// Logins is what an Accounts may know besides.
type Logins interface {
	// LoginOff reports whether the account may not log in; asked after the credentials were
	// found right.
	LoginOff(account string) bool
}

// Parts are what a Server works with. Directory, Deliverer, Spool and Pipeline are
// required.
type Parts struct {
	Pipeline      func() *filter.Pipeline // asked once per transaction
	Directory     Directory
	Deliverer     Deliverer
	Authenticator Authenticator // nil: no AUTH
	Accounts      Accounts      // nil: nobody is suspended; may be a Logins
	// LoggedIn is told how each login ended. nil: nobody asks.
	LoggedIn  func(account string, client netip.Addr, ok bool)
	Observers []filter.Observer
	// Answered is told whether the client is known to have read the answer to a message: it
	// sent something after it. nil: nobody asks.
	Answered func(m *filter.Message, read bool)
	// Refused is told of each 5xx answer that no Observer hears of, with who got it: what is no
	// SMTP, bad addresses, failed logins. Those who may send through us are left out. nil:
	// nobody asks.
	Refused func(ip netip.Addr)
	// Abandoned is told of each transaction that ended without a body and without a refusal,
	// of which no Observer hears. nil: nobody asks.
	Abandoned func(m *filter.Message)
	Spool     *spool.Spool
	Log       *slog.Logger
	Now       func() time.Time
	Random    io.Reader // for message IDs
	ParseMail func(r io.ReaderAt, size int64) (*mime.Tree, error)
	// Policy names the policy class of a recipient whose Route named none.
	Policy func(d filter.Direction, account, address string) string
	// Always reports whether a recipient of strangers is taken whatever the rules say at RCPT;
	// nil: none is.
	Always func(to filter.Recipient) bool
	// ReverseName is the confirmed reverse name of an address, or ""; nil: never known.
	ReverseName func(ctx context.Context, ip netip.Addr) string
}

// Offered is what the backends can take; nothing when nobody says.
func (l *Listener) Offered() Extensions {
	if l.Extensions == nil {
		return Extensions{}
	}
	return l.Extensions()
}

// MessageLimit is the smaller of our limit and what the backends take, in bytes.
func (l *Listener) MessageLimit(lim Limits) int64 {
	if n := l.Offered().Size; n > 0 {
		return min(n, lim.Message)
	}
	return lim.Message
}
