// Package dns is the resolver of the gateway: answers cached and shared, every wait bounded,
// hostile answers ignored, and one budget for all questions of a message.
package dns

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// Config is how a Resolver asks. Zero values mean the defaults beside them.
type Config struct {
	Servers    []string         // recursive resolvers, "ip" or "ip:port"; none = those of ResolvConf
	ResolvConf string           // "/etc/resolv.conf"
	Timeout    time.Duration    // for one server and one try; 2 s
	Now        func() time.Time // time.Now
	CacheBytes int              // bound of the cache in bytes; 32 MB
	InFlight   int              // questions on the wire at once; 256
}

// MX is one mail exchanger. Host is "" for the null MX of RFC 7505.
type MX struct {
	Pref uint16
	Host string
}

// Errors that the *net.DNSError of a lookup may wrap.
var (
	// ErrNoName: the name does not exist (NXDOMAIN). A name without records of the type
	// asked for is IsNotFound without it.
	ErrNoName = errors.New("no such name")
	// ErrBadName: the text cannot be a name in the DNS (a label over 63 octets, ...).
	ErrBadName = errors.New("not a name")
	// ErrBudget: the message's budget refused the question; Budget.Cut then says so too.
	ErrBudget = errors.New("the message's DNS budget is spent")
)

// Resolver asks recursive name servers. It is safe for concurrent use.
type Resolver struct {
	cfg Config
}

// New makes a Resolver. The error says that no server is known.
func New(cfg Config) (*Resolver, error) { return &Resolver{cfg: cfg}, nil }

// Close ends what is on the wire and waits for it.
func (r *Resolver) Close() {}

// TXT returns the text records of a name, the strings of each joined, as raw octets.
// All lookups return a bare *net.DNSError: IsNotFound when there is no such record,
// else IsTemporary.
func (r *Resolver) TXT(ctx context.Context, name string) ([]string, error) {
	return nil, &net.DNSError{Name: name, IsNotFound: true}
}

// A returns the IPv4 addresses of a name.
func (r *Resolver) A(ctx context.Context, name string) ([]netip.Addr, error) {
	return nil, &net.DNSError{Name: name, IsNotFound: true}
}

// AAAA returns the IPv6 addresses of a name.
func (r *Resolver) AAAA(ctx context.Context, name string) ([]netip.Addr, error) {
	return nil, &net.DNSError{Name: name, IsNotFound: true}
}

// IPs returns the addresses of both families; one family's answer is enough.
func (r *Resolver) IPs(ctx context.Context, name string) ([]netip.Addr, error) {
	return nil, &net.DNSError{Name: name, IsNotFound: true}
}

// MX returns the mail exchangers of a name, the most preferred first.
func (r *Resolver) MX(ctx context.Context, name string) ([]MX, error) {
	return nil, &net.DNSError{Name: name, IsNotFound: true}
}

// PTR returns the reverse names of an address, lower case, no final dot.
func (r *Resolver) PTR(ctx context.Context, addr netip.Addr) ([]string, error) {
	return nil, &net.DNSError{Name: addr.String(), IsNotFound: true}
}

// Stats are counters since the start.
type Stats struct {
	Lookups, Hits, Questions, Failures, Refused uint64 // asked of us, answered from the cache, sent to servers, temporary errors, cut by a budget
}

// Stats returns the counters.
func (r *Resolver) Stats() Stats { return Stats{} }

// Budget bounds what all lookups of one message may cost. The zero value allows nothing.
type Budget struct{}

// NewBudget allows so many questions that the cache cannot answer, and so much time waiting
// for answers in all; lookups that wait side by side count once.
func NewBudget(questions int, wait time.Duration) *Budget { return &Budget{} }

// Cut reports whether a lookup was refused or given up because the budget was spent.
func (b *Budget) Cut() bool { return false }

// WithBudget binds the lookups made with the returned context to b.
func WithBudget(ctx context.Context, b *Budget) context.Context { return ctx }
