package signature

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// CheckDomain refuses what nobody may sign for: a public suffix, and an A-label that is
// none and only looks like another name. d is in lower case.
func CheckDomain(d string) error {
	if len(d) > 253 || !strings.Contains(d, ".") {
		return fmt.Errorf("d=%.60s is no signer's domain", d)
	}
	for label := range strings.SplitSeq(d, ".") {
		if !isLabel(label) {
			return errors.New("d= is no domain")
		}
		if strings.HasPrefix(label, "xn--") && !trueALabel(label) {
			return fmt.Errorf("d= holds %.63s, which is no A-label", label)
		}
	}
	if suffix, icann := publicsuffix.PublicSuffix(d); icann && suffix == d {
		return fmt.Errorf("d=%s is a public suffix", d)
	}
	return nil
}

// checkSelector refuses what cannot be part of a name in the DNS.
func checkSelector(s string) error {
	if len(s) > 200 {
		return errors.New("s= is no selector")
	}
	for label := range strings.SplitSeq(strings.ToLower(s), ".") {
		if !isLabel(label) {
			return errors.New("s= is no selector")
		}
	}
	return nil
}

func isLabel(label string) bool {
	if label == "" || len(label) > 63 {
		return false
	}
	for i := range len(label) {
		c := label[i]
		if c < 0x80 && c != '-' && c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

func trueALabel(label string) bool {
	u, err := idna.Punycode.ToUnicode(label)
	if err != nil {
		return false
	}
	ascii := true
	for _, r := range u {
		if !unicode.IsGraphic(r) {
			return false
		}
		ascii = ascii && r < 0x80
	}
	back, err := idna.Punycode.ToASCII(u)
	return !ascii && err == nil && back == label
}
