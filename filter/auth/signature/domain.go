package signature

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// Domain reads the domain of a signer, in lower case and with A-labels (RFC 8616), and
// refuses what nobody may sign for: a public suffix, and a label that is none and only looks
// like another name.
func Domain(d string) (string, error) {
	d, err := domainName(d)
	if err != nil {
		return d, err
	}
	if suffix, icann := publicsuffix.PublicSuffix(d); icann && suffix == d {
		return d, fmt.Errorf("d=%s is a public suffix", d)
	}
	return d, nil
}

// ASCII is a domain in lower case and with A-labels; one that is no domain stays as it is.
func ASCII(d string) string {
	ascii, _ := domainName(d)
	return ascii
}

func domainName(d string) (string, error) {
	d = strings.ToLower(strings.TrimSuffix(d, "."))
	if len(d) > 253 || !strings.Contains(d, ".") {
		return d, fmt.Errorf("d=%.60s is no signer's domain", d)
	}
	return labels("d=", "domain", d)
}

// selector reads s=, which is part of a name in the DNS.
func selector(s string) (string, error) {
	if len(s) > 200 {
		return s, errors.New("s= is no selector")
	}
	return labels("s=", "selector", strings.ToLower(s))
}

// labels makes every label of a name an A-label, or says what is none.
func labels(tag, noun, name string) (string, error) {
	all := strings.Split(name, ".")
	for i, label := range all {
		if strings.IndexFunc(label, func(r rune) bool { return r >= 0x80 }) >= 0 {
			// No mapping: a U-label that is not in its one form is none.
			a, err := idna.New(idna.ValidateForRegistration()).ToASCII(label)
			if err != nil {
				return name, fmt.Errorf("%s holds %.63s, which is no U-label", tag, label)
			}
			label, all[i] = a, a
		}
		if !isLabel(label) {
			return name, fmt.Errorf("%s is no %s", tag, noun)
		}
		if strings.HasPrefix(label, "xn--") && !trueALabel(label) {
			return name, fmt.Errorf("%s holds %.63s, which is no A-label", tag, label)
		}
	}
	return strings.Join(all, "."), nil
}

func isLabel(label string) bool {
	if label == "" || len(label) > 63 {
		return false
	}
	for i := range len(label) {
		c := label[i]
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
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
