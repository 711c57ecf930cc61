package dns

import (
	"strings"
	"unicode/utf8"

	"github.com/miekg/dns"
	"golang.org/x/net/idna"
)

// wireName turns a plain name into the presentation form in which the library reads names
// from the wire. Every octet but the dot stands for itself: a backslash in a name that a
// stranger wrote must not become an escape. U-labels become A-labels.
func wireName(name string) (string, bool) {
	name = strings.TrimSuffix(name, ".")
	plain, special := true, false
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 0x80:
			plain = false
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			special = true
		}
	}
	if !plain {
		profile := idna.New(idna.MapForLookup(), idna.StrictDomainName(false), idna.BidiRule())
		ascii, err := profile.ToASCII(name)
		if err != nil || !utf8.ValidString(name) {
			return "", false
		}
		name, special = ascii, true
	}
	if !validLengths(name) {
		return "", false
	}
	if !special {
		return name + ".", true
	}
	var buf [256]byte
	escaped := strings.ReplaceAll(strings.ToLower(name), `\`, `\\`)
	n, err := dns.PackDomainName(escaped+".", buf[:], 0, nil, false)
	if err != nil {
		return "", false
	}
	out, _, err := dns.UnpackDomainName(buf[:n], 0)
	return out, err == nil
}

func validLengths(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
	}
	return true
}

// plainName is a name from the wire as callers see it: lower case, no final dot. Special
// octets stay escaped.
func plainName(wire string) string {
	return strings.ToLower(strings.TrimSuffix(wire, "."))
}

// unescape undoes the library's presentation form of a TXT string.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '\\' || i+1 == len(s):
			out = append(out, s[i])
		case i+3 < len(s) && digit(s[i+1]) && digit(s[i+2]) && digit(s[i+3]):
			out = append(out, (s[i+1]-'0')*100+(s[i+2]-'0')*10+s[i+3]-'0')
			i += 3
		default:
			i++
			out = append(out, s[i])
		}
	}
	return string(out)
}

func digit(c byte) bool { return c >= '0' && c <= '9' }
