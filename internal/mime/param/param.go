// Package param reads values with parameters (RFC 2045 section 5.1, RFC 2231), such as
// Content-Type, in every way a mail program may read them.
package param

import (
	"slices"
	"strings"
)

// Odd is a set of things that are wrong with a value.
type Odd uint8

// What can be wrong.
const (
	Comment   Odd = 1 << iota // a comment in parentheses
	OpenQuote                 // a quoted string without an end
	NoSep                     // a parameter without ";" before it, or junk behind a value
	Twice                     // a parameter given more than once, differently
	Extended                  // RFC 2231 is in use, which not everyone reads
	Escaped                   // backslashes, encoded words, single quotes, bytes a token cannot have
	Many                      // more parameters than are read
)

// Value is one parsed value in the reading of the standards.
type Value struct {
	Main   string            // lower-case, before the first parameter
	Params map[string]string // names in lower case, the first of a name, RFC 2231 undone
	Odd    Odd
	raw    string
}

// maxParams bounds one value.
const maxParams = 200

// Parse reads a raw, unfolded value.
func Parse(raw string) Value {
	p := parser{s: raw}
	v := Value{Main: strings.ToLower(p.main()), raw: raw}
	var ext []segment
	for n := 0; p.i < len(p.s) && n < maxParams; {
		name, value, ok := p.param()
		if !ok {
			continue
		}
		n++
		if base, seg, isExt := extended(name, value); isExt {
			p.odd |= Extended
			seg.name = base
			ext = append(ext, seg)
			continue
		}
		if v.Params == nil {
			v.Params = make(map[string]string, 4)
		}
		if old, have := v.Params[name]; have {
			if old != value {
				p.odd |= Twice
			}
			continue
		}
		v.Params[name] = value
	}
	if p.i < len(p.s) {
		p.odd |= Many
	}
	v.Odd = p.odd
	if len(ext) > 0 {
		v.join(ext)
	}
	return v
}

// join adds the extended parameters, which win over plain ones (RFC 2231 section 4).
func (v *Value) join(ext []segment) {
	if v.Params == nil {
		v.Params = make(map[string]string, 4)
	}
	var names []string
	for _, s := range ext {
		if !slices.Contains(names, s.name) {
			names = append(names, s.name)
		}
	}
	for _, name := range names {
		var own []segment
		for _, s := range ext {
			if s.name == name {
				own = append(own, s)
			}
		}
		slices.SortStableFunc(own, func(a, b segment) int { return a.n - b.n })
		value := assemble(own)
		if old, have := v.Params[name]; have && old != value {
			v.Odd |= Twice
		}
		v.Params[name] = value
	}
}

type parser struct {
	s   string
	i   int
	odd Odd
}

// main reads up to the first ";", or to the first blank that a "name=" follows.
func (p *parser) main() string {
	var sb strings.Builder
	for p.i < len(p.s) {
		switch c := p.s[p.i]; c {
		case ';', ',':
			p.i++
			return strings.Trim(sb.String(), " \t\r\n\"'")
		case '(':
			p.comment()
		case ' ', '\t':
			if sb.Len() > 0 && p.paramAhead() {
				p.odd |= NoSep
				return strings.Trim(sb.String(), " \t\r\n\"'")
			}
			sb.WriteByte(c)
			p.i++
		default:
			sb.WriteByte(c)
			p.i++
		}
	}
	return strings.Trim(sb.String(), " \t\r\n\"'")
}

// paramAhead reports whether the next word is "name=".
func (p *parser) paramAhead() bool {
	j := p.i
	for j < len(p.s) && (p.s[j] == ' ' || p.s[j] == '\t') {
		j++
	}
	start := j
	for j < len(p.s) && j-start < 64 && (isAlnum(p.s[j]) || p.s[j] == '-' || p.s[j] == '*') {
		j++
	}
	return j > start && j < len(p.s) && p.s[j] == '='
}

// comment skips a nested comment in linear time.
func (p *parser) comment() {
	p.odd |= Comment
	depth := 0
	for ; p.i < len(p.s); p.i++ {
		switch p.s[p.i] {
		case '\\':
			p.i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				p.i++
				return
			}
		}
	}
	p.i = len(p.s)
}

// param reads one "name=value"; ok is false for junk, which is skipped.
func (p *parser) param() (name, value string, ok bool) {
	var sb strings.Builder
	for p.i < len(p.s) {
		switch c := p.s[p.i]; c {
		case '=':
			p.i++
			name = strings.ToLower(sb.String())
			return name, p.value(), name != ""
		case ';':
			p.i++
			if sb.Len() > 0 {
				p.odd |= NoSep
			}
			return "", "", false
		case '(':
			p.comment()
		case ' ', '\t', '\r', '\n':
			p.i++
		default:
			sb.WriteByte(c)
			p.i++
		}
	}
	if sb.Len() > 0 {
		p.odd |= NoSep
	}
	return "", "", false
}

func (p *parser) value() string {
	for p.i < len(p.s) && (p.s[p.i] == ' ' || p.s[p.i] == '\t') {
		p.i++
	}
	if p.i < len(p.s) && p.s[p.i] == '"' {
		return p.quoted()
	}
	var sb strings.Builder
loop:
	for p.i < len(p.s) {
		switch c := p.s[p.i]; c {
		case ';':
			break loop
		case '(':
			p.comment()
		case ' ', '\t':
			if p.paramAhead() {
				p.odd |= NoSep
				break loop
			}
			sb.WriteByte(c)
			p.i++
		default:
			if c == '"' || c == '\\' || c == '\'' || c == '%' || c >= 0x80 || c < ' ' {
				p.odd |= Escaped
			}
			sb.WriteByte(c)
			p.i++
		}
	}
	v := strings.Trim(sb.String(), " \t\r\n")
	if strings.Contains(v, "=?") || strings.ContainsAny(v, " \t") {
		p.odd |= Escaped
	}
	return v
}

// quoted reads a quoted string and sees to what stands behind it.
func (p *parser) quoted() string {
	p.i++
	start := p.i
	for p.i < len(p.s) && p.s[p.i] != '"' && p.s[p.i] != '\\' {
		p.i++
	}
	v := p.s[start:p.i]
	if p.i < len(p.s) && p.s[p.i] == '\\' {
		p.odd |= Escaped
		var sb strings.Builder
		sb.WriteString(v)
		for p.i < len(p.s) && p.s[p.i] != '"' {
			if p.s[p.i] == '\\' && p.i+1 < len(p.s) {
				p.i++
			}
			sb.WriteByte(p.s[p.i])
			p.i++
		}
		v = sb.String()
	}
	if strings.Contains(v, "=?") {
		p.odd |= Escaped
	}
	if p.i >= len(p.s) {
		p.odd |= OpenQuote
		return v
	}
	p.i++
	for p.i < len(p.s) && (p.s[p.i] == ' ' || p.s[p.i] == '\t') {
		p.i++
	}
	if p.i < len(p.s) && p.s[p.i] != ';' {
		p.odd |= NoSep
		if p.s[p.i] == '(' {
			p.comment()
		}
	}
	return v
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
