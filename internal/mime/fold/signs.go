package fold

import (
	"slices"
	"unicode/utf8"
)

// Signs say how often letters of a text hide behind others.
type Signs struct {
	Mixed int    // words of several scripts that are read in one
	First string // the first of them, as written
}

// leastMixed is how many letters such a word has; units and symbols of science are shorter.
const leastMixed = 4

// Look counts the words of a text in which letters of another script hide. Words that are a Latin
// name with an ending of another language, single Greek letters beside Latin ones, and words of
// one script are none of them.
func Look(text string) Signs {
	var s Signs
	f := folder{text: []byte(text)}
	f.knows.text = f.text
	f.each(func(from, to int) {
		if f.undress(); f.knows.hides(f.made) {
			if s.Mixed++; s.Mixed == 1 {
				s.First = string(f.text[from:to])
			}
		}
	})
	return s
}

// hides reports whether letters of another script hide in a word.
func (k *knows) hides(word []rune) bool {
	j := k.judge(word)
	if j.script == none || j.turns == 0 || len(word) < leastMixed {
		return false
	}
	first := slices.IndexFunc(word, func(r rune) bool { return scriptOf(r) > latin })
	home := scriptOf(word[first])
	if home == greek && j.script == latin && j.other < 2 {
		return false
	}
	if j.turns > 1 {
		return true
	}
	place := k.at(home)
	return place == stranger || place == guest && first == 0
}

const softHyphen = 0xad

// Apart counts the places where characters nobody sees take words apart that have two such places
// or more: one is how honest letters keep a day from becoming a link. Soft hyphens count only with
// a single letter between two, since between syllables they belong. Scripts that need such
// characters do not count.
func Apart(text []byte) (places int) {
	here, letters, soft := 0, 0, false // places of this word, letters since the last, and whether that was soft
	end := func() {
		if here > 1 {
			places += here
		}
		here, letters, soft = 0, 0, false
	}
	for at := 0; at < len(text); {
		r, n := utf8.DecodeRune(text[at:])
		at += n
		switch {
		case scriptOf(r) != none:
			letters++
			continue
		case !Hidden(r):
			end()
			continue
		}
		only := r == softHyphen
		for r, n = utf8.DecodeRune(text[at:]); Hidden(r); r, n = utf8.DecodeRune(text[at:]) {
			only = only && r == softHyphen
			at += n
		}
		if letters > 0 && scriptOf(r) != none && (!only || soft && letters == 1) {
			here++
		}
		letters, soft = 0, only
	}
	end()
	return places
}
