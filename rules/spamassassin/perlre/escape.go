package perlre

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"postern/rules/spamassassin/perlre/literal"
)

// classes are the escapes that stand for classes of characters: outside brackets, inside
// them, and outside them where nothing crosses lines.
var classes = map[byte][3]string{
	'd': {`\d`, `\d`, `\d`}, 'w': {`\w`, `\w`, `\w`}, 'S': {`\S`, `\S`, `\S`},
	's': {`\s`, `\s`, `[^\S\n]`}, 'D': {`\D`, `\D`, `[^\d\n]`}, 'W': {`\W`, `\W`, `[^\w\n]`},
	'h': {`[ \t]`, ` \t`, `[ \t]`}, 'H': {`[^ \t]`, "", `[^ \t\n]`}, 'N': {`[^\n]`, "", `[^\n]`},
	'v': {`[\n\v\f\r]`, `\n\v\f\r`, `[\v\f\r]`}, 'V': {`[^\n\v\f\r]`, "", `[^\n\v\f\r]`}, 'R': {`(?:\r\n|\n|\r)`, "", `\r`},
}

// points are the escapes of no width.
var points = map[byte]string{'b': `\b`, 'B': `\B`, 'A': `\A`, 'z': `\z`, 'Z': `\z`}

// letters are the escapes that stand for one character.
var letters = map[byte]string{'n': `\n`, 'r': `\r`, 't': `\t`, 'f': `\f`, 'a': `\x07`, 'e': `\x1b`}

// escape reads an escape outside brackets.
func (p *parser) escape() (n node, ok bool, err error) {
	if p.at+1 >= len(p.src) {
		return n, false, errors.New("ends with a backslash")
	}
	c := p.src[p.at+1]
	if text, known := points[c]; known && !strings.HasPrefix(p.src[p.at:], `\b{`) {
		p.at += 2
		if p.lines && (c == 'A' || c == 'z' || c == 'Z') {
			text = map[byte]string{'A': "(?m:^)", 'z': "(?m:$)", 'Z': "(?m:$)"}[c]
		}
		return node{kind: point, text: text}, true, nil
	}
	if text, known := classes[c]; known && !p.peek(`\N{`) {
		p.at += 2
		if p.lines {
			return node{text: text[2]}, true, nil
		}
		return node{text: text[0]}, true, nil
	}
	switch {
	case c == 'K':
		p.at += 2
		return n, false, nil
	case c == 'Q':
		return p.quoted()
	case c == 'E':
		p.at += 2
		return n, false, nil
	case c >= '1' && c <= '9' && !octal(p.src[p.at+1:]) || c == 'k' || c == 'g':
		return n, false, errBackReference
	case c == 'p' || c == 'P':
		n.text, err = p.property()
		return n, err == nil, err
	}
	if c == 'n' && p.crlf {
		p.at += 2
		return node{text: `(?:\r?\n)`}, true, nil
	}
	v, err := p.code()
	switch {
	case err != nil:
		return n, false, err
	case v.isByte:
		n = node{kind: octets, bytes: &set{}}
		n.bytes[v.r] = true
	default:
		n = node{text: literal.Quote(v.r), plain: true}
	}
	return n, true, nil
}

// octal tells that s begins with three octal digits: fewer refer to a group.
func octal(s string) bool {
	return len(s) > 2 && s[0] <= '3' && strings.Trim(s[:3], "01234567") == ""
}

// quoted reads \Q...\E.
func (p *parser) quoted() (n node, ok bool, err error) {
	text, _, _ := strings.Cut(p.src[p.at+2:], `\E`)
	p.at = min(p.at+2+len(text)+2, len(p.src))
	var seq []node
	for _, r := range text {
		seq = append(seq, node{text: literal.Quote(r), plain: true})
	}
	return node{kind: group, alts: [][]node{seq}}, true, nil
}

// property reads \pL and \p{Greek}.
func (p *parser) property() (string, error) {
	from := p.at
	p.at += 2
	if p.peek("{") {
		end := strings.IndexByte(p.src[p.at:], '}')
		if end < 0 {
			return "", errors.New(`\p{ without end`)
		}
		p.at += end
	}
	if p.at++; p.at > len(p.src) {
		return "", errors.New(`\p at the end`)
	}
	return p.src[from:p.at], nil
}

// value is one character, or a byte above 0x7f.
type value struct {
	r      rune
	isByte bool
}

// code reads an escape that stands for one character.
func (p *parser) code() (value, error) {
	c := p.src[p.at+1]
	p.at += 2
	switch {
	case c == 'x':
		return p.hex()
	case c >= '0' && c <= '7':
		from := p.at - 1
		for p.at < len(p.src) && p.at < from+3 && p.src[p.at] >= '0' && p.src[p.at] <= '7' {
			p.at++
		}
		v, _ := strconv.ParseUint(p.src[from:p.at], 8, 16)
		return value{r: rune(v), isByte: v >= utf8.RuneSelf && v < 256}, nil
	case letters[c] != "":
		return value{r: map[byte]rune{'n': '\n', 'r': '\r', 't': '\t', 'f': '\f', 'a': 7, 'e': 27}[c]}, nil
	case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		return value{}, fmt.Errorf(`\%c is not known`, c)
	case c >= utf8.RuneSelf:
		p.at--
		r, size := utf8.DecodeRuneInString(p.src[p.at:])
		p.at += size
		if r == utf8.RuneError {
			return value{}, errBytes
		}
		return value{r: r}, nil
	}
	return value{r: rune(c)}, nil
}

// hex reads what follows \x.
func (p *parser) hex() (value, error) {
	digits := ""
	if p.peek("{") {
		end := strings.IndexByte(p.src[p.at:], '}')
		if end < 0 {
			return value{}, errors.New(`\x{ without end`)
		}
		digits = strings.TrimSpace(p.src[p.at+1 : p.at+end])
		p.at += end + 1
		v, err := strconv.ParseUint(digits, 16, 32)
		if err != nil || v > utf8.MaxRune {
			return value{}, fmt.Errorf(`\x{%.10s} is no character`, digits)
		}
		return value{r: rune(v), isByte: v >= utf8.RuneSelf && v < 256}, nil
	}
	for p.at < len(p.src) && len(digits) < 2 && strings.IndexByte("0123456789abcdefABCDEF", p.src[p.at]) >= 0 {
		digits += string(p.src[p.at])
		p.at++
	}
	v, _ := strconv.ParseUint("0"+digits, 16, 8)
	return value{r: rune(v), isByte: v >= utf8.RuneSelf}, nil
}
