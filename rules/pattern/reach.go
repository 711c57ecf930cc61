package pattern

import (
	"regexp/syntax"
	"slices"
	"unicode/utf8"
)

// extent bounds how much text a match can take: so many characters, and so many unbroken
// runs of blanks and of word characters, which are as long as the text makes them.
type extent struct{ chars, blanks, words int }

func (e extent) plus(o extent) extent {
	return extent{e.chars + o.chars, e.blanks + o.blanks, e.words + o.words}
}

func (e extent) or(o extent) extent {
	return extent{max(e.chars, o.chars), max(e.blanks, o.blanks), max(e.words, o.words)}
}

func (e extent) times(n int) extent { return extent{e.chars * n, e.blanks * n, e.words * n} }

// reach returns the extent of re's matches; ok is false when there is no bound.
func reach(re *syntax.Regexp) (e extent, ok bool) {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpWordBoundary, syntax.OpNoWordBoundary,
		syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText:
		return extent{}, true
	case syntax.OpLiteral:
		return extent{chars: len(re.Rune)}, true
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return extent{chars: 1}, true
	case syntax.OpCapture, syntax.OpQuest:
		return reach(re.Sub[0])
	case syntax.OpStar, syntax.OpPlus:
		return reachOfRun(re.Sub[0])
	case syntax.OpRepeat:
		if re.Max < 0 {
			return reachOfRun(re.Sub[0])
		}
		e, ok = reach(re.Sub[0])
		return e.times(re.Max), ok
	case syntax.OpConcat, syntax.OpAlternate:
		for _, sub := range re.Sub {
			part, ok := reach(sub)
			switch {
			case !ok:
				return extent{}, false
			case re.Op == syntax.OpConcat:
				e = e.plus(part)
			default:
				e = e.or(part)
			}
		}
		return e, true
	}
	return extent{}, false
}

// reachOfRun is the extent of re any number of times.
func reachOfRun(re *syntax.Regexp) (extent, bool) {
	ranges := re.Rune
	switch {
	case re.Op == syntax.OpLiteral && len(re.Rune) == 1:
		ranges = []rune{re.Rune[0], re.Rune[0]}
	case re.Op != syntax.OpCharClass:
		return extent{}, false
	}
	blanks, words := true, true
	for i := 0; i+1 < len(ranges); i += 2 {
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			blanks = blanks && r < utf8.RuneSelf && kinds[byte(r)] == blank
			// The two runes that fold onto letters never stand in a text searched by windows.
			words = words && (r == kelvin || r == longS || r < utf8.RuneSelf && kinds[byte(r)] == word)
			if !blanks && !words {
				return extent{}, false
			}
		}
	}
	if blanks {
		return extent{blanks: 1}, true
	}
	return extent{words: 1}, true
}

// The kinds of bytes that runs are made of: \s and \w.
const (
	other = iota
	blank
	word
)

var kinds = func() (k [256]uint8) {
	for c := range k {
		switch {
		case c == '\t', c == '\n', c == '\v', c == '\f', c == '\r', c == ' ':
			k[c] = blank
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_':
			k[c] = word
		}
	}
	return k
}()

// looksAtEnds tells that re asks for the end of a line or of the text.
func looksAtEnds(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText:
		return true
	}
	return slices.ContainsFunc(re.Sub, looksAtEnds)
}

// maxWord is how far widen goes.
const maxWord = 64

// widen moves the ends of a stretch outwards to where no word is cut, never through a
// character, and tells whether it found such places: a word boundary then means in the stretch what it means in the text.
func widen(text []byte, sp span) (span, bool) {
	for n := 0; sp.from > 0 && (kinds[text[sp.from-1]] == word || !utf8.RuneStart(text[sp.from])); n++ {
		if n == maxWord {
			return sp, false
		}
		sp.from--
	}
	for n := 0; sp.to < len(text) && (kinds[text[sp.to]] == word || !utf8.RuneStart(text[sp.to])); n++ {
		if n == maxWord {
			return sp, false
		}
		sp.to++
	}
	return sp, true
}

// measure is what a text makes of an extent, in bytes.
type measure struct{ char, blank, word int }

// measured finds the longest runs of a text and the width of its characters.
func measured(text []byte) measure {
	longest := [3]int{}
	from, kind, high := 0, uint8(other), byte(0)
	for i, c := range text {
		high = max(high, c)
		if k := kinds[c]; k != kind {
			longest[kind] = max(longest[kind], i-from)
			from, kind = i, k
		}
	}
	longest[kind] = max(longest[kind], len(text)-from)
	m := measure{char: 1, blank: longest[blank], word: longest[word]}
	switch { // the first byte of a character tells its width
	case high >= 0xf0:
		m.char = 4
	case high >= 0xe0:
		m.char = 3
	case high >= utf8.RuneSelf:
		m.char = 2
	}
	return m
}

// window is how many bytes before and after any byte of a match hold all of it and one
// character more on either side; 0 when that is no less than to read the text.
func (m measure) window(e extent) int {
	n := e.chars*m.char + e.blanks*m.blank + e.words*m.word + 2*utf8.UTFMax
	if n > maxWindow {
		return 0
	}
	return n
}
