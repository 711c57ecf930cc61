package dmarc

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"

	"postern/internal/dns"
)

// Resolver asks the DNS; *dns.Resolver is one. Errors are *net.DNSError.
type Resolver interface {
	TXT(ctx context.Context, name string) ([]string, error)
	A(ctx context.Context, name string) ([]netip.Addr, error)
}

// Walker looks records up and remembers them for the evaluations of one message. It is not
// safe for concurrent use.
type Walker struct {
	Resolver Resolver
	seen     map[string]lookup
}

// lookup is what is published at one name.
type lookup struct {
	rec     *Record
	text    string // rec as published
	broken  string // why DMARC is not applied by rec, or ""
	several bool   // more than one record, which is as none
	err     error  // the DNS did not answer
}

// maxLabels is how many labels the names of a walk have at most, the start apart (RFC 9989
// section 4.10): a walk asks eight questions at most.
const maxLabels = 7

func (w *Walker) at(ctx context.Context, domain string) lookup {
	if l, ok := w.seen[domain]; ok {
		return l
	}
	l := w.ask(ctx, domain)
	if w.seen == nil {
		w.seen = map[string]lookup{}
	}
	w.seen[domain] = l
	return l
}

func (w *Walker) ask(ctx context.Context, domain string) lookup {
	txt, err := w.Resolver.TXT(ctx, "_dmarc."+domain)
	var dnsErr *net.DNSError
	switch {
	case errors.As(err, &dnsErr) && dnsErr.IsNotFound:
		return lookup{}
	case err != nil:
		return lookup{err: err}
	}
	var found []string
	for _, t := range txt {
		if IsRecord(t) {
			found = append(found, t)
		}
	}
	switch len(found) {
	case 0:
		return lookup{}
	case 1:
		rec, err := Parse(found[0])
		l := lookup{rec: &rec, text: found[0][:min(len(found[0]), maxRecord)]}
		if err != nil {
			l.broken = err.Error()
		}
		return l
	}
	return lookup{several: true}
}

// step is one record met on a walk.
type step struct {
	domain string
	lookup
}

// walk is the DNS tree walk of RFC 9989 section 4.10: records from the domain upwards, to
// the first that says what it is.
func (w *Walker) walk(ctx context.Context, domain string) ([]step, error) {
	var steps []step
	for name := domain; name != ""; name = parent(name, name == domain) {
		l := w.at(ctx, name)
		if l.err != nil {
			return steps, l.err
		}
		if l.rec == nil {
			continue
		}
		steps = append(steps, step{name, l})
		if l.rec.PSD != 'u' {
			break
		}
	}
	return steps, nil
}

// parent is the next name of a walk; after the start, names of eight and more labels are
// cut to seven.
func parent(name string, start bool) string {
	_, up, _ := strings.Cut(name, ".")
	if start {
		for strings.Count(up, ".") >= maxLabels {
			_, up, _ = strings.Cut(up, ".")
		}
	}
	return up
}

// organization is the organizational domain of the domain a walk began at (section 4.10.2).
// Stricter than the RFC, a record at a top-level domain that does not say what it is counts
// as a registry's: else all who register below it would speak for each other.
func organization(domain string, steps []step) string {
	if len(steps) == 0 {
		return domain
	}
	top := steps[len(steps)-1] // a record with psd=y or n ends a walk
	registry := top.rec.PSD == 'y' || top.rec.PSD == 'u' && !strings.Contains(top.domain, ".")
	if registry && top.domain != domain {
		return below(domain, top.domain)
	}
	return top.domain
}

// below is the ancestor of domain that is one label longer than top.
func below(domain, top string) string {
	rest := strings.TrimSuffix(domain, "."+top)
	return rest[strings.LastIndexByte(rest, '.')+1:] + "." + top
}

// exists reports whether a name exists in the DNS: whether the answer is not NXDOMAIN
// (RFC 9989 section 3.2, non-existent domains).
func (w *Walker) exists(ctx context.Context, domain string) (bool, error) {
	_, err := w.Resolver.A(ctx, domain)
	var dnsErr *net.DNSError
	switch {
	case errors.Is(err, dns.ErrNoName):
		return false, nil
	case err == nil, errors.As(err, &dnsErr) && dnsErr.IsNotFound:
		return true, nil
	}
	return false, err
}
