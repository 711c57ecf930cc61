package link

import (
	"strings"

	"golang.org/x/net/publicsuffix"

	"postern/internal/address"
)

// shownOrg is the organisation whose address a link shows: its text must be an address of the
// web and nothing else. It is "" for any other text.
func shownOrg(text string) string {
	text = strings.TrimSpace(text)
	if text == "" || strings.ContainsAny(text, " \t\n@<>") || len(text) > 300 {
		return ""
	}
	named := false
	for _, scheme := range []string{"https://", "http://"} {
		if len(text) > len(scheme) && strings.EqualFold(text[:len(scheme)], scheme) {
			text, named = text[len(scheme):], true
			break
		}
	}
	host, _, _ := strings.Cut(text, "/")
	host, _, _ = strings.Cut(host, "?")
	host, _, _ = strings.Cut(host, ":")
	host = strings.ToLower(strings.Trim(host, "."))
	if !strings.Contains(host, ".") {
		return ""
	}
	a, err := address.ToASCII(host)
	if err != nil || !address.ValidDomain(a) {
		return ""
	}
	// "report.pdf" and "node.js" are no addresses: only endings that registries sell count.
	if suffix, icann := publicsuffix.PublicSuffix(a); !icann || suffix == a || !named && fileEnding(a) {
		return ""
	}
	return address.Registered(a)
}

// fileEnding reports names that are files more often than hosts.
func fileEnding(host string) bool {
	switch host[strings.LastIndexByte(host, '.')+1:] {
	case "zip", "mov", "md", "sh", "pl", "py", "rs", "ai", "ps", "cc", "so", "app":
		return !strings.HasPrefix(host, "www.")
	}
	return false
}
