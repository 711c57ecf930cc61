package meta

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var word = regexp.MustCompile(`^\s*(&&|\|\||==|!=|<=|>=|[-+*/!()<>?:^|&,%]|[0-9]+(?:\.[0-9]+)?|\.[0-9]+|[A-Za-z_][A-Za-z0-9_]*)`)

// maxWords bounds a condition.
const maxWords = 2000

type parser struct {
	ask   func(string) Known
	words []string
	at    int
	depth int
}

func (p *parser) lex(source string) error {
	for strings.TrimSpace(source) != "" {
		m := word.FindStringSubmatch(source)
		if m == nil {
			return fmt.Errorf("%.20q is no condition", strings.TrimSpace(source))
		}
		if p.words = append(p.words, m[1]); len(p.words) > maxWords {
			return fmt.Errorf("longer than %d words", maxWords)
		}
		source = source[len(m[0]):]
	}
	return nil
}

func (p *parser) take(any ...string) string {
	if p.at < len(p.words) && slices.Contains(any, p.words[p.at]) {
		p.at++
		return p.words[p.at-1]
	}
	return ""
}

func (p *parser) either() (number, error) {
	return p.list(p.both, some, "||", "or")
}

func (p *parser) both() (number, error) {
	return p.list(p.compared, all, "&&", "and")
}

func (p *parser) list(operand func() (number, error), join func([]node) node, words ...string) (number, error) {
	v, err := operand()
	if err != nil || p.take(words...) == "" {
		return v, err
	}
	nodes := []node{v.truth()}
	for {
		v, err := operand()
		if err != nil {
			return v, err
		}
		nodes = append(nodes, v.truth())
		if p.take(words...) == "" {
			return counted(join(nodes)), nil
		}
	}
}

func (p *parser) compared() (number, error) {
	v, err := p.sum()
	for err == nil {
		op := p.take("==", "!=", "<", ">", "<=", ">=")
		if op == "" {
			return v, nil
		}
		var o number
		if o, err = p.sum(); err != nil {
			break
		}
		var n node
		n, err = compare(op, v.plus(o.times(-unit)))
		v = counted(n)
	}
	return v, err
}

// compare compares a difference with 0.
func compare(op string, diff number) (node, error) {
	switch op {
	case ">":
		return diff.atLeast(1)
	case ">=":
		return diff.atLeast(0)
	case "<":
		n, err := diff.atLeast(0)
		return negate(n), err
	case "<=":
		n, err := diff.atLeast(1)
		return negate(n), err
	}
	reached, err := diff.atLeast(0)
	if err != nil {
		return node{}, err
	}
	passed, err := diff.atLeast(1)
	equal := all([]node{reached, negate(passed)})
	if op == "!=" {
		equal = negate(equal)
	}
	return equal, err
}

func (p *parser) sum() (number, error) {
	v, err := p.factor()
	for err == nil {
		op := p.take("+", "-")
		if op == "" {
			return v, nil
		}
		var o number
		if o, err = p.factor(); op == "-" {
			o = o.times(-unit)
		}
		v = v.plus(o)
	}
	return v, err
}

func (p *parser) factor() (number, error) {
	v, err := p.single()
	for err == nil {
		op := p.take("*", "/")
		if op == "" {
			return v, nil
		}
		var o number
		if o, err = p.single(); err != nil {
			break
		}
		if op == "/" {
			if len(o.terms) > 0 || o.base == 0 {
				return v, errors.New("it divides by what is no number")
			}
			o = number{base: unit * unit / o.base}
		}
		v, err = v.product(o)
	}
	return v, err
}

func (p *parser) single() (number, error) {
	if p.depth++; p.depth > 60 {
		return number{}, errors.New("nested deeper than 60")
	}
	defer func() { p.depth-- }()
	switch {
	case p.take("!", "not") != "":
		v, err := p.single()
		return counted(negate(v.truth())), err
	case p.take("-") != "":
		v, err := p.single()
		return v.times(-unit), err
	case p.take("(") != "":
		v, err := p.either()
		if err == nil && p.take(")") == "" {
			err = errors.New("a parenthesis is not closed")
		}
		return v, err
	case p.at == len(p.words):
		return number{}, errors.New("it ends too early")
	}
	w := p.words[p.at]
	p.at++
	if f, err := strconv.ParseFloat(w, 64); err == nil && f < 1e6 {
		return number{base: int(f*unit + 0.5)}, nil
	}
	if w[0] != '_' && (w[0] < 'A' || w[0] > 'z') || w[0] == '^' {
		return number{}, fmt.Errorf("%q is not known", w)
	}
	if p.take("(") != "" {
		return number{}, fmt.Errorf("it calls %s", w)
	}
	k := p.ask(w)
	if k.State == Off {
		return number{}, nil
	}
	return counted(node{op: name, use: Use{w, 1}, max: k.Max, missing: k.State == Missing}), nil
}
