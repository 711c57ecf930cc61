// Package address parses, normalises and quotes mail addresses as SMTP carries them
// (RFC 5321 section 4.1.2, RFC 6531 section 3.3).
package address

import (
	"errors"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// The limits of RFC 5321 section 4.5.3.1, in octets.
const (
	MaxLocal  = 64
	MaxDomain = 255
)

// What Parse refuses, for callers that answer differently.
var (
	ErrSyntax  = errors.New("not a mailbox")
	ErrControl = errors.New("control character in an address")
	ErrRoute   = errors.New("source route in an address")
	ErrUTF8    = errors.New("non-ASCII address without SMTPUTF8")
	ErrTooLong = errors.New("address too long")
	ErrDomain  = errors.New("malformed domain")
)

// Address is a mailbox. Local is the meaning of the local part, without quotes and
// backslashes; Domain is in lower case, A-labels or U-labels as given, an address literal
// keeps its brackets. Only "postmaster" may have no domain.
type Address struct{ Local, Domain string }

// Parse reads what stands between the angle brackets of a path. With utf8OK the address
// may hold UTF-8 (SMTPUTF8); without, any octet over 127 is ErrUTF8.
func Parse(s string, utf8OK bool) (Address, error) {
	if err := checkBytes(s, utf8OK); err != nil {
		return Address{}, err
	}
	if strings.HasPrefix(s, "@") {
		return Address{}, ErrRoute
	}
	local, rest, err := parseLocal(s)
	if err != nil {
		return Address{}, err
	}
	if rest == "" && strings.EqualFold(local, "postmaster") {
		return Address{Local: "postmaster"}, nil
	}
	domain, ok := strings.CutPrefix(rest, "@")
	if !ok || local == "" {
		return Address{}, ErrSyntax
	}
	if len(local) > MaxLocal || len(domain) > MaxDomain {
		return Address{}, ErrTooLong
	}
	domain = strings.ToLower(domain)
	if !ValidDomain(domain) && !isLiteral(domain) {
		return Address{}, ErrDomain
	}
	return Address{Local: local, Domain: domain}, nil
}

// checkBytes refuses what no part of an address may hold.
func checkBytes(s string, utf8OK bool) error {
	eight := false
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c == 0x7f:
			return ErrControl
		case c >= 0x80:
			eight = true
		}
	}
	if !eight {
		return nil
	}
	if !utf8OK {
		return ErrUTF8
	}
	if !utf8.ValidString(s) {
		return ErrSyntax
	}
	for _, r := range s {
		// C1 controls and the line separators end lines for some readers.
		if r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return ErrControl
		}
	}
	return nil
}

// parseLocal returns the unquoted local part and what follows it.
func parseLocal(s string) (local, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		return parseQuoted(s)
	}
	end := strings.IndexByte(s, '@')
	if end < 0 {
		end = len(s)
	}
	local = s[:end]
	if !isDotString(local) {
		return "", "", ErrSyntax
	}
	return local, s[end:], nil
}

func parseQuoted(s string) (local, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], nil
		case '\\':
			if i++; i == len(s) {
				return "", "", ErrSyntax
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", ErrSyntax
}

// isDotString reports whether s needs no quotes: atoms joined by single dots.
func isDotString(s string) bool {
	dot := true // a dot here would be leading or doubled
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			if dot {
				return false
			}
			dot = true
			continue
		case !isAtext(c):
			return false
		}
		dot = false
	}
	return !dot
}

func isAtext(c byte) bool {
	return isAlnum(c) || c >= 0x80 || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// String is the wire form: the local part is quoted where it must be.
func (a Address) String() string {
	local := a.Local
	if !isDotString(local) {
		local = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
	}
	if a.Domain == "" {
		return local
	}
	return local + "@" + a.Domain
}

// Base is the address without the "+tag" of its local part.
func (a Address) Base() Address {
	if i := strings.IndexByte(a.Local, '+'); i > 0 {
		a.Local = a.Local[:i]
	}
	return a
}

// ASCII reports whether the address can be used without SMTPUTF8.
func (a Address) ASCII() bool {
	for _, s := range []string{a.Local, a.Domain} {
		for i := range len(s) {
			if s[i] >= 0x80 {
				return false
			}
		}
	}
	return true
}

// Normalize is the lower-case key of an address for lists and lookups: quotes that are not
// needed are gone, a domain in U-labels becomes A-labels. What cannot be parsed is only
// lower-cased, so that it still equals itself.
func Normalize(s string) string {
	a, err := Parse(strings.TrimSpace(s), true)
	if err != nil {
		return strings.ToLower(strings.TrimSpace(s))
	}
	a.Local = strings.ToLower(a.Local)
	if ascii, err := ToASCII(a.Domain); err == nil {
		a.Domain = ascii
	}
	return a.String()
}

// DomainOf is the domain of an address in lower case, or "". An "@" inside a quoted local
// part does not count.
func DomainOf(s string) string {
	i := strings.LastIndexByte(s, '@')
	if i < 0 {
		return ""
	}
	return strings.ToLower(s[i+1:])
}

// ValidDomain reports whether s is a host name of A- or U-labels, without a final dot.
func ValidDomain(s string) bool {
	if s == "" || len(s) > MaxDomain || !utf8.ValidString(s) {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !validLabel(label) {
			return false
		}
	}
	_, err := ToASCII(s)
	return err == nil
}

func validLabel(l string) bool {
	if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
		return false
	}
	for i := range len(l) {
		if c := l[i]; !isAlnum(c) && c != '-' && c != '_' && c < 0x80 {
			return false
		}
	}
	return true
}

// ToASCII turns U-labels into lower-case A-labels (RFC 5891). A plain ASCII domain that
// holds no A-label comes back lower-cased only, since host names in use hold underscores.
func ToASCII(domain string) (string, error) {
	domain = strings.ToLower(domain)
	plain := !strings.HasPrefix(domain, "xn--") && !strings.Contains(domain, ".xn--")
	for i := range len(domain) {
		plain = plain && domain[i] < 0x80
	}
	if plain || isLiteral(domain) {
		return domain, nil
	}
	out, err := idna.Lookup.ToASCII(domain)
	if err != nil || out == "" || len(out) > MaxDomain {
		return "", ErrDomain
	}
	return out, nil
}

// isLiteral reports whether s is an address literal such as [192.0.2.1] or [IPv6:2001:db8::1].
func isLiteral(s string) bool {
	in, ok := strings.CutPrefix(s, "[")
	if !ok {
		return false
	}
	if in, ok = strings.CutSuffix(in, "]"); !ok {
		return false
	}
	v6, six := strings.CutPrefix(strings.ToLower(in), "ipv6:")
	ip, err := netip.ParseAddr(v6)
	return err == nil && ip.Zone() == "" && ip.Is4() != six
}
