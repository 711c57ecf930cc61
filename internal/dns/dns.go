// Package dns is the resolver of the gateway: answers cached and shared, every wait bounded,
// hostile answers ignored, and one budget for all questions of a message.
package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// Config is how a Resolver asks. Zero values mean the defaults beside them.
type Config struct {
	Servers    []string         // recursive resolvers, "ip" or "ip:port"; none = those of ResolvConf
	ResolvConf string           // "/etc/resolv.conf"
	Timeout    time.Duration    // for one server and one try; 2 s
	Now        func() time.Time // time.Now; the age of cache entries and server health
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
	// ErrBadName: the text cannot be a name in the DNS (a label over 63 octets, ...);
	// IsNotFound too.
	ErrBadName = errors.New("not a name")
	// ErrBudget: the message's budget refused the question; Budget.Cut then says so too.
	ErrBudget = errors.New("the message's DNS budget is spent")
	// ErrNoServer: every name server was silent lately, so nothing was asked.
	ErrNoServer = errors.New("no name server answers")
)

// Resolver asks recursive name servers. It is safe for concurrent use.
type Resolver struct {
	timeout time.Duration
	now     func() time.Time
	servers []*server
	cache   *cache
	slots   chan struct{}

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	flights map[question]*flight
	closed  bool

	count struct{ lookups, hits, questions, failures, refused atomic.Uint64 }
}

// New makes a Resolver. The error says which server is no address, or that none is known.
func New(cfg Config) (*Resolver, error) {
	servers := cfg.Servers
	if len(servers) == 0 {
		path := cfg.ResolvConf
		if path == "" {
			path = "/etc/resolv.conf"
		}
		sys, err := dns.ClientConfigFromFile(path)
		if err != nil {
			return nil, fmt.Errorf("dns: no servers given and none found: %w", err)
		}
		servers = sys.Servers
	}
	r := &Resolver{timeout: cfg.Timeout, now: cfg.Now, flights: map[question]*flight{}}
	for _, s := range servers {
		addr, err := serverAddr(s)
		if err != nil {
			return nil, err
		}
		r.servers = append(r.servers, &server{addr: addr})
	}
	if len(r.servers) == 0 {
		return nil, errors.New("dns: no servers given and none found")
	}
	if r.timeout <= 0 {
		r.timeout = 2 * time.Second
	}
	if r.now == nil {
		r.now = time.Now
	}
	if cfg.CacheBytes <= 0 {
		cfg.CacheBytes = 32 << 20
	}
	if cfg.InFlight <= 0 {
		cfg.InFlight = 256
	}
	r.cache = newCache(cfg.CacheBytes)
	r.slots = make(chan struct{}, cfg.InFlight)
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r, nil
}

func serverAddr(s string) (string, error) {
	if ip, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return net.JoinHostPort(ip.String(), "53"), nil
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil || ap.Port() == 0 {
		return "", fmt.Errorf("dns: server %q is neither an IP address nor ip:port", s)
	}
	return ap.String(), nil
}

// Close ends what is on the wire and waits for it. Lookups after it fail.
func (r *Resolver) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.wg.Wait()
}

// TXT returns the text records of a name, the strings of each joined, as raw octets.
// All lookups return a bare *net.DNSError: IsNotFound when there is no such record,
// else IsTemporary. Results are shared between callers: do not change them.
func (r *Resolver) TXT(ctx context.Context, name string) ([]string, error) {
	a, err := r.lookup(ctx, name, dns.TypeTXT)
	if err != nil {
		return nil, err
	}
	return a.texts, nil
}

// A returns the IPv4 addresses of a name.
func (r *Resolver) A(ctx context.Context, name string) ([]netip.Addr, error) {
	a, err := r.lookup(ctx, name, dns.TypeA)
	if err != nil {
		return nil, err
	}
	return a.addrs, nil
}

// AAAA returns the IPv6 addresses of a name.
func (r *Resolver) AAAA(ctx context.Context, name string) ([]netip.Addr, error) {
	a, err := r.lookup(ctx, name, dns.TypeAAAA)
	if err != nil {
		return nil, err
	}
	return a.addrs, nil
}

// IPs returns the addresses of both families, asked for side by side; one family's answer
// is enough. When there is none, an error that is temporary wins over "not found".
func (r *Resolver) IPs(ctx context.Context, name string) ([]netip.Addr, error) {
	var six []netip.Addr
	var sixErr error
	done := make(chan struct{})
	go func() {
		defer close(done)
		six, sixErr = r.AAAA(ctx, name)
	}()
	four, fourErr := r.A(ctx, name)
	<-done
	all := append(append([]netip.Addr(nil), four...), six...)
	if len(all) > 0 {
		return all, nil
	}
	if notFound(fourErr) {
		return nil, sixErr
	}
	return nil, fourErr
}

func notFound(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}

// MX returns the mail exchangers of a name, the most preferred first.
func (r *Resolver) MX(ctx context.Context, name string) ([]MX, error) {
	a, err := r.lookup(ctx, name, dns.TypeMX)
	if err != nil {
		return nil, err
	}
	return a.mx, nil
}

// PTR returns the reverse names of an address, lower case, no final dot.
func (r *Resolver) PTR(ctx context.Context, addr netip.Addr) ([]string, error) {
	name, err := dns.ReverseAddr(addr.Unmap().WithZone("").String())
	if err != nil {
		return nil, &net.DNSError{Err: ErrBadName.Error(), UnwrapErr: ErrBadName, Name: addr.String(), IsNotFound: true}
	}
	a, err := r.lookup(ctx, name, dns.TypePTR)
	if err != nil {
		return nil, err
	}
	return a.names, nil
}

// Stats are counters since the start.
type Stats struct {
	Lookups   uint64 // asked of us
	Hits      uint64 // answered from the cache
	Questions uint64 // sent to servers, retries and TCP included
	Failures  uint64 // ended in a temporary error
	Refused   uint64 // cut by a message's budget
}

// Stats returns the counters.
func (r *Resolver) Stats() Stats {
	return Stats{
		Lookups: r.count.lookups.Load(), Hits: r.count.hits.Load(), Questions: r.count.questions.Load(),
		Failures: r.count.failures.Load(), Refused: r.count.refused.Load(),
	}
}
