package view

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html/atom"

	"postern/internal/mime/style"
)

// Bounds of what is told of pages.
const (
	MaxDepth = 512    // elements within each other; those deeper look like the last of these
	MaxSpans = 10_000 // stretches of text that are not seen
	MaxForms = 50
)

// Pages says what the pages of a message are made of, and what of their text is seen: those that
// are read with the message, and the forms of attached ones.
type Pages struct {
	Shown   int     // bytes of letters and digits that are seen
	Hidden  int     // bytes of letters and digits that are not
	Lead    int     // those of them before all that is seen
	Tiny    int     // bytes of letters and digits that are seen and too small to be read
	Texts   []Range // where in the text of all bodies that of pages stands
	Spans   []Span  // text that is not seen, in rising order
	Anchors int     // links that can be clicked
	OfImage int     // those of them that show a picture and no word
	Forms   []Form
	Handler int    // attributes that are scripts
	Base    string // host that short links are completed with, "" = none
	Empty   int    // elements for letters without a letter
	Unknown int    // elements that no version of HTML has
}

// Range is a stretch of the text of all bodies.
type Range struct{ Start, End int }

// Span is a stretch of text that is not seen.
type Span struct {
	Range
	Cause style.Cause
	Lead  bool // nothing of its page is seen before it
}

// Form is where one form of a page sends what is typed into it.
type Form struct {
	Raw, Host string // as of a URL
	Attached  bool   // the page is a file
	Secret    bool   // it has a field for a password
}

// Pages are what was seen of pages so far.
func (c *Collector) Pages() Pages { return c.pages }

// frame is an open element.
type frame struct {
	tag   atom.Atom
	look  style.Look
	begin int // of its text
	keeps bool
}

// sight follows which elements are open and whether text inside is seen.
type sight struct {
	c      *Collector
	sheet  *style.Sheet
	open   []frame
	deeper int // elements open beyond MaxDepth
	look   style.Look
	cause  style.Cause
	shown  bool // a word of the page was seen
	silent bool // words are no text of the page: its title, what stands for a picture
	words  bool // the open link has words that are seen
	image  bool // it has a picture
}

func newSight(c *Collector, src []byte) *sight {
	s := &sight{c: c, sheet: style.Sheets(src), open: make([]frame, 0, 32)}
	s.look = style.Page(s.sheet.Unsure())
	return s
}

// marks are the attributes of an element that say how it looks.
type marks struct {
	class, id, style   []byte
	color, ground      []byte
	hidden, background bool
}

// note takes an attribute.
func (m *marks) note(key, val []byte) {
	switch string(key) {
	case "style":
		m.style = val
	case "class":
		m.class = val
	case "id":
		m.id = val
	case "color", "text":
		m.color = val
	case "bgcolor":
		m.ground = val
	case "hidden":
		m.hidden = true
	case "background":
		m.background = true
	}
}

// begin opens an element.
func (s *sight) begin(tag atom.Atom, name []byte, closed bool, m *marks) {
	s.implied(tag)
	switch {
	case tag == 0 && !bytes.ContainsAny(name, ":-"):
		s.c.pages.Unknown++
	case tag == atom.Img:
		s.keep()
		s.image = true
	}
	if void(tag) || tag == 0 && closed {
		return
	}
	if len(s.open) == MaxDepth {
		s.deeper++
		return
	}
	d, switched := s.sheet.Of(tag.String(), m.class, m.id, m.style)
	s.open = append(s.open, frame{tag: tag, look: s.look, begin: s.c.text.Len()})
	s.silent = s.silent || tag == atom.Title
	if tag == atom.A {
		s.look = s.look.Link()
	}
	if m.color != nil || m.ground != nil || m.hidden || m.background {
		d = m.old(&d)
	}
	if tag == atom.Template || tag == atom.Datalist {
		d.Hide()
	}
	before := s.look
	s.look = s.look.With(&d)
	if switched && s.look.Cause() != style.Seen && before.Cause() == style.Seen {
		s.look = before // seen on some screens
	}
	s.cause = s.look.Cause()
}

// old are the old attributes below the declarations.
func (m *marks) old(over *style.Decl) style.Decl {
	var d style.Decl
	if m.color != nil {
		d.Ink(m.color)
	}
	if m.ground != nil {
		d.Ground(m.ground)
	}
	if m.background {
		d.Picture()
	}
	if m.hidden {
		d.Hide()
	}
	d.Add(over)
	return d
}

// void reports elements that hold nothing.
func void(tag atom.Atom) bool {
	switch tag {
	case atom.Br, atom.Img, atom.Hr, atom.Input, atom.Meta, atom.Link, atom.Area, atom.Base, atom.Basefont, atom.Col, atom.Embed,
		atom.Source, atom.Track, atom.Wbr, atom.Param, atom.Frame:
		return true
	}
	return false
}

// implied closes what the beginning of another element ends.
func (s *sight) implied(tag atom.Atom) {
	if len(s.open) == 0 || s.deeper > 0 {
		return
	}
	switch top := s.open[len(s.open)-1].tag; tag {
	case atom.P, atom.Div, atom.Table, atom.Ul, atom.Ol, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Center, atom.Hr, atom.Blockquote:
		if top == atom.P {
			s.pop(len(s.open) - 1)
		}
	case atom.Li, atom.Option:
		if top == tag {
			s.pop(len(s.open) - 1)
		}
	case atom.Td, atom.Th:
		if top == atom.Td || top == atom.Th {
			s.pop(len(s.open) - 1)
		}
	case atom.Tr, atom.Tbody:
		for n := len(s.open); n > 0; n-- {
			if t := s.open[n-1].tag; t != atom.Td && t != atom.Th && t != atom.Tr {
				break
			}
			s.pop(n - 1)
		}
	case atom.Body:
		s.silent = false // a title that was never closed
	}
}

// end closes an element, and what is open inside.
func (s *sight) end(tag atom.Atom) {
	if tag == atom.Body || tag == atom.Html || void(tag) {
		return // mail programs show what follows as they show the page
	}
	if s.deeper > 0 {
		s.deeper--
		return
	}
	for i := len(s.open) - 1; i >= 0; i-- {
		t := s.open[i].tag
		if t == tag {
			s.pop(i)
			return
		}
		if cell := t == atom.Td || t == atom.Th || t == atom.Table; cell && !ofTable(tag) {
			return
		}
	}
}

func ofTable(tag atom.Atom) bool {
	switch tag {
	case atom.Table, atom.Tr, atom.Td, atom.Th, atom.Tbody, atom.Thead, atom.Tfoot:
		return true
	}
	return false
}

// pop closes the open elements from the nth on.
func (s *sight) pop(n int) {
	at := s.c.text.Len()
	for i := len(s.open) - 1; i >= n; i-- {
		f := &s.open[i]
		switch f.tag {
		case atom.Title:
			s.silent = false
		case atom.Span, atom.Font, atom.B, atom.I, atom.U, atom.Em, atom.Strong, atom.Big, atom.Small:
			if f.begin == at && !f.keeps {
				s.c.pages.Empty++
			}
		}
	}
	s.look = s.open[n].look
	s.cause = s.look.Cause()
	s.open = s.open[:n]
}

// keep says that the open elements are there for a picture.
func (s *sight) keep() {
	for i := len(s.open) - 1; i >= 0 && !s.open[i].keeps; i-- {
		s.open[i].keeps = true
	}
}

// word says where in the text a word was put.
func (s *sight) word(start int) {
	end := s.c.text.Len()
	if s.silent || start == end {
		return
	}
	p := &s.c.pages
	n := Letters(s.c.text.String()[start:end])
	if s.cause == style.Seen {
		s.shown, s.words = s.shown || n > 0, s.words || n > 0
		p.Shown += n
		if s.look.Tiny() {
			p.Tiny += n
		}
		return
	}
	p.Hidden += n
	if !s.shown {
		p.Lead += n
	}
	if n := len(p.Spans) - 1; n >= 0 {
		last := &p.Spans[n]
		gap := start - last.End
		if last.Cause == s.cause && last.Lead == !s.shown && (gap == 0 || gap == 1 && s.c.text.String()[last.End] <= ' ') {
			last.End = end
			return
		}
	}
	if len(p.Spans) < MaxSpans {
		p.Spans = append(p.Spans, Span{Range: Range{start, end}, Cause: s.cause, Lead: !s.shown})
	}
}

// Letters counts the bytes of letters and digits.
func Letters(s string) (n int) {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' {
				n++
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			n += size
		}
		i += size
	}
	return n
}

// instead adds text that stands for a picture.
func (p *page) instead(val []byte) {
	if p.sight == nil {
		p.text(val)
		return
	}
	was := p.sight.silent
	p.sight.silent = true
	p.text(val)
	p.sight.silent = was
}

// form notes where a form leads.
func (p *page) form(action string) {
	if u, ok := parseURL(action, p.base); ok && !p.nested && len(p.c.pages.Forms) < MaxForms {
		p.c.pages.Forms = append(p.c.pages.Forms, Form{Raw: u.Raw, Host: u.Host, Attached: p.file})
	}
}

// secret notes that the last form asks for a password.
func (p *page) secret() {
	if n := len(p.c.pages.Forms); n > 0 && !p.nested {
		p.c.pages.Forms[n-1].Secret = true
	}
}

// Visible is the text of which what is not seen is left out.
func Visible(text string, spans []Span) string {
	if len(spans) == 0 {
		return text
	}
	out := make([]byte, 0, len(text))
	at := 0
	for _, s := range spans {
		out = append(out, text[at:s.Start]...)
		at = s.End
	}
	return string(append(out, text[at:]...))
}
