package page

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"postern/internal/mime/style"
	"postern/internal/mime/view"
)

// unseen looks at text that is not shown.
func (l *look) unseen() {
	p := l.pages
	if len(p.Spans) == 0 {
		return
	}
	if n, first := l.cutWords(); n >= cuts {
		l.add(HiddenLetters, "%d words, %q", n, first)
	}
	if p.Hidden <= coloured {
		return
	}
	n, alike, cause := l.unsaid()
	if n > hidden {
		l.add(HiddenText, "%d letters %s", n, cause)
		if n > p.Shown {
			l.add(HiddenMost, "%d letters, %d are shown", n, p.Shown)
		}
	}
	if alike > coloured {
		l.add(HiddenColour, "%d letters", alike)
	}
}

// unsaid counts the letters that are not shown, those in the colour of their ground by
// themselves, and names the cause most are hidden by. Words that are shown elsewhere on the page
// do not count, for other screens show them there, nor does a preview at the beginning.
func (l *look) unsaid() (n, alike int, most style.Cause) {
	text, shown := l.tree.Text(), l.shownWords()
	var by [style.Alike + 1]int
	free := preview
	for _, s := range l.pages.Spans {
		for w := range strings.FieldsSeq(text[s.Start:s.End]) {
			if shown[w] {
				continue
			}
			size := view.Letters(w)
			if s.Lead {
				spared := min(size, free)
				free -= spared
				size -= spared
			}
			by[s.Cause] += size
		}
	}
	for cause, size := range by {
		n += size
		if size > by[most] {
			most = style.Cause(cause)
		}
	}
	return n, by[style.Alike], most
}

// cutWords counts the words within which something is not shown, and says what the first of them
// looks like.
func (l *look) cutWords() (n int, first string) {
	text, spans := l.tree.Text(), l.pages.Spans
	for i := 0; i < len(spans); {
		from := i
		for i++; i < len(spans) && spans[i].Start == spans[i-1].End; i++ {
		}
		start, end := spans[from].Start, spans[i-1].End
		before, _ := utf8.DecodeLastRuneInString(text[:start])
		after, _ := utf8.DecodeRuneInString(text[end:])
		if !unicode.IsLetter(before) || !unicode.IsLower(after) || !l.inOnePage(start, end) {
			continue
		}
		if n++; n == 1 {
			first = tail(text[:start]) + head(text[end:])
		}
	}
	return n, first
}

// inOnePage reports whether what is around a stretch belongs to its page.
func (l *look) inOnePage(start, end int) bool {
	for _, r := range l.pages.Texts {
		if r.Start < start && end < r.End {
			return true
		}
	}
	return false
}

// longest bounds what is shown of a half of a word, in bytes.
const longest = 20

// tail is the word that a text ends with.
func tail(s string) string {
	s = s[max(0, len(s)-longest):]
	if i := strings.LastIndexFunc(s, notLetter); i >= 0 {
		_, size := utf8.DecodeRuneInString(s[i:])
		s = s[i+size:]
	}
	return s
}

// head is the word that a text begins with.
func head(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), longest)], "")
	if i := strings.IndexFunc(s, notLetter); i >= 0 {
		s = s[:i]
	}
	return s
}

func notLetter(r rune) bool { return !unicode.IsLetter(r) }
