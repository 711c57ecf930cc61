package meta

import "slices"

type operation uint8

const (
	constant operation = iota
	name
	not
	and
	or
	count
)

// node is a condition that holds or does not.
type node struct {
	op      operation
	yes     bool // of a constant
	use     Use
	missing bool
	max     int // how often a name may count
	min     int // of a count
	subs    []node
}

func truth(yes bool) node { return node{op: constant, yes: yes} }

func negate(n node) node {
	switch n.op {
	case constant:
		return truth(!n.yes)
	case not:
		return n.subs[0]
	}
	return node{op: not, subs: []node{n}}
}

// flat takes nodes of the same kind apart and leaves out those that are neutral; absorbing
// tells that one decides all.
func flat(op operation, subs []node, neutral bool) (out []node, absorbing bool) {
	for _, s := range subs {
		switch {
		case s.op == constant && s.yes != neutral:
			return nil, true
		case s.op == constant:
		case s.op == op:
			out = append(out, s.subs...)
		default:
			out = append(out, s)
		}
	}
	return out, false
}

func all(subs []node) node { return joined(and, subs, true) }

func some(subs []node) node { return joined(or, subs, false) }

func joined(op operation, subs []node, neutral bool) node {
	out, absorbing := flat(op, subs, neutral)
	switch {
	case absorbing:
		return truth(!neutral)
	case len(out) == 0:
		return truth(neutral)
	case len(out) == 1:
		return out[0]
	}
	return node{op: op, subs: out}
}

// atLeast holds when so many of the nodes do, one that stands there twice counting twice.
func atLeast(least int, subs []node) node {
	var rest []node
	for _, s := range subs {
		switch {
		case s.op != constant:
			rest = append(rest, s)
		case s.yes:
			least--
		}
	}
	switch {
	case least <= 0:
		return truth(true)
	case least > len(rest):
		return truth(false)
	case least == 1:
		return some(unique(rest))
	case least == len(rest):
		return all(unique(rest))
	}
	return node{op: count, min: least, subs: rest}
}

// unique leaves out names that stand there again.
func unique(subs []node) []node {
	var out []node
	for _, s := range subs {
		if s.op != name || !slices.ContainsFunc(out, func(o node) bool { return o.op == name && o.use == s.use }) {
			out = append(out, s)
		}
	}
	return out
}
