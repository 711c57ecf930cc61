// Package page looks at what the pages of a letter hide from their reader: words that are not
// shown, letters within words, text too small to be read, and what no letter is written with.
package page

import (
	"context"
	"fmt"
	"strings"

	"postern/filter"
	"postern/internal/mime"
)

// The symbols of this check.
const (
	HiddenText    = "HIDDEN_TEXT"       // words that are not shown and stand nowhere else
	HiddenMost    = "HIDDEN_MOST"       // more of them than of those that are shown
	HiddenColour  = "HIDDEN_COLOUR"     // text in the colour of its ground
	HiddenLetters = "HIDDEN_LETTERS"    // letters that are not shown within words
	TextTiny      = "TEXT_TINY"         // text that is shown and too small to be read
	PictureLink   = "LINK_PICTURE_ONLY" // many words, and the only link is a picture
	Event         = "HTML_EVENT"        // attributes that are scripts
	EmptyTags     = "HTML_EMPTY_TAGS"   // elements for letters without a letter
	UnknownTags   = "HTML_UNKNOWN_TAGS" // elements that no version of HTML has
)

// Symbols are all symbols this check can emit.
func Symbols() []string {
	return []string{HiddenText, HiddenMost, HiddenColour, HiddenLetters, TextTiny, PictureLink, Event, EmptyTags, UnknownTags}
}

// How much is much, in bytes of letters and digits where nothing else is said.
const (
	preview    = 250 // hidden before all that is shown: what lists of mail show beside the subject
	hidden     = 150
	coloured   = 60
	cuts       = 2 // words with hidden letters
	tiny       = 50
	fewWords   = 60 // words; with fewer a linked picture is told by another check
	emptyTags  = 10 // elements
	emptyShare = 20 // words to each of them
	unknown    = 2  // elements
)

// MaxCompared bounds the text of pages that hidden words are looked up in, in bytes.
const MaxCompared = 256 << 10

// Check is the check. It has no state.
type Check struct{}

// Check implements filter.Check.
func (Check) Check(_ context.Context, m *filter.Message) ([]filter.Finding, error) {
	tree, err := m.Parts()
	if err != nil {
		return nil, &filter.CouldNot{Words: "the message could not be read", Cause: err}
	}
	l := &look{tree: tree, pages: tree.Pages()}
	if len(l.pages.Texts) == 0 {
		return nil, nil
	}
	l.unseen()
	l.made()
	return l.found, nil
}

// look is one run of the check.
type look struct {
	tree  *mime.Tree
	pages *mime.Pages
	found []filter.Finding
}

func (l *look) add(symbol, format string, args ...any) {
	l.found = append(l.found, filter.Finding{Symbol: symbol, Detail: fmt.Sprintf(format, args...)})
}

// made looks at what the page is made of.
func (l *look) made() {
	p, words := l.pages, l.tree.Figures().HTML
	if p.Tiny > tiny {
		l.add(TextTiny, "%d letters", p.Tiny)
	}
	if p.Anchors > 0 && p.Anchors == p.OfImage && l.tree.Figures().Plain+words >= fewWords && l.oneLink() {
		l.add(PictureLink, "%d words", words)
	}
	if p.Handler > 0 {
		l.add(Event, "%d", p.Handler)
	}
	if p.Empty > emptyTags && p.Empty*emptyShare > words {
		l.add(EmptyTags, "%d beside %d words", p.Empty, words)
	}
	if p.Unknown >= unknown {
		l.add(UnknownTags, "%d", p.Unknown)
	}
}

// oneLink reports whether all links that can be followed lead to the same address.
func (l *look) oneLink() bool {
	first := ""
	for _, u := range l.tree.URLs() {
		switch {
		case u.Embedded || u.Host == "":
		case first == "":
			first = u.Raw
		case u.Raw != first:
			return false
		}
	}
	return first != ""
}

// shownWords are the words of pages that are seen.
func (l *look) shownWords() map[string]bool {
	out := map[string]bool{}
	text, left, spans := l.tree.Text(), MaxCompared, l.pages.Spans
	take := func(start, end int) {
		if end = min(end, start+left); end > start {
			left -= end - start
			for w := range strings.FieldsSeq(text[start:end]) {
				out[w] = true
			}
		}
	}
	for _, r := range l.pages.Texts {
		at := r.Start
		for ; len(spans) > 0 && spans[0].Start < r.End; spans = spans[1:] {
			take(at, spans[0].Start)
			at = spans[0].End
		}
		take(at, r.End)
	}
	return out
}
