// Package inert makes what strangers wrote fit to be stored and shown.
package inert

import (
	"strings"
	"unicode"
)

// Max bounds one value, in bytes.
const Max = 1000

// Text is a value without what moves a terminal (C0 and C1 controls), ends a line or turns
// the direction of writing, trimmed, of at most Max bytes.
func Text(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Bidi_Control, unicode.Zl, unicode.Zp) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(strings.TrimSpace(s), "?"))
	if len(s) > Max {
		s = strings.ToValidUTF8(s[:Max], "")
	}
	return s
}

// Word is a text whose case means nothing.
func Word(s string) string { return strings.ToLower(Text(s)) }
