package spf

import (
	"fmt"
	"net/netip"
	"strings"
)

// record is a parsed SPF record (RFC 7208 section 12).
type record struct {
	terms    []term // the directives in their order
	redirect string // domain-spec, or ""
	exp      string // domain-spec, or ""
}

// term is one directive.
type term struct {
	text      string // as written
	qualifier Result
	kind      string       // all, include, a, mx, ptr, ip4, ip6, exists
	domain    string       // domain-spec, or "" for the current domain
	cidr4     int          // prefix length for IPv4 addresses of a and mx
	cidr6     int          // the same for IPv6
	network   netip.Prefix // of ip4 and ip6
}

// isRecord reports whether a TXT record is a version 1 SPF record (section 4.5).
func isRecord(txt string) bool {
	const version = "v=spf1"
	return len(txt) >= len(version) && strings.EqualFold(txt[:len(version)], version) &&
		(len(txt) == len(version) || txt[len(version)] == ' ')
}

// parse reads a whole record, so that an error behind a term that matches still counts
// (section 4.6).
func parse(txt string) (*record, error) {
	for i := range len(txt) {
		if txt[i] < ' ' || txt[i] > '~' {
			return nil, fmt.Errorf("octet %#02x in the record", txt[i])
		}
	}
	rec := &record{}
	for word := range strings.SplitSeq(txt[len("v=spf1"):], " ") {
		if word == "" {
			continue
		}
		if err := rec.add(word); err != nil {
			return nil, fmt.Errorf("%q: %w", word, err)
		}
	}
	return rec, nil
}

func (rec *record) add(word string) error {
	end := strings.IndexAny(word, ":/=")
	if end >= 0 && word[end] == '=' && isName(word[:end]) {
		return rec.addModifier(strings.ToLower(word[:end]), word[end+1:])
	}
	t := term{text: word, qualifier: Pass, cidr4: 32, cidr6: 128}
	rest := word
	if q, ok := qualifiers[word[0]]; ok {
		t.qualifier, rest = q, word[1:]
	}
	t.kind = strings.ToLower(rest)
	arg := ""
	if i := strings.IndexAny(rest, ":/"); i >= 0 {
		t.kind, arg = strings.ToLower(rest[:i]), rest[i:]
	}
	if err := t.arguments(arg); err != nil {
		return err
	}
	rec.terms = append(rec.terms, t)
	return nil
}

var qualifiers = map[byte]Result{'+': Pass, '-': Fail, '~': SoftFail, '?': Neutral}

// isName checks ALPHA *( ALPHA / DIGIT / "-" / "_" / "." ).
func isName(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if c >= 'a' && c <= 'z' {
			continue
		}
		if i == 0 || strings.IndexByte("0123456789-_.", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

func (rec *record) addModifier(name, value string) error {
	switch name {
	case "redirect", "exp":
		target := &rec.redirect
		if name == "exp" {
			target = &rec.exp
		}
		if *target != "" {
			return fmt.Errorf("given twice")
		}
		*target = value
		return checkDomainSpec(value)
	}
	return checkMacroString(value, false)
}

// arguments parses what follows the name of a mechanism, from its ":" or "/" on.
func (t *term) arguments(arg string) error {
	switch t.kind {
	case "all":
		if arg != "" {
			return fmt.Errorf("all takes no argument")
		}
		return nil
	case "include", "exists":
		if arg == "" || arg[0] != ':' {
			return fmt.Errorf("%s needs a domain", t.kind)
		}
		t.domain = arg[1:]
		return checkDomainSpec(t.domain)
	case "ptr":
		if arg == "" {
			return nil
		}
		if arg[0] != ':' {
			return fmt.Errorf("ptr takes no prefix length")
		}
		t.domain = arg[1:]
		return checkDomainSpec(t.domain)
	case "a", "mx":
		return t.addressArguments(arg)
	case "ip4", "ip6":
		if arg == "" || arg[0] != ':' {
			return fmt.Errorf("%s needs an address", t.kind)
		}
		return t.parseNetwork(arg[1:])
	}
	return fmt.Errorf("unknown mechanism")
}

// addressArguments parses [":" domain-spec] ["/" n] ["//" n]. The lengths stand at the end:
// a domain-spec may hold slashes itself.
func (t *term) addressArguments(arg string) error {
	if rest, n, ok := cutLength(arg, "//"); ok {
		if t.cidr6, ok = prefixLength(n, 128); !ok {
			return fmt.Errorf("prefix length %q", n)
		}
		arg = rest
	}
	if rest, n, ok := cutLength(arg, "/"); ok {
		if t.cidr4, ok = prefixLength(n, 32); !ok {
			return fmt.Errorf("prefix length %q", n)
		}
		arg = rest
	}
	if arg == "" {
		return nil
	}
	if arg[0] != ':' {
		return fmt.Errorf("syntax")
	}
	t.domain = arg[1:]
	return checkDomainSpec(t.domain)
}

// cutLength cuts sep and the digits at the end of s.
func cutLength(s, sep string) (rest, digits string, ok bool) {
	i := len(s)
	for i > 0 && s[i-1] >= '0' && s[i-1] <= '9' {
		i--
	}
	if !strings.HasSuffix(s[:i], sep) || i < len(sep) {
		return s, "", false
	}
	return s[:i-len(sep)], s[i:], true
}

// prefixLength reads a decimal without leading zeros.
func prefixLength(s string, most int) (int, bool) {
	if s == "" || len(s) > 3 || len(s) > 1 && s[0] == '0' {
		return 0, false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, n <= most
}

func (t *term) parseNetwork(s string) error {
	text, length, has := strings.Cut(s, "/")
	ip, err := netip.ParseAddr(text)
	bits := 32
	if t.kind == "ip6" {
		bits = 128
	}
	if err != nil || ip.Zone() != "" || ip.BitLen() != bits {
		return fmt.Errorf("not an %s address", strings.ToUpper(t.kind))
	}
	if has {
		var ok bool
		if bits, ok = prefixLength(length, bits); !ok {
			return fmt.Errorf("prefix length %q", length)
		}
	}
	t.network = netip.PrefixFrom(ip, bits).Masked()
	return nil
}
