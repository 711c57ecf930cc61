package account

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"postern/internal/address"
)

// key is an address as it is compared: one spelling for each mailbox, and never one for two.
type key struct{ local, domain string }

// parse reads an address; ok is false for what is none.
func parse(s string) (k key, ok bool) {
	a, err := address.Parse(strings.TrimSpace(s), true)
	if err != nil || a.Domain == "" {
		return key{}, false
	}
	domain, err := address.ToASCII(a.Domain)
	if err != nil {
		return key{}, false
	}
	return key{fold(a.Local), domain}, true
}

// base is the address without its +tag.
func (k key) base() key {
	k.local = address.Address{Local: k.local}.Base().Local
	return k
}

// fold is the composed lower-case form of a name. What is not ASCII stays so: the Kelvin sign
// is no k and the dotted capital I no i, however they look.
func fold(s string) string {
	if !strings.ContainsFunc(s, posesAsASCII) {
		s = norm.NFC.String(s)
	}
	return strings.Map(func(r rune) rune {
		low := unicode.ToLower(r)
		if r >= 0x80 && low < 0x80 {
			return r
		}
		return low
	}, s)
}

// posesAsASCII reports a sign whose composed form is another one in ASCII.
func posesAsASCII(r rune) bool {
	return r >= 0x80 && norm.NFC.String(string(r))[0] < 0x80
}

// accountKey is the name of an account as it is compared.
func accountKey(s string) string {
	if k, ok := parse(s); ok {
		return k.local + "@" + k.domain
	}
	return fold(strings.TrimSpace(s))
}
