package letter

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of how text is shown.
const (
	maxMarks = 500  // marks of one text; more become one sign each
	foldAt   = 1000 // characters of a line before it is folded
	maxLines = 10_000
)

// Span is text as it is, or a mark for characters that nobody sees.
type Span struct {
	Text string
	Mark string // "U+202E ×3"
}

// Line is a line of text.
type Line struct {
	Spans  []Span
	Folded bool // it goes on in the next one
}

// hidden reports whether a character is not seen, or changes how others are shown.
func hidden(r, before rune) bool {
	switch {
	case r == '\n', r == '\t':
		return false
	case r == 0x200c, r == 0x200d: // joiners, needed by scripts and pictures
		return before < 0x80
	case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == utf8.RuneError:
		return true
	case r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f:
		return true
	case r == 0xad, r == 0x34f, r == 0x115f, r == 0x1160, r == 0x17b4, r == 0x17b5, r == 0x180e, r == 0x3164, r == 0xfeff, r == 0xffa0:
		return true
	case r >= 0xfff9 && r <= 0xfffb, r >= 0xe0000 && r <= 0xe0fff:
		return true
	}
	return false
}

// Printable is text for places where marks would be too much.
func Printable(s string) string {
	before := ' '
	return strings.Map(func(r rune) rune {
		h := hidden(r, before)
		before = r
		if h {
			return utf8.RuneError
		}
		return r
	}, s)
}

// Spans marks what nobody sees.
func Spans(s string) []Span {
	m := marker{left: maxMarks}
	m.add(s)
	return m.out
}

type marker struct {
	out  []Span
	left int
}

func (m *marker) text(s string) {
	if s == "" {
		return
	}
	if n := len(m.out); n > 0 && m.out[n-1].Mark == "" {
		m.out[n-1].Text += s
		return
	}
	m.out = append(m.out, Span{Text: s})
}

func (m *marker) add(s string) {
	start, before := 0, ' '
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if !hidden(r, before) {
			before = r
			i += n
			continue
		}
		m.text(s[start:i])
		run := 0
		for i < len(s) {
			next, size := utf8.DecodeRuneInString(s[i:])
			if next != r {
				break
			}
			run++
			i += size
		}
		m.mark(r, run)
		start, before = i, r
	}
	m.text(s[start:])
}

func (m *marker) mark(r rune, run int) {
	if m.left == 0 {
		m.text(string(utf8.RuneError))
		return
	}
	m.left--
	mark := fmt.Sprintf("U+%04X", r)
	if r == utf8.RuneError {
		mark = string(r)
	}
	if run > 1 {
		mark += fmt.Sprintf(" ×%d", run)
	}
	m.out = append(m.out, Span{Mark: mark})
}

// Lines cuts text into lines, folds those that are long, and marks what nobody sees.
func Lines(s string) []Line {
	var out []Line
	m := marker{left: maxMarks}
	for line := range strings.SplitSeq(s, "\n") {
		for {
			head, rest := line, ""
			if len(line) > foldAt {
				n := 0
				for i := range line {
					if n == foldAt {
						head, rest = line[:i], line[i:]
						break
					}
					n++
				}
			}
			m.out = nil
			m.add(head)
			out = append(out, Line{Spans: m.out, Folded: rest != ""})
			if len(out) == maxLines {
				return out
			}
			if line = rest; rest == "" {
				break
			}
		}
	}
	return out
}
