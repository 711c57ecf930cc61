package dmarc

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Name is a domain as it is asked for and compared: lower case, A-labels, no final dot. It
// is false for what is no domain name, and for an A-label that stands for no U-label: what
// people are shown of it is the name of another.
func Name(domain string) (string, bool) {
	domain = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(domain), "."))
	if !isASCII(domain) {
		profile := idna.New(idna.MapForLookup(), idna.StrictDomainName(false), idna.BidiRule())
		a, err := profile.ToASCII(domain)
		if err != nil || !utf8.ValidString(domain) {
			return domain, false
		}
		domain = a
	}
	if len(domain) > 253 {
		return domain, false
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 || !isLDH(label) {
			return domain, false
		}
		if !strings.HasPrefix(label, "xn--") {
			continue
		}
		if u, err := idna.Punycode.ToUnicode(label); err != nil || isASCII(u) {
			return domain, false
		}
	}
	return domain, true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// isLDH reports whether a label is of letters, digits, hyphens and the underscores that
// names in use hold.
func isLDH(label string) bool {
	for i := range len(label) {
		c := label[i]
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
