// Package pasted finds messages that people put into the text of a report: the source of one,
// or what their program shows of its header.
package pasted

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"postern/abuse/complaint/claim"
	"postern/internal/mime/lines"
)

// Found is a message inside a text.
type Found struct {
	Start, End int    // in the text
	Raw        []byte // the bytes between them, without the marks of quotation
	Whole      bool   // more than a header
	Source     bool   // the fields of the wire, not those a program shows
	Unquoted   bool   // Raw is not text[Start:End]: marks of quotation were left out
	Before     int    // where the line that announces it begins, else Start

	From, To, Subject, Date string // as shown, decoded
}

// Bounds of a search.
const (
	linesMost  = 50_000 // lines that are looked at
	fieldMost  = 2000   // bytes of a line that are decoded
	bodiesMost = 8 << 20
)

// line is one line of the text.
type line struct {
	at, next int
	quote    int    // bytes of its marks of quotation
	b        []byte // the line without them
}

// Find looks for a message in text. decode turns a line of it into UTF-8.
func Find(text []byte, decode func([]byte) string) (Found, bool) {
	var shown block
	announced, haveShown := -1, false
	for n, pos := 0, 0; pos < len(text) && n < linesMost; n++ {
		l := read(text, pos)
		if announced < 0 || len(bytes.TrimSpace(l.b)) > 0 {
			if isMarker(l.b, decode) {
				announced, pos = l.at, l.next
				continue
			}
		}
		if !opens(l.b, decode) {
			if pos = l.next; len(bytes.TrimSpace(l.b)) > 0 {
				announced = -1
			}
			continue
		}
		b, next := gather(text, l, decode)
		b.before = l.at
		if announced >= 0 {
			b.before = announced
		}
		if b.source() {
			return b.found(text, decode), true
		}
		if !haveShown && b.shown(announced >= 0) {
			shown, haveShown = b, true
		}
		announced, pos = -1, max(next, l.next)
	}
	if haveShown {
		return shown.found(text, decode), true
	}
	return Found{}, false
}

// read is the line at pos.
func read(text []byte, pos int) line {
	b, next := lines.At(text, pos)
	l := line{at: pos, next: next, b: b}
	for l.quote < len(b) && (b[l.quote] == '>' || b[l.quote] == '|') {
		l.quote++
		if l.quote < len(b) && b[l.quote] == ' ' {
			l.quote++
		}
	}
	l.b = b[l.quote:]
	return l
}

func isMarker(b []byte, decode func([]byte) string) bool {
	b = bytes.TrimSpace(b)
	return len(b) >= 8 && len(b) <= 200 && marker(decode(b))
}

// opens reports whether a line may be the first field.
func opens(b []byte, decode func([]byte) string) bool {
	name, _, r := field(b, decode)
	return r != none || wire(name) > 0
}

// field splits a line at its colon, which may be a wide one.
func field(b []byte, decode func([]byte) string) (name, value string, r role) {
	if len(b) == 0 || b[0] == ' ' || b[0] == '\t' {
		return "", "", none
	}
	b = b[:min(len(b), fieldMost)]
	if i := bytes.IndexByte(b, ':'); i > 0 && i <= 76 && isName(b[:i]) {
		name = string(b[:i])
		return name, strings.Trim(decode(b[i+1:]), " \t*"), label(name)
	}
	s := decode(b)
	for i, c := range s[:min(len(s), 120)] {
		if c == ':' || c == '：' {
			if r = label(s[:i]); r == none {
				return "", "", none
			}
			return "", strings.Trim(s[i+utf8.RuneLen(c):], " \t*\u00a0"), r
		}
	}
	return "", "", none
}

func isName(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// block is a run of fields.
type block struct {
	first        line
	before       int
	body         int // where the line behind the block begins
	strong, wire int
	roles        [other + 1]string
	seen         int // different roles among from, to, subject, date
}

// gather reads the fields from l on; next is where to go on if they are no message.
func gather(text []byte, l line, decode func([]byte) string) (b block, next int) {
	b.first = l
	stray := 0
	for n := 0; n < 2000; n++ {
		name, value, r := field(l.b, decode)
		w := wire(name)
		switch {
		case w > 0 || r != none || name != "" && b.wire > 0:
			b.take(w, r, value)
			stray = 0
		case len(bytes.TrimSpace(l.b)) == 0:
			return b.end(l.at), l.next
		case l.b[0] == ' ' || l.b[0] == '\t':
		default: // programs break long lines without indenting the rest
			if stray++; stray > 2 || b.strong == 0 {
				return b.end(l.at), l.next
			}
		}
		if l.next >= len(text) {
			return b.end(len(text)), len(text)
		}
		quote := l.quote
		if l = read(text, l.next); (l.quote > 0) != (quote > 0) && len(bytes.TrimSpace(l.b)) > 0 {
			return b.end(l.at), l.at
		}
	}
	return b.end(l.at), l.next
}

func (b block) end(at int) block {
	b.body = at
	return b
}

func (b *block) take(w int, r role, value string) {
	if w > 0 {
		b.wire++
	}
	if w > 1 {
		b.strong++
	}
	if r == none || b.roles[r] != "" {
		return
	}
	if b.roles[r] = claim.Text(value); r != other && b.roles[r] != "" {
		b.seen++
	}
}

// source reports whether the fields are those of the wire.
func (b *block) source() bool { return b.strong >= 1 && b.wire >= 3 || b.strong >= 2 }

// shown reports whether they are what a program shows.
func (b *block) shown(announced bool) bool {
	return b.roles[from] != "" && (b.seen >= 3 || announced && b.seen >= 2)
}

// found takes the block and what follows as a message.
func (b *block) found(text []byte, decode func([]byte) string) Found {
	f := Found{
		Start: b.first.at, Before: b.before, Source: b.source(),
		From: b.roles[from], To: b.roles[to], Subject: b.roles[subject], Date: b.roles[date],
	}
	f.End = end(text, b, decode)
	f.Raw, f.Whole = text[f.Start:f.End], b.body < f.End && len(bytes.Trim(text[b.body:f.End], " \t\r\n>|")) > 0
	if b.first.quote > 0 {
		f.Raw, f.Unquoted = unquote(f.Raw), true
	}
	return f
}

// end is where the message ends: with the text, at the line that closes it, or where the
// quotation it stands in does.
func end(text []byte, b *block, decode func([]byte) string) int {
	for n, pos := 0, b.body; pos < len(text) && n < linesMost; n++ {
		l := read(text, pos)
		if b.first.quote > 0 && l.quote == 0 && len(bytes.TrimSpace(l.b)) > 0 {
			return pos
		}
		if t := bytes.TrimSpace(l.b); len(t) >= 8 && len(t) <= 200 && (t[0] == '-' || t[0] == '=') && ending(decode(t)) {
			return pos
		}
		pos = l.next
	}
	return len(text)
}

// unquote takes one mark of quotation from each line.
func unquote(b []byte) []byte {
	b = b[:min(len(b), bodiesMost)]
	out := make([]byte, 0, len(b))
	for pos := 0; pos < len(b); {
		_, next := lines.At(b, pos)
		l := b[pos:next]
		if len(l) > 0 && (l[0] == '>' || l[0] == '|') {
			if l = l[1:]; len(l) > 0 && l[0] == ' ' {
				l = l[1:]
			}
		}
		out = append(out, l...)
		pos = next
	}
	return out
}
