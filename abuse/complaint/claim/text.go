package claim

import (
	"strconv"
	"strings"
	"unicode"
)

// Bounds of what is kept of a stranger's words.
const (
	MaxValue = 1000 // bytes of one value
	MaxList  = 50   // values of one kind
)

// Text makes a value fit to be stored and shown: no controls, no line ends, nothing that
// turns the direction of writing, at most MaxValue bytes.
func Text(s string) string {
	s = s[:min(len(s), 4*MaxValue)]
	s = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Bidi_Control, unicode.Zl, unicode.Zp) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.TrimSpace(s)
	if len(s) > MaxValue {
		s = strings.TrimSpace(strings.ToValidUTF8(s[:MaxValue], ""))
	}
	return s
}

// Word is a text whose case means nothing.
func Word(s string) string { return strings.ToLower(Text(s)) }

// Address is the bare address of a value that may wear angle brackets, quotes or an address
// type ("rfc822;").
func Address(s string) string {
	s = Text(s)
	if kind, rest, ok := strings.Cut(s, ";"); ok && !strings.ContainsAny(kind, "@<\" ") {
		s = strings.TrimSpace(rest)
	}
	if i := strings.LastIndexByte(s, '<'); i >= 0 {
		if inside, _, closed := strings.Cut(s[i+1:], ">"); closed || i == 0 {
			s = inside
		}
	}
	return unescape(strings.Trim(s, " \t<>,;'"))
}

// unescape reads characters that are no ASCII as RFC 6533 writes them in addresses: \x{...}.
func unescape(v string) string {
	if !strings.Contains(v, `\x{`) {
		return v
	}
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(v, `\x{`)
		out.WriteString(before)
		if !ok {
			return Text(out.String())
		}
		hex, after, closed := strings.Cut(rest, "}")
		if c, fine := hexRune(hex); closed && fine {
			out.WriteRune(c)
			v = after
		} else {
			out.WriteString(`\x{`)
			v = rest
		}
	}
}

func hexRune(s string) (rune, bool) {
	if len(s) < 2 || len(s) > 6 {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 16, 32)
	return rune(n), err == nil && n > ' ' && n <= unicode.MaxRune
}

// Add appends a value to a list that neither grows without end nor repeats itself.
func Add(list []string, value string) []string {
	if value == "" || len(list) >= MaxList {
		return list
	}
	for _, have := range list {
		if have == value {
			return list
		}
	}
	return append(list, value)
}
