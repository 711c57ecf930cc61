// Package expr reads and evaluates the conditions of composite rules: names of symbols
// joined by and, or, not and parentheses. "not" binds tighter than "and", "and" tighter
// than "or".
package expr

import (
	"fmt"
	"slices"
)

// Limits of one condition.
const (
	MaxLength = 4096 // bytes
	maxDepth  = 100  // parentheses and nots inside each other
)

// Expr is a parsed condition.
type Expr struct{ root node }

// Error is what is wrong with a condition; Offset counts bytes from 0.
type Error struct {
	Offset  int
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("at character %d: %s", e.Offset+1, e.Message) }

// node is one operation: a name, or not, and, or over its operands.
type node struct {
	op   operation
	name string
	subs []node
}

type operation uint8

const (
	isName operation = iota
	isNot
	isAnd
	isOr
)

// Parse reads a condition. Every error is an *Error.
func Parse(source string) (Expr, error) {
	if len(source) > MaxLength {
		return Expr{}, &Error{MaxLength, fmt.Sprintf("longer than %d bytes", MaxLength)}
	}
	p := parser{source: source}
	p.advance()
	root, err := p.alternatives()
	if err == nil && p.word != "" {
		err = p.unexpected(`"and", "or" or the end`)
	}
	if err != nil {
		return Expr{}, err
	}
	return Expr{root}, nil
}

// Names are the symbols the condition mentions, sorted, each once.
func (e Expr) Names() []string {
	var names []string
	var walk func(node)
	walk = func(n node) {
		if n.op == isName && n.name != "" {
			names = append(names, n.name)
		}
		for _, sub := range n.subs {
			walk(sub)
		}
	}
	walk(e.root)
	slices.Sort(names)
	return slices.Compact(names)
}

// Eval evaluates the condition; has tells whether a symbol is there. The zero Expr is false.
func (e Expr) Eval(has func(symbol string) bool) bool { return e.root.eval(has) }

func (n node) eval(has func(string) bool) bool {
	switch n.op {
	case isNot:
		return !n.subs[0].eval(has)
	case isAnd:
		return !slices.ContainsFunc(n.subs, func(s node) bool { return !s.eval(has) })
	case isOr:
		return slices.ContainsFunc(n.subs, func(s node) bool { return s.eval(has) })
	default:
		return n.name != "" && has(n.name)
	}
}

// parser reads by recursive descent; word is the token ahead, "" at the end.
type parser struct {
	source   string
	word     string
	from, to int // where word stands
	depth    int
}

func (p *parser) advance() {
	i := p.to
	for i < len(p.source) && isSpace(p.source[i]) {
		i++
	}
	p.from = i
	switch {
	case i < len(p.source) && isNameByte(p.source[i]):
		for i < len(p.source) && isNameByte(p.source[i]) {
			i++
		}
	case i < len(p.source):
		i++
	}
	p.to = i
	p.word = p.source[p.from:p.to]
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func isNameByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

func (p *parser) unexpected(wanted string) error {
	if p.word == "" {
		return &Error{p.from, "ends where " + wanted + " was expected"}
	}
	return &Error{p.from, fmt.Sprintf("%q where %s was expected", p.word, wanted)}
}

func (p *parser) alternatives() (node, error) { return p.list(isOr, "or", p.conjunction) }

func (p *parser) conjunction() (node, error) { return p.list(isAnd, "and", p.operand) }

// list reads operands joined by one word.
func (p *parser) list(op operation, word string, operand func() (node, error)) (node, error) {
	first, err := operand()
	if err != nil || p.word != word {
		return first, err
	}
	n := node{op: op, subs: []node{first}}
	for p.word == word {
		p.advance()
		next, err := operand()
		if err != nil {
			return node{}, err
		}
		n.subs = append(n.subs, next)
	}
	return n, nil
}

func (p *parser) operand() (node, error) {
	if p.depth++; p.depth > maxDepth {
		return node{}, &Error{p.from, fmt.Sprintf("nested deeper than %d", maxDepth)}
	}
	defer func() { p.depth-- }()
	switch {
	case p.word == "not":
		p.advance()
		sub, err := p.operand()
		return node{op: isNot, subs: []node{sub}}, err
	case p.word == "(":
		p.advance()
		sub, err := p.alternatives()
		if err == nil && p.word != ")" {
			err = p.unexpected(`")"`)
		}
		p.advance()
		return sub, err
	case ValidName(p.word):
		name := p.word
		p.advance()
		return node{name: name}, nil
	default:
		return node{}, p.unexpected("a symbol")
	}
}

// MaxName is the longest name of a symbol in bytes.
const MaxName = 64

// ValidName reports whether s can name a symbol: capitals, digits and underscores, a
// capital first, 2 to MaxName bytes.
func ValidName(s string) bool {
	if len(s) < 2 || len(s) > MaxName || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}
