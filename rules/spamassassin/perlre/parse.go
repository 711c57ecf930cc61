package perlre

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"postern/rules/spamassassin/perlre/literal"
)

// What RE2 cannot do.
var (
	errBackReference = errors.New("it refers back to what it matched")
	errLook          = errors.New("it looks ahead or behind in its midst")
	errRecursion     = errors.New("it calls itself or asks a condition")
	errBytes         = errors.New("it asks for bytes that make no character")
	errTemplate      = errors.New("it asks for what another rule captured")
)

type parser struct {
	src      string
	at       int
	lines    bool
	crlf     bool
	extended bool // blanks and comments mean nothing
	notes    []string
}

func (p *parser) note(s string) { p.notes = append(p.notes, s) }

func (p *parser) peek(s string) bool { return strings.HasPrefix(p.src[p.at:], s) }

// alternatives reads up to a closing parenthesis or the end.
func (p *parser) alternatives(depth int) ([][]node, error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("groups deeper than %d", MaxDepth)
	}
	alts := [][]node{nil}
	for p.at < len(p.src) && p.src[p.at] != ')' {
		last := len(alts) - 1
		if p.src[p.at] == '|' {
			p.at++
			alts = append(alts, nil)
			continue
		}
		n, ok, err := p.element(depth)
		if err != nil {
			return nil, err
		}
		if ok {
			if n.repeat, err = p.quantifier(n); err != nil {
				return nil, err
			}
			alts[last] = append(alts[last], n)
		}
	}
	return p.possible(alts)
}

// element reads one; ok is false for what means nothing.
func (p *parser) element(depth int) (n node, ok bool, err error) {
	c := p.src[p.at]
	switch {
	case p.extended && strings.IndexByte(" \t\r\n\f", c) >= 0:
		p.at++
		return n, false, nil
	case p.extended && c == '#':
		for p.at < len(p.src) && p.src[p.at] != '\n' {
			p.at++
		}
		return n, false, nil
	case c == '(':
		return p.group(depth)
	case c == '[':
		n, err = p.class()
	case c == '\\':
		return p.escape()
	case c == '%' && strings.HasPrefix(p.src[p.at:], "%{") && template(p.src[p.at+2:]):
		return n, false, errTemplate
	case c == '.':
		p.at++
		n = node{text: "."}
		if p.lines {
			n.text = `[^\n]`
		}
	case c == '^' || c == '$':
		p.at++
		n = node{kind: point, text: string(c)}
		if p.lines {
			n.text = "(?m:" + n.text + ")"
		}
	case c >= utf8.RuneSelf:
		r, size := utf8.DecodeRuneInString(p.src[p.at:])
		p.at += size
		if r == utf8.RuneError {
			return n, false, errBytes
		}
		n = node{text: literal.Quote(r), plain: true}
	case strings.IndexByte("*+?", c) >= 0:
		return n, false, fmt.Errorf("%q has nothing before it", c)
	case c == '{' || c == '}' || c == ']' || c < ' ':
		p.at++
		n = node{text: literal.Quote(rune(c)), plain: true}
	default:
		p.at++
		n = node{text: string(c), plain: true}
	}
	return n, err == nil, err
}

// template tells that s goes on as %{NAME} does.
func template(s string) bool {
	i := 0
	for i < len(s) && (s[i] == '_' || s[i] >= 'A' && s[i] <= 'Z' || s[i] >= 'a' && s[i] <= 'z' || i > 0 && s[i] >= '0' && s[i] <= '9') {
		i++
	}
	return i > 0 && i < len(s) && s[i] == '}'
}

// quantifier reads the one that follows n, "" if none.
func (p *parser) quantifier(n node) (string, error) {
	q := p.count()
	if q == "" {
		return "", nil
	}
	switch {
	case p.peek("+"):
		p.at++
		p.note("a possessive quantifier is an ordinary one")
	case p.peek("?"):
		p.at++
		q += "?"
	}
	switch n.kind {
	case look:
		return "", errLook
	case point:
		if strings.HasPrefix(q, "?") || strings.HasPrefix(q, "*") {
			return q, nil
		}
		return "", nil
	}
	return q, nil
}

func (p *parser) count() string {
	if p.at >= len(p.src) {
		return ""
	}
	switch c := p.src[p.at]; c {
	case '*', '+', '?':
		p.at++
		return string(c)
	case '{':
		end := strings.IndexByte(p.src[p.at:], '}')
		if end < 0 {
			return ""
		}
		from, to, ranged := strings.Cut(strings.ReplaceAll(p.src[p.at+1:p.at+end], " ", ""), ",")
		if from == "" && ranged {
			from = "0"
		}
		if !number(from) || ranged && to != "" && !number(to) {
			return ""
		}
		p.at += end + 1
		if ranged {
			return "{" + from + "," + to + "}"
		}
		return "{" + from + "}"
	}
	return ""
}

func number(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

// group reads what begins with a parenthesis.
func (p *parser) group(depth int) (n node, ok bool, err error) {
	n.kind = group
	extended := p.extended
	switch {
	case !p.peek("(?"):
		p.at++
		if p.peek("*") {
			return n, false, errRecursion
		}
	case p.peek("(?#"):
		end := strings.IndexByte(p.src[p.at:], ')')
		if end < 0 {
			return n, false, errors.New("a comment without end")
		}
		p.at += end + 1
		return n, false, nil
	default:
		p.at += 2
		done, err := p.prefix(&n)
		if done || err != nil {
			return n, n.text != "", err
		}
	}
	if n.alts, err = p.alternatives(depth + 1); err != nil {
		return n, false, err
	}
	if p.at >= len(p.src) {
		return n, false, errors.New("an unmatched (")
	}
	p.at++
	p.extended = extended
	return n, true, nil
}

// prefix reads what stands between (? and the content; done tells that there is none.
func (p *parser) prefix(n *node) (done bool, err error) {
	for _, l := range []struct {
		sign        string
		behind, not bool
	}{{"<=", true, false}, {"<!", true, true}, {"=", false, false}, {"!", false, true}} {
		if p.peek(l.sign) {
			p.at += len(l.sign)
			n.kind, n.behind, n.not = look, l.behind, l.not
			return false, nil
		}
	}
	switch {
	case p.peek(">"):
		p.at++
		p.note("an atomic group is an ordinary one")
		return false, nil
	case p.peek("|"):
		p.at++
		return false, nil
	case p.peek("<"), p.peek("P<"), p.peek("'"):
		end := strings.IndexAny(p.src[p.at+2:], ">'")
		if end < 0 {
			return false, errors.New("a name of a group without end")
		}
		p.at += 2 + end + 1
		return false, nil
	}
	return p.inlineFlags(n)
}

// inlineFlags reads (?i) and (?i-s:.
func (p *parser) inlineFlags(n *node) (done bool, err error) {
	from, off := p.at, false
	for ; p.at < len(p.src); p.at++ {
		switch c := p.src[p.at]; c {
		case 'i', 'm', 's':
			if !p.lines || c == 'i' || c == '-' {
				n.flags += string(c)
			}
		case '-':
			off = true
			n.flags += "-"
		case '^':
			n.flags += "-i"
			off = false
		case 'x':
			p.extended = !off
		case 'a', 'u', 'l', 'n', 'p':
		case ':', ')':
			p.at++
			n.flags = strings.TrimSuffix(n.flags, "-")
			if c == ':' {
				return false, nil
			}
			if n.flags != "" {
				n.kind, n.text = point, "(?"+n.flags+")"
			}
			return true, nil
		default:
			if c == '(' || c == 'R' || c == '&' || c == '+' || c >= '0' && c <= '9' || c == 'P' {
				return false, errRecursion
			}
			return false, fmt.Errorf("(?%.10s is not known", p.src[from:])
		}
	}
	return false, errors.New("an unmatched (")
}
