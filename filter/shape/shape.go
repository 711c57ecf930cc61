// Package shape looks at how a letter is put together: its text against its page, its pictures
// against its words, and encodings that nothing in it asks for.
package shape

import (
	"context"
	"fmt"
	"strings"

	"postern/filter"
	"postern/internal/mime"
)

// The symbols of this check.
const (
	HTMLAlone     = "HTML_ALONE"        // a page without the same as plain text
	TextsDiffer   = "TEXTS_DIFFER"      // the plain text is no version of the page
	TextNone      = "TEXT_NONE"         // not a word to be read
	TextBase64    = "TEXT_BASE64_PLAIN" // plain ASCII in Base64
	PictureAlone  = "PICTURE_FEW_WORDS" // pictures and next to no words
	PictureLinked = "PICTURE_LINKED"    // a linked picture and few words
	ShortLinked   = "LINK_FEW_WORDS"    // few words and a link, answering nothing

	LettersMixed  = "TEXT_LETTERS_MIXED"    // letters of another script hide in words
	LettersHidden = "TEXT_LETTERS_HIDDEN"   // characters nobody sees stand inside words
	LettersTurned = "HEADER_LETTERS_TURNED" // marks turn round the letters of subject or author
)

// Symbols are all symbols this check can emit.
func Symbols() []string {
	return []string{HTMLAlone, TextsDiffer, TextNone, TextBase64, PictureAlone, PictureLinked, ShortLinked, LettersMixed, LettersHidden, LettersTurned}
}

// How few words are few. A signature and a line of greeting have about twenty.
const (
	fewWords  = 30 // beside pictures
	someWords = 60 // beside a linked picture
	shortText = 40 // beside a link
	leastGap  = 10 // versions shorter than that do not differ
	timesMore = 6  // how many times more words the longer version has
	leastText = 64 // bytes of Base64 text worth a look
	mostLinks = 2  // organisations a short letter links to
)

// Check is the check. It has no state.
type Check struct{}

// Check implements filter.Check.
func (Check) Check(_ context.Context, m *filter.Message) ([]filter.Finding, error) {
	tree, err := m.Parts()
	if err != nil {
		return nil, &filter.CouldNot{Words: "the message could not be read", Cause: err}
	}
	l := &look{tree: tree, figures: tree.Figures()}
	l.parts()
	l.letters()
	if !l.files {
		l.words()
	}
	return l.found, nil
}

// look is one run of the check.
type look struct {
	tree        *mime.Tree
	figures     mime.Figures
	plain, page bool // there is text of that kind
	files       bool // something else is handed over
	found       []filter.Finding
}

func (l *look) add(symbol, format string, args ...any) {
	l.found = append(l.found, filter.Finding{Symbol: symbol, Detail: fmt.Sprintf(format, args...)})
}

// parts looks at what the message consists of.
func (l *look) parts() {
	coded := false
	for p := range l.tree.Leaves() {
		switch {
		case p.Alternate:
		case p.Disposition == "attachment":
			l.files = true
		case p.MediaType == "text/html":
			l.page = true
			coded = coded || p.Encoding == "base64" && plainASCII(p.Decoded())
		case p.MediaType == "text/plain":
			l.plain = true
			coded = coded || p.Encoding == "base64" && plainASCII(p.Decoded())
		case !strings.HasPrefix(p.MediaType, "image/"):
			l.files = true
		}
	}
	if coded {
		l.add(TextBase64, "")
	}
	if l.page && !l.plain {
		l.add(HTMLAlone, "")
	}
}

// words looks at how much there is to be read.
func (l *look) words() {
	f := l.figures
	all := f.Plain + f.HTML
	less, more := min(f.Plain, f.HTML), max(f.Plain, f.HTML)
	if l.plain && l.page && f.Plain > 0 && more > timesMore*max(less, leastGap) {
		l.add(TextsDiffer, "%d words of text, %d of the page", f.Plain, f.HTML)
	}
	if all == 0 && len(l.tree.Root.Header.Get("Subject")) > 0 && f.Pictures == 0 {
		l.add(TextNone, "")
	}
	if l.page && f.Pictures > 0 && all < fewWords {
		l.add(PictureAlone, "%d pictures, %d words", f.Pictures, all)
	}
	if f.Linked > 0 && all < someWords {
		l.add(PictureLinked, "%d words", all)
	}
	if all > 0 && all < shortText && !l.answers() {
		if n := len(l.hosts()); n > 0 && n <= mostLinks {
			l.add(ShortLinked, "%d words", all)
		}
	}
}

// answers reports whether the message says that it belongs to others.
func (l *look) answers() bool {
	h := &l.tree.Root.Header
	return h.Has("References") || h.Has("In-Reply-To")
}

// hosts are those that links to be followed lead to, each once, at most one more than count:
// not where the pictures of a page come from.
func (l *look) hosts() map[string]bool {
	out := map[string]bool{}
	for _, u := range l.tree.URLs() {
		if u.Host != "" && !u.Embedded {
			out[u.Host] = true
		}
		if len(out) > mostLinks {
			break
		}
	}
	return out
}

// plainASCII reports whether text needs no encoding: its first 64 kB are looked at.
func plainASCII(b []byte) bool {
	if len(b) < leastText {
		return false
	}
	for _, c := range b[:min(len(b), 64<<10)] {
		if c >= 0x80 || c == 0 {
			return false
		}
	}
	return true
}
