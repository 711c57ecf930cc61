// Package terms tells by which words of a text a case is found.
package terms

import (
	"slices"
	"strings"
	"unicode"
)

// Bounds of the words that a case is found by; with its other keys they fit into a record.
const (
	maxTerms = 30
	maxTerm  = 64 // octets
)

// Of are the words of a text, each once, in the order in which they come: runs of letters and
// digits. Those of an address are several.
func Of(text string) []string {
	var out []string
	for w := range strings.FieldsFuncSeq(strings.ToLower(strings.ToValidUTF8(text, " ")), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if len(w) > maxTerm {
			w = strings.ToValidUTF8(w[:maxTerm], "")
		}
		if w != "" && !slices.Contains(out, w) {
			if out = append(out, w); len(out) == maxTerms {
				break
			}
		}
	}
	return out
}

// Rarest is the word of a search under which fewest cases should stand: one with a digit, else the
// longest. It depends on the words alone, so that each page of a search asks for the same.
func Rarest(text string) string {
	best, rank := "", -1
	for _, w := range Of(text) {
		n := len(w)
		if strings.ContainsFunc(w, unicode.IsDigit) && n > 2 {
			n += 2 * maxTerm
		}
		if n > rank {
			best, rank = w, n
		}
	}
	return best
}
