// Package zone asks DNS lists (RFC 5782): what an answer means, whether the list itself is
// well, and whether a hit can be believed.
package zone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/internal/address"
	"postern/internal/dns"
)

// Resolver answers what lists are asked. Its errors are *net.DNSError.
type Resolver interface {
	A(ctx context.Context, name string) ([]netip.Addr, error)
	TXT(ctx context.Context, name string) ([]string, error)
}

// Kind is what a list is asked about.
type Kind string

// The kinds.
const (
	OfIP     Kind = "ip"     // the client's address
	OfHelo   Kind = "helo"   // the name given at HELO
	OfDomain Kind = "domain" // the domain of MAIL FROM
	OfLink   Kind = "link"   // the domains of links in the body
)

// Config is one DNS list as the operator writes it.
type Config struct {
	Name    string // unique, shown
	Zone    string // "zen.example.org"; "{key}" stands for the key, else the key goes in front
	Of      Kind
	Codes   map[string]string // answer -> symbol; an answer is "127.0.0.2", "127.0.0.0/28", "127.0.*.3" or "127.0.0.&4"
	KeyFile string            // file with the key of a private zone; "" = none
}

var (
	loopback   = netip.MustParsePrefix("127.0.0.0/8")
	errorCodes = netip.MustParsePrefix("127.255.255.0/24")
	localhost  = netip.MustParseAddr("127.0.0.1")
)

// Zone is one DNS list with its health.
type Zone struct {
	name, zone string
	full, key  string // with the key in it, and the key: never shown
	of         Kind
	codes      []code
	res        Resolver
	proofs     proofs

	mu      sync.Mutex
	on      bool
	tested  bool
	ipv6    bool // it has the test entry for IPv6
	fault   string
	since   time.Time
	suspect time.Time // until then cached answers may be of the time it was not well
	misses  int       // failed answers in a row
	tally   Tally
}

// New reads the configuration of a list. It is switched off until Turn has heard of a test
// that passed.
func New(c Config, res Resolver) (*Zone, error) {
	z := &Zone{name: c.Name, zone: strings.ToLower(strings.Trim(c.Zone, ".")), of: c.Of, res: res, fault: "not tested yet"}
	if c.Name == "" || z.zone == "" {
		return nil, fmt.Errorf("list %q: needs a name and a zone", c.Name)
	}
	if !slices.Contains([]Kind{OfIP, OfHelo, OfDomain, OfLink}, c.Of) {
		return nil, fmt.Errorf("list %s: of must be ip, helo, domain or link, not %q", c.Name, c.Of)
	}
	if len(c.Codes) == 0 {
		return nil, fmt.Errorf("list %s: names no code that counts", c.Name)
	}
	for written, symbol := range c.Codes {
		k, err := parseCode(written, symbol)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", c.Name, err)
		}
		if symbol == "" {
			return nil, fmt.Errorf("list %s: code %s has no symbol", c.Name, written)
		}
		z.codes = append(z.codes, k)
	}
	slices.SortFunc(z.codes, func(a, b code) int { return strings.Compare(a.written, b.written) })
	var err error
	z.full, z.key, err = withKey(z.zone, c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", c.Name, err)
	}
	return z, nil
}

// Name is the name the operator gave the list.
func (z *Zone) Name() string { return z.name }

// Apex is the name of the zone without key.
func (z *Zone) Apex() string { return z.zone }

// Of is what the list is about.
func (z *Zone) Of() Kind { return z.of }

// withKey puts the key of a private zone into its name.
func withKey(zone, file string) (full, key string, err error) {
	if file == "" {
		if strings.Contains(zone, "{key}") {
			return "", "", errors.New("the zone wants a key and there is no key_file")
		}
		return zone, "", nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", "", fmt.Errorf("key: %w", err)
	}
	key = strings.ToLower(strings.TrimSpace(string(b)))
	if !address.ValidDomain(key+".example") || strings.Contains(key, ".") {
		return "", "", errors.New("key: the file does not hold one label")
	}
	if strings.Contains(zone, "{key}") {
		return strings.ReplaceAll(zone, "{key}", key), key, nil
	}
	return key + "." + zone, key, nil
}

// Reversed is the name under which an address stands in a list (RFC 5782 sections 2.1 and
// 2.4): octets of IPv4, nibbles of IPv6, last first.
func Reversed(ip netip.Addr) string {
	ip = ip.Unmap()
	if ip.Is6() {
		return nibbles(ip.As16())
	}
	o := ip.As4()
	return fmt.Sprintf("%d.%d.%d.%d", o[3], o[2], o[1], o[0])
}

func nibbles(ip [16]byte) string {
	const hex = "0123456789abcdef"
	out := make([]byte, 0, 63)
	for i := range 16 {
		o := ip[15-i]
		out = append(out, hex[o&15], '.', hex[o>>4], '.')
	}
	return string(out[:63])
}

// Domain is a domain in the form lists know it, lower case and A-labels; "" for what is none:
// literals, single labels.
func Domain(s string) string {
	s = strings.TrimSuffix(s, ".")
	a, err := address.ToASCII(s)
	if err != nil || !strings.Contains(a, ".") || !address.ValidDomain(a) {
		return ""
	}
	if _, err := netip.ParseAddr(a); err == nil {
		return ""
	}
	return strings.ToLower(a)
}

// Answer is what a list said of one subject; without addresses it is not listed.
type Answer struct {
	Addrs   []netip.Addr // all it answered
	Symbols []string     // what counts of it, in the order of the codes
}

// ErrCut is the error of Ask when the message's DNS budget was spent. It says nothing about
// the list.
var ErrCut = errors.New("was cut short (DNS_BUDGET)")

// errList is an answer that says the list itself is not well.
type errList struct{ words string }

func (e *errList) Error() string { return e.words }

// label is a subject as it stands in front of the zone.
func (z *Zone) label(subject string) string {
	if z.of == OfIP {
		if ip, err := netip.ParseAddr(subject); err == nil {
			return Reversed(ip)
		}
	}
	return subject
}

// Ask looks a subject up: an IP address or a domain, as the list is about. The error says
// in plain words, without the key, why there is no answer; ErrCut is wrapped where the
// message's budget ended it. Answers may come from the cache, but not one that says the list
// is not well, nor a hit of a time when it was not.
func (z *Zone) Ask(ctx context.Context, subject string, now time.Time) (a Answer, err error) {
	label, begun := z.label(subject), time.Now()
	defer func() { z.count(time.Since(begun), a, err) }()
	a, err = z.ask(ctx, label)
	var sick *errList
	if errors.As(err, &sick) || len(a.Addrs) > 0 && z.wasOff(now) {
		return z.ask(dns.Fresh(ctx), label)
	}
	return a, err
}

// Text returns what the list says in words about a listed subject, "" if nothing.
func (z *Zone) Text(ctx context.Context, subject string) string {
	txt, err := z.res.TXT(ctx, z.label(subject)+"."+z.full)
	if err != nil {
		return ""
	}
	text := strings.Join(txt, " ")
	if z.key != "" && strings.Contains(strings.ToLower(text), z.key) {
		return "" // a list may repeat the question, and with it the key
	}
	return text
}

func (z *Zone) ask(ctx context.Context, label string) (a Answer, err error) {
	defer func() { // lists are asked in goroutines, where a panic would end the process
		if recover() != nil { // what it says may hold the key
			a, err = Answer{}, errors.New("was not asked: internal fault")
		}
	}()
	name := label + "." + z.full
	if !askable(name) {
		return Answer{}, nil
	}
	addrs, err := z.res.A(ctx, name)
	var dnsErr *net.DNSError
	if errors.As(err, &dnsErr) && dnsErr.IsNotFound {
		return Answer{}, nil
	}
	if err != nil {
		return Answer{}, z.hide(err)
	}
	return z.read(addrs)
}

// askable reports that name fits into a question (RFC 1035 section 2.3.4).
func askable(name string) bool {
	const most = 253
	return len(name) <= most && address.ValidDomain(strings.ReplaceAll(name, "_", "-"))
}

// read judges the addresses a list answered with. A list that answers with its error codes,
// with 127.0.0.1 or with addresses outside 127.0.0.0/8 says nothing about anybody.
func (z *Zone) read(addrs []netip.Addr) (Answer, error) {
	a := Answer{}
	for _, ip := range addrs {
		ip = ip.Unmap()
		switch {
		case errorCodes.Contains(ip):
			return Answer{}, &errList{"refuses to answer us (" + ip.String() + ")"}
		case !loopback.Contains(ip):
			return Answer{}, &errList{"gives an address that is no list answer (" + ip.String() + ")"}
		case ip == localhost:
			return Answer{}, &errList{"answers 127.0.0.1"}
		}
		a.Addrs = append(a.Addrs, ip)
	}
	slices.SortFunc(a.Addrs, netip.Addr.Compare)
	for _, c := range z.codes {
		for _, ip := range a.Addrs {
			if c.matches(ip) && !slices.Contains(a.Symbols, c.symbol) {
				a.Symbols = append(a.Symbols, c.symbol)
			}
		}
	}
	return a, nil
}

// hide says what went wrong without the name that was asked: it may hold the key.
func (z *Zone) hide(err error) error {
	if errors.Is(err, dns.ErrBudget) {
		return ErrCut
	}
	words := "did not answer"
	var dnsErr *net.DNSError
	if errors.As(err, &dnsErr) && !dnsErr.IsTimeout && z.key == "" {
		words = "did not answer: " + dnsErr.Err
	}
	return errors.New(words)
}
