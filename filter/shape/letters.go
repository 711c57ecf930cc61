package shape

import (
	"strings"

	"postern/internal/mime/fold"
)

// How often letters hide in a text before it says something; in the header once is enough.
const (
	leastWords  = 3
	leastPlaces = 3
	lettersText = 64 << 10 // bytes of text that are looked at
	mostAuthors = 20
)

// letters looks for words that are written so that people read them and machines do not.
func (l *look) letters() {
	text := l.tree.Text()
	signs := fold.Look(strings.ToValidUTF8(text[:min(len(text), lettersText)], ""))
	if signs.Mixed < leastWords {
		signs = fold.Signs{}
	}
	header := l.named()
	for _, value := range header {
		if s := fold.Look(value); s.Mixed > 0 {
			signs.Mixed += s.Mixed
			signs.First = s.First
			break
		}
	}
	if signs.Mixed > 0 {
		l.add(LettersMixed, "%s, %d words", signs.First, signs.Mixed)
	}
	places := l.figures.Hidden
	if places < leastPlaces {
		places = 0
	}
	turned := false
	for _, value := range header {
		places += fold.Apart([]byte(value))
		turned = turned || strings.ContainsAny(value, "\u202d\u202e")
	}
	if places > 0 {
		l.add(LettersHidden, "%d places", places)
	}
	if turned {
		l.add(LettersTurned, "")
	}
}

// named are the texts of the header that people read: the subject and the names of the authors.
func (l *look) named() []string {
	out := []string{l.tree.Subject()}
	authors := l.tree.From()
	for _, from := range authors[:min(len(authors), mostAuthors)] {
		out = append(out, from.Name)
	}
	return out
}
