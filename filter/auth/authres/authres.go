// Package authres reads Authentication-Results fields (RFC 8601), and what stands behind the
// instance of ARC-Authentication-Results (RFC 8617 section 4.1.1), strictly enough to know
// whose they are and what they say. Writing them is the work of internal/stamp.
package authres

import (
	"errors"
	"strings"

	"postern/filter"
)

// Field is a parsed Authentication-Results field.
type Field struct {
	ID      string // authserv-id, unquoted, comments removed
	Version string // "" = 1
	Results []filter.AuthResult
}

// Bounds on a field; more is no honest field.
const (
	maxField   = 64 << 10
	maxResults = 100
	maxDepth   = 20
)

// Errors of Parse.
var (
	ErrSyntax   = errors.New("no Authentication-Results syntax")
	ErrTooLarge = errors.New("an Authentication-Results field of no honest size")
)

// Parse reads a field's value, folded or not. Beside an error stands what was read before
// it; the ID is set if it could be read.
func Parse(value string) (Field, error) {
	var f Field
	if len(value) > maxField {
		return f, ErrTooLarge
	}
	tokens, err := scan(value)
	p := &parser{tokens: tokens}
	id, ok := p.value()
	if !ok {
		return f, ErrSyntax
	}
	f.ID = id
	if v, ok := p.value(); ok {
		f.Version = v
	}
	if err != nil {
		return f, err
	}
	for p.take(";") {
		if len(f.Results) == maxResults {
			return f, ErrTooLarge
		}
		r, none, ok := p.result()
		if !ok {
			return f, ErrSyntax
		}
		if !none {
			f.Results = append(f.Results, r)
		}
	}
	if len(p.tokens) > 0 {
		return f, ErrSyntax
	}
	return f, nil
}

// token is a word, a quoted string, or one of ; = / .
type token struct {
	text    string
	special bool // ; = or /
	glued   bool // no blank or comment before it
}

// scan cuts a value into tokens; blanks and comments only separate. An error comes beside
// the tokens before it.
func scan(s string) ([]token, error) {
	var out []token
	glued := false
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			i++
			glued = false
		case c == '(':
			n, ok := comment(s[i:])
			if !ok {
				return out, ErrSyntax
			}
			i += n
			glued = false
		case c == '"':
			text, n, ok := quoted(s[i:])
			if !ok {
				return out, ErrSyntax
			}
			out = append(out, token{text: text, glued: glued})
			i += n
			glued = true
		case c == ';' || c == '=' || c == '/':
			out = append(out, token{text: s[i : i+1], special: true, glued: glued})
			i++
			glued = true
		case c < ' ' || c == 0x7f:
			return out, ErrSyntax
		default:
			n := strings.IndexFunc(s[i:], func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`();="/`, r) })
			if n < 0 {
				n = len(s) - i
			}
			if n == 0 { // a lone ")"
				return out, ErrSyntax
			}
			out = append(out, token{text: s[i : i+n], glued: glued})
			i += n
			glued = true
		}
	}
	return out, nil
}

// comment is the length of the comment s begins with.
func comment(s string) (int, bool) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			if depth++; depth > maxDepth {
				return 0, false
			}
		case ')':
			if depth--; depth == 0 {
				return i + 1, true
			}
		}
	}
	return 0, false
}

func quoted(s string) (text string, n int, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
		case '"':
			return b.String(), i + 1, true
		default:
			b.WriteByte(s[i])
		}
	}
	return "", 0, false
}

type parser struct{ tokens []token }

func (p *parser) take(special string) bool {
	if len(p.tokens) > 0 && p.tokens[0].special && p.tokens[0].text == special {
		p.tokens = p.tokens[1:]
		return true
	}
	return false
}

// value takes one word or quoted string.
func (p *parser) value() (string, bool) {
	if len(p.tokens) == 0 || p.tokens[0].special {
		return "", false
	}
	v := p.tokens[0].text
	p.tokens = p.tokens[1:]
	return v, true
}

// result reads resinfo, or "none", or nothing behind a final semicolon.
func (p *parser) result() (r filter.AuthResult, none, ok bool) {
	if len(p.tokens) == 0 {
		return r, true, true
	}
	method, ok := p.value()
	if !ok {
		return r, false, false
	}
	if strings.EqualFold(method, "none") && (len(p.tokens) == 0 || p.tokens[0].special && p.tokens[0].text == ";") {
		return r, true, true
	}
	if p.take("/") {
		if _, ok := p.value(); !ok { // the method's version
			return r, false, false
		}
	}
	if !p.take("=") {
		return r, false, false
	}
	result, ok := p.value()
	if !ok {
		return r, false, false
	}
	r.Method, r.Result = strings.ToLower(method), strings.ToLower(result)
	for len(p.tokens) > 0 && !p.tokens[0].special {
		name, _ := p.value()
		if !p.take("=") {
			return r, false, false
		}
		v, ok := p.pvalue()
		if !ok {
			return r, false, false
		}
		ptype, prop, dotted := strings.Cut(name, ".")
		switch {
		case strings.EqualFold(name, "reason"):
			r.Reason = v
		case !dotted: // action=none and the like of large providers: no property, no harm
		default:
			r.Props = append(r.Props, filter.AuthProp{Type: strings.ToLower(ptype), Name: strings.ToLower(prop), Value: v})
		}
	}
	return r, false, true
}

// pvalue is a value that may be an address whose local part is quoted, or hold = and / as
// base64 does: all that stands together.
func (p *parser) pvalue() (string, bool) {
	var b strings.Builder
	n := 0
	for n < len(p.tokens) && (n == 0 || p.tokens[n].glued) {
		if t := p.tokens[n]; t.special && t.text == ";" {
			break
		}
		b.WriteString(p.tokens[n].text)
		n++
	}
	p.tokens = p.tokens[n:]
	return b.String(), n > 0
}
