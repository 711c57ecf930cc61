// Package search reads what people search held mail for, and cuts text into the words under
// which it is found.
package search

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"
)

// Bounds on what of a subject can be searched.
const (
	maxTerms = 64
	maxTerm  = 64 // runes
)

// Term is one word to look for.
type Term struct {
	Text   string
	Prefix bool // any word that begins with Text
}

// Terms are the words under which a subject is found, folded: without case, accents and
// widths. Scripts without spaces are cut into pairs of characters, and the last character of
// a run stands alone, so that each character begins a term.
func Terms(subject string) []string {
	var out []string
	for _, run := range split(fold(subject)) {
		if !run.dense {
			out = append(out, cut(run.text))
			continue
		}
		for i := range run.text {
			out = append(out, string(run.text[i:min(i+2, len(run.text))]))
		}
	}
	out = out[:min(len(out), maxTerms)]
	slices.Sort(out)
	return slices.Compact(out)
}

// Wanted are the terms that must all be found for the words of a query.
func Wanted(words []string) []Term {
	var out []Term
	for _, w := range words {
		runs := split(fold(w))
		for i, run := range runs {
			last := i == len(runs)-1
			switch {
			case !run.dense:
				out = append(out, Term{Text: cut(run.text), Prefix: last && strings.HasSuffix(w, "*")})
			case len(run.text) == 1:
				out = append(out, Term{Text: string(run.text), Prefix: true})
			default:
				for j := range len(run.text) - 1 {
					out = append(out, Term{Text: string(run.text[j : j+2])})
				}
			}
		}
	}
	return out[:min(len(out), maxTerms)]
}

func cut(word []rune) string { return string(word[:min(len(word), maxTerm)]) }

// fold makes words that people take for the same the same. Text that cannot be folded is
// used as it is.
func fold(s string) string {
	t := transform.Chain(norm.NFKD, runes.Remove(runes.In(unicode.Mn)), cases.Fold(), norm.NFC)
	out, _, err := transform.String(t, strings.ToValidUTF8(s, " "))
	if err != nil {
		return strings.ToLower(s)
	}
	return out
}

type run struct {
	text  []rune
	dense bool // of a script that writes no spaces
}

// split cuts s into runs of letters and digits, and where a dense script begins or ends.
func split(s string) []run {
	var out []run
	open := false
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			open = false
			continue
		}
		dense := unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
		if !open || out[len(out)-1].dense != dense {
			out = append(out, run{dense: dense})
		}
		last := &out[len(out)-1]
		last.text = append(last.text, r)
		open = true
	}
	return out
}
