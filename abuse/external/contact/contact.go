// Package contact finds whom to tell of abuse that came from somewhere: the address that a
// signed message names, one that was found good before, the registry's, those of the contact
// databases in the DNS, and at last abuse@ of the host's own organisation. It is never the
// domain that the abuse is about.
package contact

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"postern/internal/address"
	"postern/internal/entity"
	"postern/internal/said"
)

// Resolver is what is asked of the DNS.
type Resolver interface {
	TXT(ctx context.Context, name string) ([]string, error)
	PTR(ctx context.Context, addr netip.Addr) ([]string, error)
	IPs(ctx context.Context, name string) ([]netip.Addr, error)
}

// Way is how a contact was found, in the order in which they are tried.
type Way string

// The ways.
const (
	CFBL     Way = "cfbl"     // CFBL-Address under a signature that passed (RFC 9477)
	Learned  Way = "learned"  // it answered before, or a person wrote it down
	AWS      Way = "aws"      // a call, to those who run a network of AWS
	RDAP     Way = "rdap"     // the registry of the address
	Abusix   Way = "abusix"   // TXT under the reversed address
	Abusenet Way = "abusenet" // TXT under the domain
	Reverse  Way = "reverse"  // abuse@ the organisation of the verified reverse name
)

// Forms of a report.
const (
	ARF  = "arf"
	XARF = "xarf"
)

// Contact is who is told.
type Contact struct {
	Address string `json:"address"`
	Way     Way    `json:"way"`
	Form    string `json:"form"`             // arf or xarf
	Region  string `json:"region,omitempty"` // of AWS: Address is that of a call there
}

// Source is what the abuse came from.
type Source struct {
	IP     netip.Addr
	Domain string // d= of a signature that passed; "" = none did
	CFBL   string // the field CFBL-Address as it stood in the message
	Signed bool   // a signature of a domain that is aligned with the CFBL-Address or its author covers that field and passed
	XARF   bool   // there is what a report in that form needs
}

// Finder finds contacts.
type Finder struct {
	DNS      Resolver
	Calls    func(ip netip.Addr) (Contact, bool) // who takes reports by a call; nil = nobody
	RDAP     *Registry                           // nil = registries are not asked
	Abusix   string                              // zone of reversed addresses; "" = not asked
	Abusenet string                              // zone of domains; "" = not asked
	Store    entity.Store
	Now      func() time.Time
}

// Result is what was found, and what was tried before.
type Result struct {
	Contact Contact
	Tried   []string // one sentence for each way that led nowhere
}

// ErrNone means that there is nobody to tell.
var ErrNone = said.New("contact.no-contact-was-found", "no contact was found")

// Find tries one way after the other. A way that fails is noted and passed over; the error is
// ErrNone, or that of ctx.
func (f *Finder) Find(ctx context.Context, s Source) (Result, error) {
	var out Result
	s.IP, s.Domain = s.IP.Unmap().WithZone(""), strings.ToLower(strings.TrimSuffix(s.Domain, "."))
	for _, way := range []struct {
		name Way
		ask  func(context.Context, Source) ([]Contact, error)
	}{
		{CFBL, f.cfbl}, {Learned, f.learned}, {AWS, f.called}, {RDAP, f.rdap}, {Abusix, f.abusix}, {Abusenet, f.abusenet}, {Reverse, f.reverse},
	} {
		all, err := way.ask(ctx, s)
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		if err != nil {
			out.Tried = append(out.Tried, fmt.Sprintf("%s: %v", way.name, err))
			continue
		}
		for _, c := range all {
			if way.name == AWS {
				out.Contact = c
				return out, nil
			}
			why, err := f.unfit(ctx, c.Address, s)
			if err != nil {
				return out, err
			}
			if why == "" {
				c.Way = way.name
				if c.Form == "" {
					c.Form = ARF
				}
				out.Contact = c
				return out, nil
			}
			out.Tried = append(out.Tried, fmt.Sprintf("%s: %s %s", way.name, c.Address, why))
		}
	}
	return out, ErrNone
}

// unfit says why an address is not written to, or "".
func (f *Finder) unfit(ctx context.Context, addr string, s Source) (string, error) {
	domain := address.DomainOf(addr)
	switch {
	case !plain(addr):
		return "is no address", nil
	case placeholder(addr):
		return "is a registry's own, which knows nothing of the network", nil
	}
	if s.Domain != "" && organisation(domain) == organisation(s.Domain) {
		return "belongs to the domain that the abuse is about", nil
	}
	out, err := f.OptedOut(ctx, addr)
	if err != nil {
		return "", err
	}
	if out {
		return "wants no reports", nil
	}
	return "", nil
}

// cfbl takes the address only from under a signature: anybody can write the field. A domain
// that signs its own mail asks for reports itself, so it is no stranger's choice.
func (f *Finder) cfbl(_ context.Context, s Source) ([]Contact, error) {
	if s.CFBL == "" {
		return nil, nil
	}
	if !s.Signed {
		return nil, errors.New("no signature covers CFBL-Address")
	}
	value, params, _ := strings.Cut(s.CFBL, ";")
	a, err := mail.ParseAddress(strings.TrimSpace(value))
	if err != nil {
		return nil, errors.New("CFBL-Address holds no address")
	}
	c := Contact{Address: strings.ToLower(a.Address), Form: ARF}
	for p := range strings.SplitSeq(params, ";") {
		if name, v, _ := strings.Cut(strings.TrimSpace(p), "="); strings.EqualFold(name, "report") && strings.EqualFold(strings.TrimSpace(v), XARF) {
			c.Form = XARF
		}
	}
	return []Contact{c}, nil
}

// called is who takes no mail but calls, in XARF alone.
func (f *Finder) called(_ context.Context, s Source) ([]Contact, error) {
	if f.Calls == nil || !s.IP.IsValid() {
		return nil, nil
	}
	c, ok := f.Calls(s.IP)
	switch {
	case !ok:
		return nil, nil
	case !s.XARF:
		return nil, errors.New("it takes XARF alone, and the message lacks what that needs")
	}
	return []Contact{c}, nil
}

func (f *Finder) rdap(ctx context.Context, s Source) ([]Contact, error) {
	if f.RDAP == nil || !s.IP.IsValid() {
		return nil, nil
	}
	all, err := f.RDAP.Abuse(ctx, s.IP)
	return contacts(all), err
}

func (f *Finder) abusix(ctx context.Context, s Source) ([]Contact, error) {
	if f.Abusix == "" || !s.IP.IsValid() {
		return nil, nil
	}
	return f.texts(ctx, reversed(s.IP)+"."+f.Abusix)
}

func (f *Finder) abusenet(ctx context.Context, s Source) ([]Contact, error) {
	if f.Abusenet == "" || !s.IP.IsValid() {
		return nil, nil
	}
	host, err := f.verified(ctx, s.IP)
	if err != nil {
		return nil, err
	}
	return f.texts(ctx, organisation(host)+"."+f.Abusenet)
}

func (f *Finder) reverse(ctx context.Context, s Source) ([]Contact, error) {
	if !s.IP.IsValid() {
		return nil, nil
	}
	host, err := f.verified(ctx, s.IP)
	if err != nil {
		return nil, err
	}
	return contacts([]string{"abuse@" + organisation(host)}), nil
}

// most bounds what is looked at of an answer.
const most = 5

func (f *Finder) texts(ctx context.Context, name string) ([]Contact, error) {
	all, err := f.DNS.TXT(ctx, name)
	var missing *net.DNSError
	if errors.As(err, &missing) && missing.IsNotFound {
		return nil, errors.New("knows nothing of it")
	}
	if err != nil {
		return nil, errors.New("did not answer")
	}
	var out []string
	for _, text := range all[:min(len(all), most)] {
		for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
			out = append(out, strings.ToLower(part))
		}
	}
	return contacts(out[:min(len(out), most)]), nil
}

// verified is a reverse name that leads back to the address.
func (f *Finder) verified(ctx context.Context, ip netip.Addr) (string, error) {
	names, err := f.DNS.PTR(ctx, ip)
	if err != nil {
		return "", errors.New("there is no reverse name")
	}
	for _, name := range names[:min(len(names), most)] {
		back, err := f.DNS.IPs(ctx, name)
		if err == nil && slices.ContainsFunc(back, func(b netip.Addr) bool { return b.Unmap() == ip }) && organisation(name) != "" {
			return name, nil
		}
	}
	return "", errors.New("no reverse name leads back to the address")
}

func contacts(all []string) []Contact {
	out := make([]Contact, 0, len(all))
	for _, a := range all {
		out = append(out, Contact{Address: a})
	}
	return out
}

// organisation is the registrable part of a name, "" if it has none.
func organisation(name string) string {
	org, err := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(strings.TrimSuffix(name, ".")))
	if err != nil {
		return ""
	}
	return org
}

func plain(addr string) bool {
	a, err := address.Parse(addr, false)
	return err == nil && a.Domain != "" && a.Local != "" && address.ValidDomain(a.Domain)
}

// placeholder knows the addresses that registries write where nobody else is named.
func placeholder(addr string) bool {
	switch organisation(address.DomainOf(addr)) {
	case "iana.org", "arin.net", "ripe.net", "apnic.net", "lacnic.net", "afrinic.net":
		return true
	}
	local, _, _ := strings.Cut(addr, "@")
	return strings.EqualFold(local, "nobody") || strings.EqualFold(local, "unread")
}

// reversed is an address as lists and contact databases file it: octets or nibbles, last first.
func reversed(ip netip.Addr) string {
	ip = ip.Unmap()
	var parts []string
	if ip.Is4() {
		for _, b := range ip.As4() {
			parts = append(parts, fmt.Sprint(b))
		}
	} else {
		for _, b := range ip.As16() {
			parts = append(parts, fmt.Sprintf("%x", b>>4), fmt.Sprintf("%x", b&15))
		}
	}
	slices.Reverse(parts)
	return strings.Join(parts, ".")
}
