// Package expr reads and evaluates the conditions of composite rules: names of symbols
// joined by and, or, not and parentheses. "not" binds tighter than "and", "and" tighter
// than "or". "2 of (A, B and C, D)" holds when at least so many of the list do.
package expr

import (
	"slices"
	"strconv"

	"postern/internal/said"
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
	Message said.Words
}

func (e *Error) Error() string { return e.Said().English }

// Said implements said.Sayer.
func (e *Error) Said() said.Words {
	return said.Say("when.at", "at character %d: %s", "at", e.Offset+1, "what", e.Message)
}

// node is one operation: a name, or not, and, or, a count over its operands.
type node struct {
	op   operation
	name string
	min  int // of a count
	subs []node
}

type operation uint8

const (
	isName operation = iota
	isNot
	isAnd
	isOr
	isCount
)

// Parse reads a condition. Every error is an *Error.
func Parse(source string) (Expr, error) {
	if len(source) > MaxLength {
		return Expr{}, &Error{MaxLength, said.Say("when.long", "longer than %d bytes", "most", MaxLength)}
	}
	p := parser{source: source}
	p.advance()
	root, err := p.alternatives()
	if err == nil && p.word != "" {
		err = p.unexpected(said.Say("when.and-or-end", `"and", "or" or the end`))
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
	case isCount:
		return n.count(has)
	default:
		return n.name != "" && has(n.name)
	}
}

func (n node) count(has func(string) bool) bool {
	left := n.min
	for i, s := range n.subs {
		if s.eval(has) {
			left--
		}
		if left == 0 || left > len(n.subs)-i-1 {
			break
		}
	}
	return left == 0
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

func (p *parser) unexpected(wanted said.Words) error {
	if p.word == "" {
		return &Error{p.from, said.Say("when.ends", "ends where %s was expected", "wanted", wanted)}
	}
	return &Error{p.from, said.Say("when.unexpected", "%q where %s was expected", "word", p.word, "wanted", wanted)}
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
		return node{}, &Error{p.from, said.Say("when.deep", "nested deeper than %d", "most", maxDepth)}
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
			err = p.unexpected(said.Words{English: `")"`})
		}
		p.advance()
		return sub, err
	case p.word != "" && p.word[0] >= '0' && p.word[0] <= '9':
		return p.counted()
	case ValidName(p.word):
		name := p.word
		p.advance()
		return node{name: name}, nil
	default:
		return node{}, p.unexpected(said.Say("when.a-symbol", "a symbol"))
	}
}

// counted reads "2 of (A, B, C)".
func (p *parser) counted() (node, error) {
	at, word := p.from, p.word
	p.advance()
	if p.word != "of" {
		return node{}, p.unexpected(said.Words{English: `"of"`})
	}
	if p.advance(); p.word != "(" {
		return node{}, p.unexpected(said.Words{English: `"("`})
	}
	n := node{op: isCount}
	for more := true; more; more = p.word == "," {
		p.advance()
		sub, err := p.alternatives()
		if err != nil {
			return node{}, err
		}
		n.subs = append(n.subs, sub)
	}
	if p.word != ")" {
		return node{}, p.unexpected(said.Say("when.comma-or-end", `"," or ")"`))
	}
	p.advance()
	var err error
	if n.min, err = strconv.Atoi(word); err != nil || n.min < 1 || n.min > len(n.subs) {
		return node{}, &Error{at, said.Say("when.count", "%s of %d: expected 1 to %d", "word", word, "of", len(n.subs), "most", len(n.subs))}
	}
	return n, nil
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
