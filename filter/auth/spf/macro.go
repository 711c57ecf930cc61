package spf

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// checkDomainSpec checks domain-spec = macro-string domain-end, where domain-end is a
// macro-expand or "." toplabel ["."] (RFC 7208 section 7.1).
func checkDomainSpec(s string) error {
	if s == "" {
		return fmt.Errorf("a domain is missing")
	}
	if err := checkMacroString(s, false); err != nil {
		return err
	}
	if endsInMacro(s) {
		return nil
	}
	s = strings.TrimSuffix(s, ".")
	dot := strings.LastIndexByte(s, '.')
	if dot < 0 || !isTopLabel(s[dot+1:]) {
		return fmt.Errorf("no valid top label")
	}
	return nil
}

// endsInMacro reports whether the last piece of a valid macro-string is a macro-expand.
func endsInMacro(s string) bool {
	last := false
	for rest := s; rest != ""; {
		n := 1
		if last = rest[0] == '%'; last {
			n = 2
			if rest[1] == '{' {
				n = strings.IndexByte(rest, '}') + 1
			}
		}
		rest = rest[n:]
	}
	return last
}

func isAlphanum(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// isTopLabel checks that a label has a letter or an inner hyphen: not an IP address's end.
func isTopLabel(s string) bool {
	if s == "" || !isAlphanum(s[0]) || !isAlphanum(s[len(s)-1]) {
		return false
	}
	other := false
	for i := range len(s) {
		if !isAlphanum(s[i]) && s[i] != '-' {
			return false
		}
		other = other || s[i] < '0' || s[i] > '9'
	}
	return other
}

// checkMacroString checks *( macro-expand / macro-literal ). The letters c, r and t, and
// spaces, are for explanation texts only.
func checkMacroString(s string, explanation bool) error {
	_, err := walkMacros(s, explanation, func(macro) string { return "" })
	return err
}

// macro is one %{...}.
type macro struct {
	letter  byte // lower case
	escape  bool // written in upper case: URL-escaped
	keep    int  // right-hand parts to keep; 0 = all
	reverse bool
	split   string // delimiters
}

// walkMacros expands s, taking each macro's text from value.
func walkMacros(s string, explanation bool, value func(macro) string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '%' {
			if c < ' ' || c > '~' || c == ' ' && !explanation {
				return "", fmt.Errorf("octet %#02x", c)
			}
			b.WriteByte(c)
			continue
		}
		i++
		if i == len(s) {
			return "", fmt.Errorf("a lone %%")
		}
		switch s[i] {
		case '%':
			b.WriteByte('%')
		case '_':
			b.WriteByte(' ')
		case '-':
			b.WriteString("%20")
		case '{':
			end := strings.IndexByte(s[i:], '}')
			if end < 0 {
				return "", fmt.Errorf("%%{ without }")
			}
			m, err := parseMacro(s[i+1:i+end], explanation)
			if err != nil {
				return "", err
			}
			b.WriteString(value(m))
			i += end
		default:
			return "", fmt.Errorf("%%%c", s[i])
		}
	}
	return b.String(), nil
}

// parseMacro reads what stands between %{ and }.
func parseMacro(s string, explanation bool) (macro, error) {
	letters := "slodiphv"
	if explanation {
		letters += "crt"
	}
	if s == "" || !strings.ContainsRune(letters, rune(s[0]|0x20)) {
		return macro{}, fmt.Errorf("macro %q", s)
	}
	m := macro{letter: s[0] | 0x20, escape: s[0] < 'a'}
	rest := strings.TrimLeft(s[1:], "0123456789")
	if digits := s[1 : len(s)-len(rest)]; digits != "" {
		n, err := strconv.Atoi(digits)
		if n == 0 && err == nil {
			return macro{}, fmt.Errorf("macro %q keeps nothing", s)
		}
		if err == nil && n < 128 {
			m.keep = n
		}
	}
	if rest != "" && rest[0]|0x20 == 'r' {
		m.reverse, rest = true, rest[1:]
	}
	if strings.Trim(rest, ".-+,/_=") != "" {
		return macro{}, fmt.Errorf("macro %q", s)
	}
	m.split = rest
	if rest == "" {
		m.split = "."
	}
	return m, nil
}

// apply transforms a macro's text (section 7.3).
func (m macro) apply(text string) string {
	if m.keep > 0 || m.reverse || m.split != "." {
		var parts []string
		start := 0
		for i := range len(text) {
			if strings.IndexByte(m.split, text[i]) >= 0 {
				parts = append(parts, text[start:i])
				start = i + 1
			}
		}
		parts = append(parts, text[start:])
		if m.reverse {
			slices.Reverse(parts)
		}
		if m.keep > 0 && m.keep < len(parts) {
			parts = parts[len(parts)-m.keep:]
		}
		text = strings.Join(parts, ".")
	}
	if m.escape {
		text = urlEscape(text)
	}
	return text
}

func urlEscape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; isAlphanum(c) || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// expand expands a macro-string for the current domain.
func (e *eval) expand(ctx context.Context, s, domain string, explanation bool) (string, error) {
	if !strings.Contains(s, "%") && !explanation {
		return s, nil
	}
	return walkMacros(s, explanation, func(m macro) string { return m.apply(e.macroText(ctx, m.letter, domain)) })
}

func (e *eval) macroText(ctx context.Context, letter byte, domain string) string {
	switch letter {
	case 's':
		return e.local + "@" + e.senderDomain
	case 'l':
		return e.local
	case 'o':
		return e.senderDomain
	case 'd':
		return domain
	case 'i':
		return dotted(e.ip)
	case 'p':
		return e.validatedName(ctx, domain)
	case 'v':
		if e.ip.Is4() {
			return "in-addr"
		}
		return "ip6"
	case 'h':
		return e.req.Helo
	case 'c':
		return e.ip.String()
	case 'r':
		if e.req.Receiver == "" {
			return "unknown"
		}
		return e.req.Receiver
	default: // t
		return strconv.FormatInt(e.req.now().Unix(), 10)
	}
}

// dotted is an address as %{i} writes it: IPv6 as 32 nibbles.
func dotted(ip netip.Addr) string {
	if ip.Is4() {
		return ip.String()
	}
	const hex = "0123456789ABCDEF"
	raw := ip.As16()
	out := make([]byte, 0, 63)
	for i, b := range raw {
		if i > 0 {
			out = append(out, '.')
		}
		out = append(out, hex[b>>4], '.', hex[b&15])
	}
	return string(out)
}

// expandDomain expands a domain-spec to a name; "" stands for the current domain. A name
// over 253 octets loses labels from the left (section 7.3).
func (e *eval) expandDomain(ctx context.Context, spec, domain string) (string, error) {
	if spec == "" {
		return domain, nil
	}
	name, err := e.expand(ctx, spec, domain, false)
	if err != nil {
		return "", err
	}
	name = strings.TrimSuffix(name, ".")
	for len(name) > 253 {
		_, rest, ok := strings.Cut(name, ".")
		if !ok {
			break
		}
		name = rest
	}
	return name, nil
}
