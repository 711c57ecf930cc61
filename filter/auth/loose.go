package auth

import (
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"postern/filter/auth/dmarc"
)

// loose are the domains of addresses in mailboxes without brackets: where there are more
// than one, each reader takes another. Quotes, comments and what stands before a bracket
// are names, no addresses.
func loose(field string) []string {
	var out []string
	var text strings.Builder
	bracket, inside := false, false // a bracket holds an address; this is inside one
	var pairs pairs
	end := func() {
		if !bracket {
			out = append(out, domainsIn(text.String())...)
		}
		text.Reset()
		bracket, inside = false, false
	}
	for i := 0; i < len(field); {
		switch c := field[i]; c {
		case '"':
			if n := pairs.quote(field[i:]); n > 0 {
				i += n
				continue
			}
			text.WriteByte(' ')
		case '(':
			text.WriteByte(' ')
			if n := pairs.comment(field[i:]); n > 0 {
				i += n
				continue
			}
		case '<':
			text.WriteByte(' ')
			inside = true
		case ',', ';', ':':
			end()
		default:
			bracket = bracket || inside && c == '@'
			inside = inside && c != '>'
			text.WriteByte(c)
		}
		i++
	}
	end()
	return out
}

func isBlank(r rune) bool { return r <= ' ' || r == 0x7f }

// domainsIn reads wide and composed forms as what they look like.
func domainsIn(text string) []string {
	var out []string
	text = norm.NFKC.String(text)
	text = strings.Join(strings.FieldsFunc(text, isBlank), " ")
	text = strings.NewReplacer(" @ ", "@", " @", "@", "@ ", "@").Replace(text)
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return isBlank(r) || r == '>' }) {
		for i, piece := range strings.Split(word, "@") {
			if len(out) > MaxAuthors {
				return out
			}
			if d, ok := dmarc.Name(piece); i > 0 && ok && strings.Contains(d, ".") && !slices.Contains(out, d) {
				out = append(out, d)
			}
		}
	}
	return out
}

// openMost is how many quotes and comments without an end are looked for in one text. Those
// behind them are read as plain text, which hides no address.
const openMost = 16

// pairs finds the ends of quotes and comments in one text, in linear time.
type pairs struct{ open int }

// quote is the offset behind the quoted string s begins with, or 0.
func (p *pairs) quote(s string) int { return p.end(s, closingQuote) }

// comment is the offset behind the comment s begins with, or 0.
func (p *pairs) comment(s string) int { return p.end(s, closingParenthesis) }

func (p *pairs) end(s string, closing func(string) int) int {
	if p.open >= openMost {
		return 0
	}
	n := closing(s)
	if n == 0 {
		p.open++
	}
	return n
}

// closingParenthesis is the offset behind the comment s begins with, or 0.
func closingParenthesis(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}
