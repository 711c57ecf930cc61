package view

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxShown bounds the shown text kept with a link, in bytes.
const maxShown = 300

// AddHTML adds an HTML body in UTF-8: its source, its text, its links, and what of it is seen.
func (c *Collector) AddHTML(src []byte) { c.addHTML(src, false) }

func (c *Collector) addHTML(src []byte, attached bool) {
	if left := max(0, c.left.Text-c.html.Len()); len(src) > left {
		c.full = true
		src = src[:left]
	}
	if c.html.Len() > 0 {
		c.html.WriteByte('\n')
		c.htmlAt = append(c.htmlAt, c.html.Len())
	}
	c.html.Write(src)
	c.begin()
	start := c.text.Len()
	p := page{c: c, scanned: start, anchor: -1, file: attached}
	if !attached {
		p.sight = newSight(c, src)
	}
	p.read(src)
	p.closeAnchor()
	if !attached {
		c.pages.Texts = append(c.pages.Texts, Range{start, c.text.Len()})
	}
	c.scan(c.text.String()[p.scanned:])
}

// page reads one HTML source.
type page struct {
	c       *Collector
	base    string
	hide    int    // open script and style elements
	href    string // of the open link
	anchor  int    // where its shown text begins; -1 = no open link
	scanned int    // how far text was searched for bare links
	space   bool   // a blank is owed before the next word
	nested  bool   // inside a conditional comment
	file    bool   // the page is attached
	sight   *sight // nil where nobody looks: in files and comments
}

func (p *page) read(src []byte) {
	z := html.NewTokenizer(bytes.NewReader(src))
	for p.c.left.Tokens > 0 {
		p.c.left.Tokens--
		switch z.Next() {
		case html.ErrorToken:
			return
		case html.TextToken:
			if p.hide == 0 && !p.nested {
				p.text(z.Text())
			}
		case html.StartTagToken:
			p.start(z, false)
		case html.SelfClosingTagToken:
			p.start(z, true)
		case html.EndTagToken:
			name, _ := z.TagName()
			p.end(atom.Lookup(name))
		case html.CommentToken:
			p.comment(z.Text())
		}
	}
	p.c.full = true
}

func (p *page) start(z *html.Tokenizer, closed bool) {
	name, more := z.TagName()
	tag := atom.Lookup(name)
	switch tag {
	case atom.Noscript, atom.Noframes, atom.Noembed:
		z.NextIsNotRawText() // mail programs run no scripts, so they show what is inside
	case atom.Script, atom.Style:
		p.hide = 1
	case atom.A:
		p.closeAnchor()
	case atom.Img:
		p.picture()
	}
	p.breakFor(tag)
	var m marks
	var meta string
	for more {
		var key, val []byte
		key, val, more = z.TagAttr()
		if tag == atom.Meta && string(key) == "content" {
			meta = string(val)
		}
		p.attribute(tag, key, val)
		m.note(key, val)
	}
	if i := strings.Index(strings.ToLower(meta), "url="); i >= 0 {
		p.c.add(strings.Trim(meta[i+len("url="):], `'" `), p.base, "")
	}
	if p.sight != nil {
		p.sight.begin(tag, name, closed, &m)
	}
}

// attribute takes what an attribute leads to or says.
func (p *page) attribute(tag atom.Atom, key, val []byte) {
	switch string(key) {
	case "href", "xlink:href":
		p.link(tag, string(val))
	case "src", "background", "poster", "data":
		p.c.put(string(val), p.base, URL{Embedded: true})
	case "action", "formaction", "ping":
		p.c.add(string(val), p.base, "")
		if string(key) != "ping" {
			p.form(string(val))
		}
	case "alt":
		if tag == atom.Img && !p.nested {
			said := p.c.figs.HTML
			p.instead(val)
			p.c.figs.HTML = said // a word that stands for a picture is none
		}
	case "type":
		if tag == atom.Input && strings.EqualFold(string(val), "password") {
			p.secret()
		}
	default:
		if len(key) > 4 && key[0] == 'o' && key[1] == 'n' && !p.nested && !p.file {
			p.c.pages.Handler++
		}
	}
}

// picture counts one that is shown.
func (p *page) picture() {
	if p.nested {
		return
	}
	p.c.figs.Pictures++
	if p.anchor >= 0 {
		p.c.figs.Linked++
	}
}

// link takes an href.
func (p *page) link(tag atom.Atom, val string) {
	switch {
	case tag == atom.Base:
		if p.base == "" {
			p.base = val
			if u, ok := parseURL(val, ""); ok && p.sight != nil {
				p.c.pages.Base = u.Host
			}
		}
	case tag == atom.A && !p.nested:
		p.flushBlank()
		if p.sight != nil {
			p.sight.words, p.sight.image = false, false
		}
		p.c.scan(p.c.text.String()[p.scanned:])
		p.href, p.anchor = val, p.c.text.Len()
		p.scanned = p.anchor
	default:
		p.c.put(val, p.base, URL{Embedded: tag == atom.Link})
	}
}

func (p *page) end(tag atom.Atom) {
	switch tag {
	case atom.A:
		p.closeAnchor()
	case atom.Script, atom.Style:
		p.hide = 0
	}
	if p.sight != nil {
		p.sight.end(tag)
	}
	p.breakFor(tag)
}

// closeAnchor ends the open link; its text is not searched for links again.
func (p *page) closeAnchor() {
	if p.anchor < 0 {
		return
	}
	all := p.c.text.String()
	shown := strings.TrimSpace(all[p.anchor:])
	if len(shown) > maxShown {
		shown = strings.ToValidUTF8(shown[:maxShown], "")
	}
	p.c.put(p.href, p.base, URL{Text: shown, Anchor: true})
	if p.sight != nil {
		p.c.pages.Anchors++
		if p.sight.image && !p.sight.words {
			p.c.pages.OfImage++
		}
	}
	p.anchor, p.href, p.scanned = -1, "", len(all)
}

// breakFor begins a new line at block elements and a blank at cells.
func (p *page) breakFor(tag atom.Atom) {
	switch tag {
	case atom.Br, atom.P, atom.Div, atom.Tr, atom.Table, atom.Li, atom.Ul, atom.Ol, atom.H1, atom.H2, atom.H3,
		atom.H4, atom.H5, atom.H6, atom.Blockquote, atom.Pre, atom.Hr, atom.Title, atom.Form, atom.Center, atom.Option,
		atom.Section, atom.Article, atom.Header, atom.Footer, atom.Body, atom.Dt, atom.Dd:
		p.space = false
		p.c.newline()
	case atom.Td, atom.Th, atom.Img:
		p.space = true
	}
}

// flushBlank writes the blank that is owed.
func (p *page) flushBlank() {
	if p.space {
		p.space = false
		if s := p.c.text.String(); s != "" && s[len(s)-1] != '\n' && s[len(s)-1] != ' ' {
			p.c.text.WriteByte(' ')
		}
	}
}

// text adds shown text, runs of blanks as one.
func (p *page) text(b []byte) {
	b = p.c.cut(b)
	for len(b) > 0 {
		n := blank(b)
		if n > 0 {
			p.space = true
			b = b[n:]
			continue
		}
		p.c.figs.HTML++
		i := 1
		for i < len(b) && b[i] > ' ' && b[i] != 0xc2 && b[i] != 0x7f {
			i++
		}
		p.flushBlank()
		start := p.c.text.Len()
		p.c.visible(b[:i])
		if p.sight != nil {
			p.sight.word(start)
		}
		b = b[i:]
	}
}

// blank returns the length of the blank b begins with; 0 = none.
func blank(b []byte) int {
	switch {
	case b[0] <= ' ':
		return 1
	case b[0] == 0xc2 && len(b) > 1 && b[1] == 0xa0:
		return 2
	}
	return 0
}

// comment looks for links in what only some mail programs read.
func (p *page) comment(b []byte) {
	if p.nested || !bytes.HasPrefix(bytes.TrimLeft(b, " "), []byte("[if")) || !utf8.Valid(b) {
		return
	}
	inner := page{c: p.c, base: p.base, anchor: -1, nested: true}
	inner.read(bytes.Clone(b))
}
