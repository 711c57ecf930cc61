package perlre

import (
	"errors"
	"strings"
	"unicode/utf8"

	"postern/rules/spamassassin/perlre/literal"
)

// brackets is a class while it is read.
type brackets struct {
	not   bool
	text  strings.Builder
	bytes set
	high  bool // it names bytes above 0x7f
	ascii bool // it names others
}

// class reads a class in brackets.
func (p *parser) class() (node, error) {
	p.at++
	var b brackets
	if p.peek("^") {
		p.at++
		b.not = true
	}
	for first := true; ; first = false {
		switch {
		case p.at >= len(p.src):
			return node{}, errors.New("missing closing ]")
		case p.src[p.at] == ']' && !first:
			p.at++
			return b.node(p)
		}
		if err := p.member(&b); err != nil {
			return node{}, err
		}
	}
}

// member reads one member of a class: a named class, a character or a range.
func (p *parser) member(b *brackets) error {
	if p.peek("[:") {
		if end := strings.Index(p.src[p.at:], ":]"); end > 0 {
			b.text.WriteString(p.src[p.at : p.at+end+2])
			p.at += end + 2
			b.ascii = true
			return nil
		}
	}
	if p.src[p.at] == '\\' && p.at+1 < len(p.src) {
		c := p.src[p.at+1]
		if text, known := classes[c]; known && text[1] != "" {
			p.at += 2
			if c == 's' && p.lines && !b.not {
				text[1] = `\t\v\f\r `
			}
			b.text.WriteString(text[1])
			b.ascii = true
			return nil
		}
		if c == 'p' || c == 'P' {
			text, err := p.property()
			b.text.WriteString(text)
			b.ascii = true
			return err
		}
	}
	from, err := p.one()
	if err != nil {
		return err
	}
	to := from
	if p.peek("-") && p.at+1 < len(p.src) && p.src[p.at+1] != ']' && !p.named(p.at+1) {
		p.at++
		if to, err = p.one(); err != nil {
			return err
		}
	}
	return b.add(from, to)
}

// named tells that a class of characters stands at i, so that a dash before it is a dash.
func (p *parser) named(i int) bool {
	return i+1 < len(p.src) && p.src[i] == '\\' && classes[p.src[i+1]][1] != ""
}

// one reads one character of a class.
func (p *parser) one() (value, error) {
	c := p.src[p.at]
	switch {
	case c == '\\' && p.at+1 < len(p.src):
		if p.src[p.at+1] == 'b' {
			p.at += 2
			return value{r: 8}, nil
		}
		return p.code()
	case c >= utf8.RuneSelf:
		r, size := utf8.DecodeRuneInString(p.src[p.at:])
		p.at += size
		if r == utf8.RuneError {
			return value{}, errBytes
		}
		return value{r: r}, nil
	}
	p.at++
	return value{r: rune(c)}, nil
}

func (b *brackets) add(from, to value) error {
	if from.r > to.r {
		return errors.New("invalid character class range")
	}
	if to.isByte {
		if low := min(to.r, utf8.RuneSelf-1); !from.isByte {
			b.text.WriteString(literal.Quote(from.r) + "-" + literal.Quote(low))
			b.ascii = true
		}
		b.high = true
		for r := max(from.r, utf8.RuneSelf); r <= to.r; r++ {
			b.bytes[r] = true
		}
		return nil
	}
	b.ascii = true
	b.text.WriteString(literal.Quote(from.r))
	if to.r > from.r {
		b.text.WriteString("-" + literal.Quote(to.r))
	}
	return nil
}

// node is the class as it is written in RE2's syntax.
func (b *brackets) node(p *parser) (node, error) {
	every := true
	for c := utf8.RuneSelf; c < 256; c++ {
		every = every && b.bytes[c]
	}
	if b.high {
		switch {
		case every:
			b.text.WriteString(`\x{80}-\x{10ffff}`)
			p.note("a byte above 0x7f is any character outside ASCII")
		case b.not || b.ascii:
			p.note("bytes above 0x7f in a class with others are left out")
		default:
			return node{kind: octets, bytes: &b.bytes}, nil
		}
	}
	open := "["
	if b.not {
		open = "[^"
		if p.lines {
			open = `[^\n`
		}
	}
	return node{text: open + b.text.String() + "]"}, nil
}
