// Package meta reads the conditions of SpamAssassin's meta rules, which count as well as
// combine, and writes them as conditions of composites.
package meta

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Known is what a name in a condition stands for.
type Known struct {
	State State
	Max   int // how often it may count; 1 or less = once
}

// State says whether a rule is there.
type State uint8

// The states.
const (
	Off     State = iota // it never fires
	Taken                // it fires as the original does
	Missing              // the original fires, ours cannot tell
)

// Use is a rule as a condition uses it: counted at least so many times, 1 = fired.
type Use struct {
	Rule  string
	Times int
}

// Result is a condition that could be turned.
type Result struct {
	Missing []string // rules taken as not fired because they could not be taken
	Uses    []Use    // what Write will name, sorted
	root    node
}

// ErrNever is the error of a condition that no message meets.
var ErrNever = errors.New("it never fires without what could not be taken or is off")

// ErrAlways is the error of one that all meet.
var ErrAlways = errors.New("it fires on every message without what could not be taken or is off")

// Parse reads a condition; ask says what a name stands for. The error says in plain words
// why it cannot be turned.
func Parse(source string, ask func(name string) Known) (*Result, error) {
	p := &parser{ask: ask}
	if err := p.lex(source); err != nil {
		return nil, err
	}
	v, err := p.either()
	if err == nil && p.at < len(p.words) {
		err = fmt.Errorf("%q was not expected", p.words[p.at])
	}
	if err != nil {
		return nil, err
	}
	r := &Result{}
	root, err := r.settle(v.truth(), false)
	switch {
	case err != nil:
		return nil, err
	case root.op == constant && !root.yes:
		return nil, ErrNever
	case root.op == constant:
		return nil, ErrAlways
	}
	r.root = root
	r.collect(root)
	slices.Sort(r.Missing)
	r.Missing = slices.Compact(r.Missing)
	slices.SortFunc(r.Uses, func(a, b Use) int {
		if c := strings.Compare(a.Rule, b.Rule); c != 0 {
			return c
		}
		return a.Times - b.Times
	})
	r.Uses = slices.Compact(r.Uses)
	return r, nil
}

// settle takes missing rules as not fired, where that makes the condition fire less often;
// below a "not" it would fire more often, and is refused.
func (r *Result) settle(n node, negated bool) (node, error) {
	switch n.op {
	case name:
		if n.missing {
			if negated {
				return n, fmt.Errorf("it would fire more often than it should: %s could not be taken", n.use.Rule)
			}
			r.Missing = append(r.Missing, n.use.Rule)
			return truth(false), nil
		}
		return n, nil
	case not:
		sub, err := r.settle(n.subs[0], !negated)
		return negate(sub), err
	}
	subs := make([]node, len(n.subs))
	for i, s := range n.subs {
		var err error
		if subs[i], err = r.settle(s, negated); err != nil {
			return n, err
		}
	}
	switch n.op {
	case and:
		return all(subs), nil
	case or:
		return some(subs), nil
	case count:
		return atLeast(n.min, subs), nil
	}
	return n, nil
}

func (r *Result) collect(n node) {
	if n.op == name {
		r.Uses = append(r.Uses, n.use)
	}
	for _, s := range n.subs {
		r.collect(s)
	}
}

// Write is the condition in our words; called gives the symbols of what it uses.
func (r *Result) Write(called func(Use) string) string { return r.root.write(called, 0) }

// How tightly the words bind.
const (
	loose = iota
	inOr
	inAnd
	inNot
)

func (n node) write(called func(Use) string, in int) string {
	parts := func(word string, within int) string {
		var out []string
		for _, s := range n.subs {
			out = append(out, s.write(called, within))
		}
		text := strings.Join(out, word)
		if in > within || in == inNot {
			return "(" + text + ")"
		}
		return text
	}
	switch n.op {
	case name:
		return called(n.use)
	case not:
		return "not " + n.subs[0].write(called, inNot)
	case and:
		return parts(" and ", inAnd)
	case or:
		return parts(" or ", inOr)
	default:
		var out []string
		for _, s := range n.subs {
			out = append(out, s.write(called, loose))
		}
		return fmt.Sprintf("%d of (%s)", n.min, strings.Join(out, ", "))
	}
}
