package record

import (
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
	var out []byte
	cut := 0 // where out may end to leave room for the mark
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1, r < 0x80 && !printable(r):
			out = append(out, '\\', 'x', hexDigits[s[i]>>4], hexDigits[s[i]&15])
		case r == '\\':
			out = append(out, `\\`...)
		case !printable(r):
			out = append(out, `\u{`+hexRune(r)+`}`...)
		default:
			out = append(out, s[i:i+size]...)
		}
		if len(out) > limit {
			return string(out[:cut]) + more[:min(len(more), limit-cut)]
		}
		if len(out) <= limit-len(more) {
			cut = len(out)
		}
		i += size
	}
	return string(out)
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
