package daily

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"postern/internal/address"
	"postern/internal/report"
)

// destination is one address reports go to.
type destination struct {
	address string
	most    int64 // bytes it takes; 0 = it does not say
}

func (d destination) limit(ours int64) int64 {
	if d.most > 0 {
		return min(d.most, ours)
	}
	return ours
}

// destinations are the addresses that the record of a domain asks to report to and that agree
// (RFC 9990 section 4). notes say which were left out, and why; the error is a DNS that did
// not answer.
func (s *Sender) destinations(ctx context.Context, domain, record string) (to []destination, notes []string, err error) {
	for i, uri := range ruaOf(record) {
		if len(to) == urisMost || i == triedMost {
			notes = append(notes, fmt.Sprintf("only the first %d addresses are used", len(to)))
			break
		}
		d, err := parseURI(uri)
		if err != nil {
			notes = append(notes, err.Error())
			continue
		}
		if s.Own(d.address) || strings.EqualFold(d.address, s.From) {
			notes = append(notes, d.address+" is our own")
			continue
		}
		d, err = s.agreed(ctx, domain, d)
		if errors.Is(err, errRefused) {
			notes = append(notes, d.address+" does not agree to reports about "+domain)
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		if !slices.ContainsFunc(to, func(have destination) bool { return strings.EqualFold(have.address, d.address) }) {
			to = append(to, d)
		}
	}
	return to, notes, nil
}

// ruaOf are the URIs of a record; their case is kept.
func ruaOf(record string) []string {
	for part := range strings.SplitSeq(record, ";") {
		name, value, ok := strings.Cut(part, "=")
		if ok && strings.EqualFold(strings.TrimSpace(name), "rua") {
			return strings.Split(value, ",")
		}
	}
	return nil
}

// parseURI reads "mailto:a@example.com!10m".
func parseURI(uri string) (destination, error) {
	uri = strings.TrimSpace(uri)
	bad := fmt.Errorf("%.100q is no address for reports", uri)
	scheme, rest, ok := strings.Cut(uri, ":")
	if !ok || !strings.EqualFold(scheme, "mailto") {
		return destination{}, bad
	}
	rest, size, limited := strings.Cut(rest, "!")
	rest, _, _ = strings.Cut(rest, "?")
	plain, err := url.PathUnescape(rest)
	if err != nil {
		return destination{}, bad
	}
	a, err := address.Parse(plain, false)
	if err != nil || strings.ContainsFunc(plain, func(r rune) bool { return r < ' ' || r > '~' }) {
		return destination{}, bad
	}
	d := destination{address: a.String()}
	if limited {
		if d.most = parseSize(size); d.most <= 0 {
			return destination{}, bad
		}
	}
	return d, nil
}

// parseSize reads "10m"; 0 is none.
func parseSize(s string) int64 {
	shift := 0
	if s = strings.ToLower(strings.TrimSpace(s)); s != "" {
		if i := strings.IndexByte("kmgt", s[len(s)-1]); i >= 0 {
			shift, s = 10*(i+1), s[:len(s)-1]
		}
	}
	const most = 1 << 60
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 {
		return 0
	}
	return min(n, most>>shift) << shift
}

var errRefused = errors.New("not agreed")

// agreed asks a destination outside the organization whether it takes reports about the
// domain; it may name another address of the same host.
func (s *Sender) agreed(ctx context.Context, domain string, d destination) (destination, error) {
	host := domainOf(d.address)
	if host == domain || s.SameOrg(ctx, domain, host) {
		return d, nil
	}
	name := domain + "._report._dmarc." + host
	if len(name) > 253 {
		return d, errRefused
	}
	texts, err := s.Resolver.TXT(ctx, name)
	if notFound(err) {
		return d, errRefused
	}
	if err != nil {
		return d, err
	}
	for _, text := range texts {
		if report.Tags(text)["v"] != "dmarc1" || !strings.HasPrefix(strings.ReplaceAll(strings.ToLower(text), " ", ""), "v=dmarc1") {
			continue
		}
		instead := ruaOf(text)
		if len(instead) == 0 {
			return d, nil
		}
		other, err := parseURI(instead[0])
		if err != nil || domainOf(other.address) != host {
			return d, errRefused
		}
		return other, nil
	}
	return d, errRefused
}
