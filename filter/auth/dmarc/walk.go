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
	several bool  // more than one record, which is as none
	broken  error // a record without a policy
	err     error // the DNS did not answer
}

// maxDepth is how many names below the root a walk asks for, the start apart (RFC 9989
// section 4.10).
const maxDepth = 7

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
	default:
		return lookup{several: true}
	}
	rec, err := Parse(found[0])
	if err != nil {
		return lookup{broken: err}
	}
	return lookup{rec: &rec}
}

// step is one record met on a walk.
type step struct {
	domain string
	rec    *Record
}

// walk is the DNS tree walk of RFC 9989 section 4.10: records from the domain upwards, to
// the first that says where an organization begins.
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
		steps = append(steps, step{name, l.rec})
		if l.rec.PSD == 'n' || l.rec.PSD == 'y' && name != domain {
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
		for strings.Count(up, ".") >= maxDepth {
			_, up, _ = strings.Cut(up, ".")
		}
	}
	return up
}

// organization is the organizational domain of the domain a walk began at (section 4.10.2).
// A record at a name of one label that does not say what it is counts as one of a registry:
// a whole top-level domain is no organization.
func organization(domain string, steps []step) string {
	for i, s := range steps {
		switch {
		case s.rec.PSD == 'n':
			return s.domain
		case s.domain == domain:
		case s.rec.PSD == 'y', !strings.Contains(s.domain, "."):
			return below(domain, s.domain)
		}
		if i == len(steps)-1 {
			return s.domain
		}
	}
	return domain
}

// below is the ancestor of domain that is one label longer than top.
func below(domain, top string) string {
	rest := strings.TrimSuffix(domain, "."+top)
	return rest[strings.LastIndexByte(rest, '.')+1:] + "." + top
}

// exists reports whether a name exists in the DNS (RFC 9989 section 3.2.14: not NXDOMAIN);
// what cannot be told exists.
func (w *Walker) exists(ctx context.Context, domain string) bool {
	_, err := w.Resolver.A(ctx, domain)
	return !errors.Is(err, dns.ErrNoName)
}
