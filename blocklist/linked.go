package blocklist

import (
	"crypto/sha256"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"postern/internal/mime"
)

// How many names of one message the lists of links are asked about, and which of a message
// with more: the first, the last, and some from between that nobody outside can foretell, so
// that a campaign cannot hide its domain behind padding in every mail.
const (
	linksMost  = 20
	linksFirst = 8
	linksLast  = 4
)

// linked are the names to ask about, registrable domains first, then the hosts below them
// where there is room; how many domains that is, and how many the message links to.
func linked(urls []mime.URL, ours func(string) bool, seed string) (names []string, asked, known int) {
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
		domain, host := registrable(u.Host)
		if domain == "" || ours != nil && (ours(domain) || ours(host)) {
			continue
		}
		once(&domains, domain)
		if host != domain {
			once(&hosts, host)
		}
	}
	known = len(domains)
	names = spread(domains, linksMost, seed)
	asked = len(names)
	return append(names, spread(hosts, linksMost-asked, seed)...), asked, known
}

// registrable is the domain somebody registered and the host below it, without "www."; ""
// for addresses, registries and what is no name. Where a company lets others register below
// its name, that name stands for itself.
func registrable(s string) (domain, host string) {
	if _, err := netip.ParseAddr(s); err == nil {
		return "", ""
	}
	host = name(strings.TrimPrefix(s, "www."))
	if host == "" {
		return "", ""
	}
	if domain, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return domain, host
	}
	if _, icann := publicsuffix.PublicSuffix(host); icann {
		return "", ""
	}
	return host, host
}

// spread picks at most n of the names and keeps their order.
func spread(names []string, n int, seed string) []string {
	if len(names) <= n {
		return names
	}
	first, last := linksFirst*n/linksMost, linksLast*n/linksMost
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
