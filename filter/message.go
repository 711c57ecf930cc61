// Package filter holds the nouns every other room speaks in: the message, what checks
// observe about it, and the verdict that rules reach. It does no I/O and decides nothing
// about scores.
package filter

import (
	"io"
	"net/netip"
	"strings"
	"time"

	"postern/internal/dns"
	"postern/internal/mime"
)

// Direction says which way a message crosses the gateway.
type Direction uint8

// The two directions. Inbound is mail from strangers for our domains; Outbound is mail a
// local account or local server sends.
const (
	Inbound Direction = iota
	Outbound
)

// String is "inbound" or "outbound", as stored and shown.
func (d Direction) String() string {
	if d == Outbound {
		return "outbound"
	}
	return "inbound"
}

// TLSInfo describes the client's TLS session; the zero value means clear text.
type TLSInfo struct {
	Version, Cipher string
	Verified        bool // the client certificate chains to a configured CA
}

// Client is the host the message came from: the connecting peer, or behind a trusted
// relay the first untrusted hop.
type Client struct {
	IP   netip.Addr
	Port uint16
	Name string // confirmed reverse name (RFC 8601 section 2.7.3) or ""
	Helo string // the name given at HELO or EHLO, or ""
	TLS  TLSInfo
}

// Recipient is one accepted RCPT TO with what routing attached to it.
type Recipient struct {
	Address string // normalised, unquoted form never: always fit for the wire
	Policy  string // policy class that judges it
	Backend string // name of the backend pool it is relayed to
}

// Message is what the client said and the bytes it sent. Checks treat it as read-only.
type Message struct {
	ID        string // 26 characters, see NewID; also the reference in replies
	Time      time.Time
	Direction Direction
	Listener  string // name of the listener that took it
	Client    Client
	Account   string      // authenticated local account; "" when inbound
	From      string      // "" is the null sender
	To        []Recipient // in the order accepted
	SMTPUTF8  bool        // RFC 6531 asked for at MAIL
	Seen      []Finding   // what earlier stages of the same transaction found
	Body      io.ReaderAt // exact bytes after dot-unstuffing, CRLF line ends; nil before OnData
	Size      int64       // length of Body
	SHA256    string      // hex digest of Body; "" before OnData
	DNS       *dns.Budget // what its lookups may cost over all stages; nil = unbounded

	// Parts walks the message once, on first use, inside hard limits. The error says the
	// body could not be read at all; oddities are in the tree.
	Parts func() (*mime.Tree, error)
}

// FromDomain is the domain of MAIL FROM in lower case, or "" for the null sender.
func (m *Message) FromDomain() string { return domainOf(m.From) }

// Subject is the decoded subject, "" where it cannot be read.
func (m *Message) Subject() string {
	if m.Parts == nil {
		return ""
	}
	t, err := m.Parts()
	if err != nil {
		return ""
	}
	return t.Subject()
}

func domainOf(addr string) string {
	i := strings.LastIndexByte(addr, '@')
	if i < 0 {
		return ""
	}
	return strings.ToLower(addr[i+1:])
}

// Open returns a fresh reader over the whole body, or an empty one before OnData.
func (m *Message) Open() *io.SectionReader {
	if m.Body == nil {
		return io.NewSectionReader(strings.NewReader(""), 0, 0)
	}
	return io.NewSectionReader(m.Body, 0, m.Size)
}
