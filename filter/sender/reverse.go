// Package sender looks at who connects before any mail is seen: the reverse name of the
// address, the name given at HELO, and whether the sender's domain can take an answer.
package sender

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"

	"postern/filter"
	"postern/internal/dns"
)

// The symbols of this package.
const (
	PTRNone      = "PTR_NONE"       // the address has no reverse name
	PTRMismatch  = "PTR_MISMATCH"   // it has one, which does not lead back
	PTRGeneric   = "PTR_GENERIC"    // it spells the address: a dial-up or cloud default
	HeloBareIP   = "HELO_BARE_IP"   // HELO with an address outside brackets
	HeloLiteral  = "HELO_LITERAL"   // HELO with an address literal that is not the client's
	HeloIsUs     = "HELO_IS_US"     // HELO with our own name or a routed domain
	HeloNoDot    = "HELO_NO_DOT"    // HELO with a single label
	HeloInvalid  = "HELO_INVALID"   // HELO with what cannot be a host name
	HeloNoName   = "HELO_NO_NAME"   // HELO with a name that does not exist
	SenderNoHost = "SENDER_NO_HOST" // the sender's domain has neither MX nor address
	SenderNullMX = "SENDER_NULL_MX" // the sender's domain says that it takes no mail (RFC 7505)
)

// Resolver is what this package asks. Errors are *net.DNSError.
type Resolver interface {
	PTR(ctx context.Context, ip netip.Addr) ([]string, error)
	IPs(ctx context.Context, name string) ([]netip.Addr, error)
	MX(ctx context.Context, name string) ([]dns.MX, error)
}

// maxNames bounds the reverse names that are confirmed (RFC 7208 section 5.5 says 10).
const maxNames = 10

// Reverse is the outcome of looking for a confirmed reverse name.
type Reverse struct {
	Name   string   // the first name that leads back, or ""
	Others []string // names that do not
}

// LookUp finds the confirmed reverse name of an address (RFC 8601 section 2.7.3, iprev). The
// error is a temporary one: it could not be told.
func LookUp(ctx context.Context, r Resolver, ip netip.Addr) (Reverse, error) {
	names, err := r.PTR(ctx, ip)
	if notFound(err) {
		return Reverse{}, nil
	}
	if err != nil {
		return Reverse{}, err
	}
	var out Reverse
	var trouble error
	for _, name := range names[:min(len(names), maxNames)] {
		name = strings.ToLower(strings.TrimSuffix(name, "."))
		back, err := r.IPs(ctx, name)
		if err != nil && !notFound(err) {
			trouble = err
			continue
		}
		for _, b := range back {
			if b.Unmap() == ip.Unmap() {
				out.Name = name
				return out, nil
			}
		}
		out.Others = append(out.Others, name)
	}
	return out, trouble
}

func notFound(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}

// couldNot says in plain words why DNS gave no answer.
func couldNot(err error) error {
	var e *net.DNSError
	switch {
	case errors.Is(err, dns.ErrBudget):
		return &filter.CouldNot{Words: "the DNS budget of the message was spent (DNS_BUDGET)", Cause: err}
	case errors.As(err, &e) && e.IsTimeout:
		return &filter.CouldNot{Words: "DNS timed out", Cause: err}
	}
	return &filter.CouldNot{Words: "DNS gave no answer", Cause: err}
}

// ReverseName is the step at OnConnect.
func ReverseName(r Resolver) filter.Check {
	return filter.CheckFunc(func(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
		ctx = dns.WithShare(ctx, dns.Names)
		ip := m.Client.IP
		if !ip.IsValid() {
			return nil, &filter.CouldNot{Words: "no client address is known"}
		}
		if ip.IsLoopback() {
			return nil, nil
		}
		rev, err := LookUp(ctx, r, ip)
		result := func(word string) *filter.AuthResult {
			return &filter.AuthResult{Method: "iprev", Result: word, Props: []filter.AuthProp{{Type: "policy", Name: "iprev", Value: ip.String()}}}
		}
		switch {
		case err != nil && rev.Name == "":
			return nil, couldNot(err)
		case rev.Name != "" && generic(rev.Name, ip):
			return []filter.Finding{{Symbol: PTRGeneric, Detail: rev.Name, Auth: result("pass")}}, nil
		case rev.Name != "":
			return nil, nil
		case len(rev.Others) > 0:
			return []filter.Finding{{Symbol: PTRMismatch, Detail: rev.Others[0], Auth: result("fail")}}, nil
		}
		return []filter.Finding{{Symbol: PTRNone, Detail: ip.String(), Auth: result("fail")}}, nil
	})
}

// generic reports whether a name spells the four numbers of an IPv4 address, in either
// order, as providers name the hosts of their customers.
func generic(name string, ip netip.Addr) bool {
	ip = ip.Unmap()
	if !ip.Is4() {
		return false
	}
	digits := strings.FieldsFunc(name, func(r rune) bool { return r < '0' || r > '9' })
	parts := strings.Split(ip.String(), ".")
	reversed := []string{parts[3], parts[2], parts[1], parts[0]}
	for i := 0; i+4 <= len(digits); i++ {
		if equal(digits[i:i+4], parts) || equal(digits[i:i+4], reversed) {
			return true
		}
	}
	return false
}

func equal(got, want []string) bool {
	for i := range want {
		if strings.TrimLeft(got[i], "0") != strings.TrimLeft(want[i], "0") {
			return false
		}
	}
	return true
}
