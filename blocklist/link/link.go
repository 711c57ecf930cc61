// Package link picks the names that the links of a message are looked up under.
package link

import (
	"crypto/sha256"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"postern/blocklist/zone"
	"postern/internal/mime"
)

// Most is how many names of one message are asked about.
const Most = 20

// Which of a message with more: the first, the last, and some from between that nobody
// outside can foretell, so that a campaign cannot hide its domain behind padding in every
// mail.
const (
	firstOf = 8
	lastOf  = 4
)

// Names are the names to ask about, registrable domains first, then the hosts below them
// where there is room; how many domains that is, and how many the message links to. Ours, if
// not nil, reports domains to leave out; seed decides what is picked from between.
func Names(urls []mime.URL, ours func(string) bool, seed string) (names []string, asked, known int) {
	var domains, hosts []string
	seen := map[string]bool{}
	once := func(to *[]string, name string) {
		if !seen[name] {
			seen[name] = true
			*to = append(*to, name)
		}
	}
	last := "" // links to one host often stand together
	for _, u := range urls {
		if u.Host == last {
			continue
		}
		last = u.Host
		domain, host := Registrable(u.Host)
		if domain == "" || ours != nil && (ours(domain) || ours(host)) {
			continue
		}
		once(&domains, domain)
		if host != domain {
			once(&hosts, host)
		}
	}
	known = len(domains)
	names = spread(domains, Most, seed)
	asked = len(names)
	return append(names, spread(hosts, Most-asked, seed)...), asked, known
}

// Registrable is the domain somebody registered and the host below it, without "www."; ""
// for addresses, registries and what is no name. Where a company lets others register below
// its name, that name stands for itself.
func Registrable(s string) (domain, host string) {
	if _, err := netip.ParseAddr(s); err == nil {
		return "", ""
	}
	host = zone.Domain(s)
	if host == "" {
		return "", ""
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		if _, icann := publicsuffix.PublicSuffix(host); icann {
			return "", ""
		}
		return host, host
	}
	if below, www := strings.CutPrefix(host, "www."); www && host != domain {
		host = below
	}
	return domain, host
}

// spread picks at most n of the names and keeps their order.
func spread(names []string, n int, seed string) []string {
	if len(names) <= n {
		return names
	}
	first, last := firstOf*n/Most, lastOf*n/Most
	between := slices.Clone(names[first : len(names)-last])
	rank := map[string]string{}
	for _, b := range between {
		sum := sha256.Sum256([]byte(seed + "\x00" + b))
		rank[b] = string(sum[:])
	}
	slices.SortFunc(between, func(a, b string) int { return strings.Compare(rank[a], rank[b]) })
	picked := map[string]bool{}
	for _, b := range between[:n-first-last] {
		picked[b] = true
	}
	var out []string
	for i, s := range names {
		if i < first || i >= len(names)-last || picked[s] {
			out = append(out, s)
		}
	}
	return out
}
