package account

import "strings"

// stray are the addresses of mailboxes that hold several, outside quotes and comments: each
// reader shows another of them. What stands before a bracket is a name.
func stray(field string) []string {
	var out []string
	var text strings.Builder
	bracket := false
	end := func() {
		var words []string
		for word := range strings.FieldsSeq(text.String()) {
			if strings.Contains(word, "@") {
				words = append(words, word)
			}
		}
		if bracket || len(words) > 1 {
			out = append(out, words...)
		}
		text.Reset()
		bracket = false
	}
	open := false // a quote, comment or bracket has no end: what follows is text
	for i := 0; i < len(field); i++ {
		switch c := field[i]; c {
		case '"', '(', '<':
			n := 0
			if !open {
				n = closing(field[i:])
				open = n == 0
			}
			if n > 0 && c == '<' {
				text.Reset()
				bracket = true
			}
			text.WriteByte(' ')
			i += max(n, 1) - 1
		case ',', ';', ':':
			end()
		default:
			text.WriteByte(c)
		}
	}
	end()
	return out
}

// closing is the length of the quoted string, comment or bracket s begins with, or 0.
func closing(s string) int {
	ends := map[byte]byte{'"': '"', '(': ')', '<': '>'}[s[0]]
	for i, depth := 1, 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && s[0] != '<':
			i++
		case c == ends:
			if depth--; depth == 0 {
				return i + 1
			}
		case c == '(' && s[0] == '(':
			depth++
		}
	}
	return 0
}
