// Package inert makes what strangers wrote fit to be stored and shown.
package inert

import "strings"

// Max bounds one value, in bytes.
const Max = 1000

// Text is a value without control characters, trimmed, of at most Max bytes.
func Text(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
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
