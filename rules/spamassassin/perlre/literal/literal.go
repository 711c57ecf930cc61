// Package literal writes characters as RE2 reads them.
package literal

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Quote writes one character as RE2 reads it, in brackets as outside them.
func Quote(r rune) string {
	switch {
	case r == '\n':
		return `\n`
	case r == '\t':
		return `\t`
	case r == '\r':
		return `\r`
	case r < ' ' || r == 0x7f:
		return fmt.Sprintf(`\x%02x`, r)
	case strings.ContainsRune(`\.+*?()|[]{}^$-`, r):
		return `\` + string(r)
	case r >= utf8.RuneSelf && !unicode.IsPrint(r):
		return fmt.Sprintf(`\x{%x}`, r)
	}
	return string(r)
}

// Decode reads byte strings as one character each; all tells that each is one.
func Decode(made []string) (runes []rune, all bool) {
	for _, m := range made {
		if r, size := utf8.DecodeRuneInString(m); r != utf8.RuneError && size == len(m) {
			runes = append(runes, r)
		}
	}
	return runes, len(runes) == len(made)
}

// Class is a class of characters in rising order.
func Class(runes []rune) string {
	if len(runes) == 1 {
		return Quote(runes[0])
	}
	var b strings.Builder
	b.WriteByte('[')
	for i := 0; i < len(runes); {
		j := i
		for j+1 < len(runes) && runes[j+1] == runes[j]+1 {
			j++
		}
		fmt.Fprintf(&b, `\x{%x}`, runes[i])
		if j > i {
			fmt.Fprintf(&b, `-\x{%x}`, runes[j])
		}
		i = j + 1
	}
	b.WriteByte(']')
	return b.String()
}
