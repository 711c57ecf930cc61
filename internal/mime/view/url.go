package view

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// URL is one link found in a body.
type URL struct {
	Raw  string // as written, entities decoded, at most 2,048 bytes
	Host string // lower-case A-label or address without port and user; "" if it has none
	Text string // what an HTML link shows instead; "" when found in text

	Anchor   bool // an HTML link that a reader is shown and can follow
	Embedded bool // an image, a style and the like: loaded with the mail, not followed
}

// maxURL bounds one link in bytes.
const maxURL = 2048

// scan adds the links written out in text.
func (c *Collector) scan(text string) {
	for at := 0; at < len(text); {
		i, n := nextLink(text[at:])
		if i < 0 {
			return
		}
		c.add(text[at+i:at+i+n], "", "")
		at += i + n
	}
}

// nextLink finds "scheme://..." or "www...." ; i < 0 if there is none.
func nextLink(s string) (i, n int) {
	for at := 0; at < len(s); {
		i := strings.IndexAny(s[at:], ":wW")
		if i < 0 {
			return -1, 0
		}
		i += at
		start := -1
		switch {
		case s[i] == ':':
			if strings.HasPrefix(s[i:], "://") {
				start = schemeStart(s, at, i)
			}
		case (i == 0 || !wordByte(s[i-1])) && len(s) > i+4 && strings.EqualFold(s[i:i+4], "www."):
			start = i
		}
		if start >= 0 {
			if n := linkLen(s[start:]); n > i-start+3 {
				return start, n
			}
		}
		at = i + 1
	}
	return -1, 0
}

// schemeStart steps back over the scheme before the colon at i, not behind at.
func schemeStart(s string, at, i int) int {
	j := i
	for j > at && i-j < 8 && wordByte(s[j-1]) && s[j-1] < 0x80 {
		j--
	}
	for _, scheme := range []string{"https", "http", "ftp"} {
		if i-j >= len(scheme) && strings.EqualFold(s[i-len(scheme):i], scheme) {
			return i - len(scheme)
		}
	}
	return -1
}

func wordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '.' || c >= 0x80
}

// linkLen returns how far the link s begins with goes.
func linkLen(s string) int {
	n := 0
	for n < len(s) && n < maxURL {
		c := s[n]
		if c < 0x80 {
			if c <= ' ' || c == '<' || c == '>' || c == '"' || c == '`' || c == '{' || c == '}' || c == '|' || c == 0x7f {
				break
			}
			n++
			continue
		}
		r, w := utf8.DecodeRuneInString(s[n:])
		if r == 0xa0 || r >= 0x2000 && r <= 0x206f || r >= 0x3000 && r <= 0x303f && r != 0x3002 || r == utf8.RuneError {
			break
		}
		n += w
	}
	return len(strings.TrimRight(s[:n], ".,;:!?')]*_~"))
}

// Link reads one link that stands by itself.
func Link(raw string) (u URL, ok bool) { return parseURL(raw, "") }

// parseURL cleans a link as browsers do and finds its host. ok is false for what leads
// nowhere (fragments, cid:, mailto:, relative links without a base).
func parseURL(raw, base string) (u URL, ok bool) {
	raw = strings.TrimFunc(raw, func(r rune) bool { return r <= ' ' })
	if strings.ContainsAny(raw, "\t\r\n") {
		raw = strings.NewReplacer("\t", "", "\r", "", "\n", "").Replace(raw)
	}
	if len(raw) > maxURL {
		raw = strings.ToValidUTF8(raw[:maxURL], "")
	}
	scheme, rest, has := cutScheme(raw)
	switch {
	case has:
		switch scheme {
		case "cid", "mid", "mailto", "tel", "sms", "about", "xmpp":
			return u, false
		case "http", "https", "ftp", "ws", "wss":
			u.Host = host(strings.TrimLeft(rest, `/\`))
			return URL{Raw: raw, Host: u.Host}, u.Host != ""
		}
		if strings.HasPrefix(rest, "//") {
			u.Host = host(rest[2:])
		}
		return URL{Raw: raw, Host: u.Host}, true
	case strings.HasPrefix(raw, "//") || strings.HasPrefix(raw, `\\`) || strings.HasPrefix(raw, `/\`):
		u.Host = host(raw[2:])
	case len(raw) > 4 && strings.EqualFold(raw[:4], "www."):
		u.Host = host(raw)
	case base != "" && raw != "" && raw[0] != '#':
		b, found := parseURL(base, "")
		b.Raw = strings.TrimRight(base, "/") + "/" + strings.TrimLeft(raw, "/")
		return b, found
	}
	return URL{Raw: raw, Host: u.Host}, u.Host != ""
}

func cutScheme(s string) (scheme, rest string, ok bool) {
	for i := range min(len(s), 32) {
		c := s[i]
		switch {
		case c == ':':
			return strings.ToLower(s[:i]), s[i+1:], i > 0
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		case i > 0 && (c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.'):
		default:
			return "", s, false
		}
	}
	return "", s, false
}

// host reads the authority s begins with.
func host(s string) string {
	if i := strings.IndexAny(s, `/\?#`); i >= 0 {
		s = s[:i]
	}
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		s = s[i+1:]
	}
	if strings.HasPrefix(s, "[") {
		inner, _, _ := strings.Cut(s[1:], "]")
		if a, err := netip.ParseAddr(inner); err == nil {
			return a.String()
		}
		return ""
	}
	s, _, _ = strings.Cut(s, ":")
	s = strings.Trim(unescape(s), ". ")
	if s == "" || len(s) > 512 {
		return ""
	}
	if a, ok := numeric(s); ok {
		return a
	}
	if plain(s) {
		return strings.ToLower(s)
	}
	if a, err := lenientIDNA.ToASCII(s); err == nil {
		s = a
	}
	return strings.Trim(strings.ToLower(s), ".")
}

// lenientIDNA maps as browsers do and lets odd names through.
var lenientIDNA = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false))

func plain(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	var sb strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				sb.WriteByte(byte(v))
				i += 2
				continue
			}
		}
		sb.WriteByte(s[i])
	}
	return sb.String()
}

// numeric reads every form of an IPv4 address that browsers take: one to four numbers,
// decimal, octal or hexadecimal.
func numeric(s string) (addr string, ok bool) {
	if strings.IndexByte("0123456789abcdefABCDEFxX", s[len(s)-1]) < 0 {
		return "", false
	}
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return "", false
	}
	var ip uint64
	for i, p := range parts {
		base := 10
		switch {
		case len(p) > 1 && (p[:2] == "0x" || p[:2] == "0X"):
			base, p = 16, p[2:]
		case len(p) > 1 && p[0] == '0':
			base = 8
		}
		v, err := strconv.ParseUint(p, base, 32)
		if err != nil {
			return "", false
		}
		if i == len(parts)-1 {
			ip = ip<<(8*(5-len(parts))) | v
			break
		}
		if v > 255 {
			return "", false
		}
		ip = ip<<8 | v
	}
	if ip > 1<<32-1 {
		return "", false
	}
	return netip.AddrFrom4([4]byte{byte(ip >> 24), byte(ip >> 16), byte(ip >> 8), byte(ip)}).String(), true
}
