package pattern

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// minLiteral is the shortest literal worth looking for; maxLiterals bounds the choices one
// expression may spread into, maxExact those of a part of it, maxCross those of parts put
// together, maxClass those of one class of characters.
const (
	minLiteral  = 3
	maxLiterals = 128
	maxExact    = 48
	maxCross    = 16
	maxClass    = 8
)

// The two runes outside ASCII that fold onto ASCII letters. The automaton folds ASCII only:
// they count as those letters, in literals as in the texts that are searched for them.
const (
	kelvin = '\u212a' // folds to k
	longS  = '\u017f' // folds to s
)

// literals returns strings of which every match of re holds at least one, compared without
// regard to the case of ASCII letters; nil when there are none long enough.
func literals(re *syntax.Regexp) []string {
	l, _ := required(re)
	return l
}

// required is the rarest set of literals of re that it finds, and how common it takes it to
// be.
func required(re *syntax.Regexp) (best []string, cost float64) {
	if all := exact(re); all != nil && worthwhile(all) {
		all = essential(all)
		return all, commonness(all)
	}
	switch re.Op {
	case syntax.OpLiteral:
		if s := longestRun(re); worthwhile([]string{s}) {
			return []string{s}, commonness([]string{s})
		}
	case syntax.OpCapture, syntax.OpPlus:
		return required(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return required(re.Sub[0])
		}
	case syntax.OpConcat:
		return bestOf(re.Sub)
	case syntax.OpAlternate:
		return allOf(re.Sub)
	}
	return nil, 0
}

// bestOf takes the rarest literals of a concatenation: those of one part, or those that
// neighbours make together.
func bestOf(subs []*syntax.Regexp) (best []string, cost float64) {
	take := func(l []string, c float64) {
		if l != nil && (best == nil || c < cost) {
			best, cost = l, c
		}
	}
	for i, sub := range subs {
		take(required(sub))
		joined := exact(sub)
		for _, next := range subs[i+1:] {
			if joined = cross(joined, exact(next)); joined == nil {
				break
			}
			if worthwhile(joined) {
				l := essential(joined)
				take(l, commonness(l))
			}
		}
	}
	return best, cost
}

// allOf joins the literals of alternatives; one without any spoils them all.
func allOf(subs []*syntax.Regexp) (all []string, cost float64) {
	for _, sub := range subs {
		l, _ := required(sub)
		if l == nil || len(all)+len(l) > maxLiterals {
			return nil, 0
		}
		all = append(all, l...)
	}
	all = essential(all)
	return all, commonness(all)
}

// exact returns all strings that re can match, in lower case; nil when they are too many
// or the automaton would not compare them as the expression does.
func exact(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpWordBoundary, syntax.OpNoWordBoundary,
		syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText:
		return []string{""}
	case syntax.OpLiteral:
		if s, ok := plainRunes(re.Rune, re.Flags&syntax.FoldCase != 0); ok {
			return []string{s}
		}
	case syntax.OpCharClass:
		return members(re.Rune)
	case syntax.OpCapture:
		return exact(re.Sub[0])
	case syntax.OpQuest:
		if all := exact(re.Sub[0]); all != nil && len(all) < maxExact {
			return append([]string{""}, all...)
		}
	case syntax.OpConcat:
		all := []string{""}
		for _, sub := range re.Sub {
			if all = cross(all, exact(sub)); all == nil {
				return nil
			}
		}
		return all
	case syntax.OpAlternate:
		return union(re.Sub)
	}
	return nil
}

func union(subs []*syntax.Regexp) []string {
	var all []string
	for _, sub := range subs {
		more := exact(sub)
		if more == nil || len(all)+len(more) > maxExact {
			return nil
		}
		all = append(all, more...)
	}
	return all
}

// members are the characters of a small class.
func members(ranges []rune) []string {
	var all []string
	for i := 0; i+1 < len(ranges); i += 2 {
		if ranges[i+1]-ranges[i] > 2*maxClass {
			return nil
		}
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			s, ok := plainRunes([]rune{r}, false)
			if !ok {
				return nil
			}
			if !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	if len(all) > maxClass {
		return nil
	}
	return all
}

func cross(a, b []string) []string {
	if a == nil || b == nil || len(a)*len(b) > max(maxCross, len(a), len(b)) {
		return nil
	}
	all := make([]string, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			all = append(all, x+y)
		}
	}
	return all
}

// essential leaves out what holds another of the set.
func essential(all []string) []string {
	var out []string
	for i, s := range all {
		if !slices.ContainsFunc(all, func(o string) bool { return len(o) < len(s) && strings.Contains(s, o) }) && !slices.Contains(all[:i], s) {
			out = append(out, s)
		}
	}
	return out
}

// worthwhile tells that all literals are long enough, or two signs that seldom meet.
func worthwhile(all []string) bool {
	return !slices.ContainsFunc(all, func(s string) bool {
		return len(s) < minLiteral && (len(s) < 2 || kinds[s[0]] != other || kinds[s[1]] != other)
	})
}

// commonness estimates how often text holds one of the literals. Letters are common, above
// all in words that no text goes without; digits and signs are rarer.
func commonness(all []string) float64 {
	total := 0.0
	for _, s := range all {
		p := 1.0
		for _, r := range s {
			switch {
			case 'a' <= r && r <= 'z':
				p *= 0.1
			case r == ' ':
				p *= 0.2
			case r < utf8.RuneSelf:
				p *= 0.01
			default:
				p *= 0.005
			}
		}
		switch strings.TrimSpace(s) {
		case "the", "you", "your", "and", "for", "this", "that", "with", "have", "from", "www", "://":
			p = 0.1
		}
		if strings.HasPrefix(s, "http") {
			p = 1
		}
		total += p
	}
	return total
}

// plainRunes writes runes as the automaton compares them; ok is false when it cannot.
func plainRunes(runes []rune, fold bool) (s string, ok bool) {
	b := make([]byte, 0, len(runes))
	for _, r := range runes {
		switch {
		case r == kelvin:
			r = 'k'
		case r == longS:
			r = 's'
		case r == utf8.RuneError, fold && r >= utf8.RuneSelf && unicode.SimpleFold(r) != r:
			return "", false
		case r < utf8.RuneSelf:
			r = rune(lower(byte(r)))
		}
		b = utf8.AppendRune(b, r)
	}
	return string(b), true
}

// longestRun is the longest stretch of a literal that the automaton compares as the
// expression would.
func longestRun(re *syntax.Regexp) string {
	fold := re.Flags&syntax.FoldCase != 0
	best, run := "", ""
	for _, r := range re.Rune {
		s, ok := plainRunes([]rune{r}, fold)
		if !ok {
			run = ""
			continue
		}
		if run += s; len(run) > len(best) {
			best = run
		}
	}
	return best
}
