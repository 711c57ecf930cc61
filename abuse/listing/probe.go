// Package listing watches whether our own addresses and domains stand on block lists, and sees
// to it that what is behind a listing is looked for, said, and ended before anybody asks for
// the listing to be taken back.
package listing

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Resolver is what is asked of the DNS.
type Resolver interface {
	A(ctx context.Context, name string) ([]netip.Addr, error)
	TXT(ctx context.Context, name string) ([]string, error)
}

// List is one block list.
type List struct {
	Name    string // in alarms and records
	Zone    string
	Domains bool // it lists domains; else addresses
	Major   bool // a listing there is urgent: many look at it
	Test    string
	NotTest string // of a list of domains: what it lists for tests, and what it must not list; "test" and "invalid" by default (RFC 5782)
	Removal string // web address or words: how to ask for removal
}

// Answer is what a list says of one subject.
type Answer struct {
	Listed bool
	Codes  []string
	Text   string
}

// The ways in which a list is of no use.
var (
	ErrUnfit   = errors.New("the list does not pass its test")
	ErrRefused = errors.New("the list refuses to answer us")
	ErrKind    = errors.New("the list is not about this")
)

// refused are the answers by which lists say that the question, not the subject, is at fault.
func refused(a netip.Addr) bool {
	b := a.As4()
	return b[0] == 127 && b[1] == 255 && b[2] == 255
}

// Ask asks a list about an address or a domain. A list of domains is never asked about an
// address: some answer yes to each.
func (l List) Ask(ctx context.Context, r Resolver, subject string) (Answer, error) {
	name, err := l.name(subject)
	if err != nil {
		return Answer{}, err
	}
	return ask(ctx, r, name)
}

func (l List) name(subject string) (string, error) {
	ip, err := netip.ParseAddr(strings.Trim(subject, "[]"))
	switch {
	case l.Domains && err == nil:
		return "", fmt.Errorf("%w: %s lists domains, %s is an address", ErrKind, l.Name, subject)
	case !l.Domains && err != nil:
		return "", fmt.Errorf("%w: %s lists addresses, %.100q is none", ErrKind, l.Name, subject)
	case l.Domains:
		if _, err := netip.ParsePrefix(subject); err == nil || strings.Trim(subject, "0123456789.") == "" {
			return "", fmt.Errorf("%w: %s lists domains, %.100q is none", ErrKind, l.Name, subject)
		}
		return strings.ToLower(strings.TrimSuffix(subject, ".")) + "." + l.Zone, nil
	}
	return reversed(ip) + "." + l.Zone, nil
}

func ask(ctx context.Context, r Resolver, name string) (Answer, error) {
	addrs, err := r.A(ctx, name)
	var e *net.DNSError
	if errors.As(err, &e) && e.IsNotFound {
		return Answer{}, nil
	}
	if err != nil {
		return Answer{}, fmt.Errorf("%w: it did not answer", ErrUnfit)
	}
	var out Answer
	for _, a := range addrs[:min(len(addrs), 20)] {
		a = a.Unmap()
		if !a.Is4() || a.As4()[0] != 127 {
			return Answer{}, fmt.Errorf("%w: it answers %s, which is no code of a list", ErrUnfit, a)
		}
		if refused(a) {
			return Answer{}, fmt.Errorf("%w: it answers %s", ErrRefused, a)
		}
		out.Codes = append(out.Codes, a.String())
	}
	slices.Sort(out.Codes)
	if out.Listed = len(out.Codes) > 0; out.Listed {
		if texts, err := r.TXT(ctx, name); err == nil && len(texts) > 0 {
			out.Text = strings.ToValidUTF8(texts[0][:min(len(texts[0]), 500)], "?")
		}
	}
	return out, nil
}

// SelfTest passes a list that lists what every list does for tests, and does not list what
// none may (RFC 5782 section 5): 127.0.0.2 and 127.0.0.1.
func (l List) SelfTest(ctx context.Context, r Resolver) error {
	yes, no := "2.0.0.127", "1.0.0.127"
	if l.Domains {
		yes, no = "test", "invalid"
		if l.Test != "" {
			yes = l.Test
		}
		if l.NotTest != "" {
			no = l.NotTest
		}
	}
	a, err := ask(ctx, r, yes+"."+l.Zone)
	if err != nil {
		return err
	}
	if !a.Listed {
		return fmt.Errorf("%w: it does not list its test entry %s", ErrUnfit, yes)
	}
	if a, err = ask(ctx, r, no+"."+l.Zone); err != nil {
		return err
	}
	if a.Listed {
		return fmt.Errorf("%w: it lists %s, which nobody may list", ErrUnfit, no)
	}
	return nil
}

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
