package record

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// Clean makes text a stranger wrote fit for one line of a log or a terminal: controls (C0,
// DEL, C1), line and paragraph separators, and characters that reorder or hide text become
// \xNN or \u{N}; bytes that are no UTF-8 become \xNN. It cuts at limit bytes, marking the cut
// with "...". A backslash becomes \\, so that nothing shown can be mistaken for an escape.
func Clean(s string, limit int) string {
	if plain(s) && len(s) <= limit {
		return s
	}
	const more = "..."
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		piece := s[i : i+size]
		switch {
		case r == utf8.RuneError && size == 1, r < 0x80 && !printable(r):
			piece = `\x` + string([]byte{hexDigits[s[i]>>4], hexDigits[s[i]&15]})
		case r == '\\':
			piece = `\\`
		case !printable(r):
			piece = `\u{` + hexRune(r) + `}`
		}
		if b.Len()+len(piece) > limit-len(more) && b.Len()+len(piece)+len(s)-i-size > limit {
			b.WriteString(more[:max(0, min(len(more), limit-b.Len()))])
			break
		}
		b.WriteString(piece)
		i += size
	}
	return b.String()
}

func plain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7f || s[i] == '\\' {
			return false
		}
	}
	return true
}

// printable reports whether a terminal shows r as itself and leaves its neighbours alone.
func printable(r rune) bool {
	return unicode.IsPrint(r) && !unicode.In(r, unicode.Bidi_Control, unicode.Variation_Selector)
}

func hexRune(r rune) string {
	var out []byte
	for ; r > 0 || len(out) == 0; r >>= 4 {
		out = append([]byte{hexDigits[r&15]}, out...)
	}
	return string(out)
}
