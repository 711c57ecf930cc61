// Package fold brings text to the letters that a reader takes it for: letters of other scripts that
// are drawn like those of the word they stand in, letters in another dress (wide, of mathematics,
// in circles), characters nobody sees between letters, marks heaped on letters. It is for comparing;
// what a script needs for itself (joiners of Persian and of pictures, accents of Greek) stays.
package fold

import (
	"bytes"
	"cmp"
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Text folds valid UTF-8. The result is the text itself where nothing changes.
func Text(text []byte) []byte { return run(text, false) }

// Bare is Text with the accents taken off Latin letters of words that have several kinds of them.
func Bare(text []byte) []byte { return run(text, true) }

// maxWord is how many letters of a word are looked at together.
const maxWord = 64

type folder struct {
	text  []byte
	out   []byte // nil until something changes
	done  int    // bytes of text that are in out, or that were looked at
	bare  bool
	knows knows
	word  []rune
	made  []rune
}

func run(text []byte, accents bool) []byte {
	f := folder{text: text, bare: accents, knows: knows{text: text}}
	f.each(f.fold)
	if f.out == nil {
		return text
	}
	return append(f.out, text[f.done:]...)
}

// each calls do with every word that has something else than ASCII in it. The word is f.word.
func (f *folder) each(do func(from, to int)) {
	seen := 0
	for at := 0; ; {
		at += plain(f.text[at:])
		if at >= len(f.text) {
			return
		}
		r, n := utf8.DecodeRune(f.text[at:])
		if !part(r) && !Hidden(r) {
			at += n
			continue
		}
		from := at
		for from > seen && at-from < maxWord && letter(f.text[from-1]) {
			from-- // the ASCII letters that the word begins with
		}
		to := f.read(from)
		if to > at {
			do(from, to)
		} else if before, _ := utf8.DecodeLastRune(f.text[:at]); Hidden(r) && undivided(before) {
			f.word, to = f.word[:0], at+n
			do(at, to)
		}
		at = max(to, at+n)
		seen = at
	}
}

// plain is how many bytes of ASCII, or of scripts that are never folded, text begins with.
func plain(text []byte) int {
	i := 0
	for i < len(text) {
		if text[i] < utf8.RuneSelf {
			i++
			continue
		}
		// Han, kana and Hangul: the bulk of the texts that have no ASCII.
		if c := text[i]; c >= 0xe3 && c <= 0xed && i+2 < len(text) && (c != 0xea || text[i+1] >= 0xb0) {
			i += 3
			continue
		}
		break
	}
	return i
}

func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// read reads the word that begins at from, and returns its end. Hidden characters behind a letter
// are of its word.
func (f *folder) read(from int) (to int) {
	f.word = f.word[:0]
	for to = from; to < len(f.text) && len(f.word) < maxWord; {
		r, n := utf8.DecodeRune(f.text[to:])
		if !part(r) && (to == from || !Hidden(r)) {
			break
		}
		f.word = append(f.word, r)
		to += n
	}
	return to
}

// fold puts the folded word into the place of what stands between from and to.
func (f *folder) fold(from, to int) {
	f.undress()
	f.letters()
	var buf [4 * maxWord]byte
	b := buf[:0]
	for _, r := range f.made {
		b = utf8.AppendRune(b, r)
	}
	if bytes.Equal(b, f.text[from:to]) {
		return
	}
	f.out = append(append(f.out, f.text[f.done:from]...), b...)
	f.done = to
}

// letters folds the letters of the word that is made.
func (f *folder) letters() {
	as := f.knows.judge(f.made)
	for i, r := range f.made {
		switch s := scriptOf(r); {
		case as.script == latin && s > latin:
			r = looksLike(r).r
		case as.script > latin && s == latin:
			r = back[as.script][r]
		}
		f.made[i] = r
	}
	if f.bare && heaped(f.made) {
		for i, r := range f.made {
			f.made[i] = without(r)
		}
	}
}

// heaped reports whether a word has Latin letters with accents of several kinds, as words of few
// languages do and those that want to be read past have.
func heaped(word []rune) bool {
	kind := ""
	for _, r := range word {
		if without(r) == r {
			continue
		}
		_, n := utf8.DecodeRuneInString(norm.NFD.String(string(r)))
		mark := norm.NFD.String(string(r))[n:]
		if kind != "" && mark != "" && mark != kind {
			return true
		}
		kind = cmp.Or(kind, mark)
	}
	return false
}

// undress takes off the word what no letter is made of: hidden characters, the dress of a letter,
// and marks that no letter has of its own.
func (f *folder) undress() {
	f.made = f.made[:0]
	marked, dressed := false, false
	for _, r := range f.word {
		switch {
		case Hidden(r):
			continue
		case r < 0x180:
		case styled[r] != 0:
			r = styled[r]
		case r >= 0x300 && r < 0x370:
			marked = true
		case r >= 0x1d00 && compatible(r):
			dressed = true
		}
		f.made = append(f.made, r)
	}
	if dressed {
		f.made = append(f.made[:0], []rune(norm.NFKC.String(string(f.made)))...)
	}
	if marked {
		f.made = append(f.made[:0], []rune(norm.NFC.String(string(f.made)))...)
		f.made = slices.DeleteFunc(f.made, func(r rune) bool { return r >= 0x300 && r < 0x370 && unicode.Is(unicode.Mn, r) })
	}
}

// knows is what a text says of the scripts that are at home in it.
type knows struct {
	text []byte
	home map[script]place
}

// place is how much a script is at home in a text.
type place uint8

const (
	stranger place = iota // none but letters that hardly anybody can tell from Latin ones
	guest                 // letters too that are a little like Latin ones
	host                  // letters too that are like none
)

func (k *knows) at(s script) place {
	p, have := k.home[s]
	if have {
		return p
	}
	for _, r := range string(k.text) {
		if r < 0x370 || scriptOf(r) != s {
			continue
		}
		if l := looksLike(r); l.r == 0 {
			p = host
			break
		} else if !l.strong {
			p = guest
		}
	}
	if k.home == nil {
		k.home = map[script]place{}
	}
	k.home[s] = p
	return p
}

// judged is how a word of several scripts is read.
type judged struct {
	script script // that it is read in; none where it stays as it is
	turns  int    // how often the script changes
	other  int    // letters that are not of that script
}

// leastWhole is how many letters a word of another script alone must have to be read as Latin.
const leastWhole = 4

// judge finds the script that a word is read in.
func (k *knows) judge(word []rune) judged {
	var j judged
	var count [rare + 1]int
	strong, weak, backs := true, true, true
	before := none
	foreign := none
	for _, r := range word {
		s := scriptOf(r)
		if s == none {
			continue
		}
		count[s]++
		if before != none && s != before {
			j.turns++
		}
		before = s
		if s == latin {
			continue
		}
		if foreign != none && s != foreign {
			return judged{}
		}
		foreign = s
		l := looksLike(r)
		weak = weak && l.r != 0
		strong = strong && l.strong
	}
	if foreign == none {
		return judged{}
	}
	for _, r := range word {
		backs = backs && (scriptOf(r) != latin || back[foreign][r] != 0)
	}
	switch home := k.at(foreign); {
	case count[latin] == 0:
		if strong && home == stranger && count[foreign] >= leastWhole {
			j.script, j.other = latin, count[foreign]
		}
	case home == host && backs, backs && !strong:
		j.script, j.other = foreign, count[latin]
	case weak:
		j.script, j.other = latin, count[foreign]
	}
	return j
}
