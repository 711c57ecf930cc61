package pattern

import (
	"regexp/syntax"
	"unicode"
	"unicode/utf8"
)

// minLiteral is the shortest literal worth looking for; maxLiterals bounds the choices one
// expression may spread into.
const (
	minLiteral  = 3
	maxLiterals = 64
)

// The two runes outside ASCII that fold onto ASCII letters. The automaton folds ASCII only:
// literals are cut at these runes, and texts that hold them are searched as plain letters.
const (
	kelvin = '\u212a' // folds to k
	longS  = '\u017f' // folds to s
)

// literals returns strings of which every match of re holds at least one, compared without
// regard to the case of ASCII letters; nil when there are none long enough.
func literals(re *syntax.Regexp) []string {
	l := required(re)
	if len(l) == 0 || shortest(l) < minLiteral {
		return nil
	}
	return l
}

func shortest(l []string) int {
	n := len(l[0])
	for _, s := range l[1:] {
		n = min(n, len(s))
	}
	return n
}

func required(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		if s := longestRun(re); s != "" {
			return []string{s}
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
	return nil
}

// bestOf takes the part of a concatenation whose shortest literal is longest: the rarest in
// ordinary text.
func bestOf(subs []*syntax.Regexp) []string {
	var best []string
	for _, sub := range subs {
		if l := required(sub); l != nil && (best == nil || shortest(l) > shortest(best)) {
			best = l
		}
	}
	return best
}

// allOf joins the literals of alternatives; one without any spoils them all.
func allOf(subs []*syntax.Regexp) []string {
	var all []string
	for _, sub := range subs {
		l := required(sub)
		if l == nil || len(all)+len(l) > maxLiterals {
			return nil
		}
		all = append(all, l...)
	}
	return all
}

// longestRun is the longest stretch of a literal that the automaton compares as the
// expression would.
func longestRun(re *syntax.Regexp) string {
	fold := re.Flags&syntax.FoldCase != 0
	var best, run []byte
	for _, r := range re.Rune {
		if r == kelvin || r == longS || r == utf8.RuneError || fold && r >= utf8.RuneSelf && unicode.SimpleFold(r) != r {
			run = run[:0]
			continue
		}
		run = utf8.AppendRune(run, r)
		if len(run) > len(best) {
			best = append(best[:0], run...)
		}
	}
	return string(best)
}

// reach returns how many bytes a match of re can have, or -1 when there is no bound or when
// re looks at the ends of lines or text, which a window does not know.
func reach(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return 0
	case syntax.OpLiteral:
		return len(re.Rune) * utf8.UTFMax
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return utf8.UTFMax
	case syntax.OpCapture, syntax.OpQuest:
		return reach(re.Sub[0])
	case syntax.OpRepeat:
		if n := reach(re.Sub[0]); n >= 0 && re.Max >= 0 {
			return n * re.Max
		}
	case syntax.OpConcat, syntax.OpAlternate:
		return reachOf(re)
	}
	return -1
}

func reachOf(re *syntax.Regexp) int {
	total := 0
	for _, sub := range re.Sub {
		n := reach(sub)
		switch {
		case n < 0:
			return -1
		case re.Op == syntax.OpConcat:
			total += n
		default:
			total = max(total, n)
		}
	}
	return total
}
