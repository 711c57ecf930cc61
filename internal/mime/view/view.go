// Package view turns decoded bodies into what checks look at: text, HTML as text, URLs.
package view

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"postern/internal/mime/fold"
)

// Budget is what a collector may still take. It is shared by all bodies of a message.
type Budget struct {
	Text   int // bytes of text, and of HTML source
	Tokens int // HTML tokens
	URLs   int
}

// Collector gathers the views of one message body by body.
type Collector struct {
	left Budget
	text strings.Builder
	html strings.Builder

	textAt, htmlAt []int // where bodies begin behind the first
	urls           []URL
	seen           map[URL]struct{}
	full           bool
	figs           Figures
	pages          Pages
}

// Figures say how much of what a message shows.
type Figures struct {
	Plain    int // words of plain text
	HTML     int // words that a page shows
	Pictures int // of pages, those that other sites hold included
	Linked   int // pictures that are links
	Hidden   int // places where characters nobody sees take a word apart
}

// NewCollector returns a collector that takes at most b.
func NewCollector(b Budget) *Collector { return &Collector{left: b} }

// Text is the text so far: plain bodies with LF line ends, HTML as a reader sees it.
// Characters that are never seen (zero widths, soft hyphens) are left out.
func (c *Collector) Text() string { return c.text.String() }

// HTML is the HTML source so far.
func (c *Collector) HTML() string { return c.html.String() }

// Views are what a collector gathered.
type Views struct {
	Text, HTML     string
	TextAt, HTMLAt []int // where bodies begin in these behind the first
	URLs           []URL
	Figures        Figures
	Pages          Pages
	Cut            bool // a budget was used up
}

// Views are all views so far.
func (c *Collector) Views() Views {
	return Views{c.Text(), c.HTML(), c.textAt, c.htmlAt, c.urls, c.figs, c.pages, c.full}
}

// URLs are the links so far, in the order found, each pair of link and shown text once.
func (c *Collector) URLs() []URL { return c.urls }

// Figures are the figures so far.
func (c *Collector) Figures() Figures { return c.figs }

// Full reports whether something was left out because a budget was used up.
func (c *Collector) Full() bool { return c.full }

// cut takes as much of b as the text budget allows.
func (c *Collector) cut(b []byte) []byte {
	left := max(0, c.left.Text-c.text.Len())
	if len(b) > left {
		c.full = true
		b = b[:left]
	}
	return b
}

// Plain adds a plain text body in UTF-8.
func (c *Collector) Plain(body []byte) {
	body = c.cut(body)
	c.figs.Plain += words(body)
	c.begin()
	start := c.text.Len()
	c.text.Grow(len(body) + 1)
	for len(body) > 0 {
		i := bytes.IndexByte(body, '\r')
		if i < 0 {
			c.visible(body)
			break
		}
		c.visible(body[:i])
		body = body[i+1:]
		if len(body) == 0 || body[0] != '\n' {
			c.text.WriteByte('\n')
		}
	}
	c.scan(c.text.String()[start:])
}

// words counts what stands between blanks.
func words(b []byte) (n int) {
	before := byte(' ')
	for _, c := range b {
		if c > ' ' && before <= ' ' {
			n++
		}
		before = c
	}
	return n
}

// newline ends the line of what was added before.
func (c *Collector) newline() {
	if s := c.text.String(); s != "" && s[len(s)-1] != '\n' {
		c.text.WriteByte('\n')
	}
}

// begin begins a body in the text.
func (c *Collector) begin() {
	c.newline()
	if n := c.text.Len(); n > 0 {
		c.textAt = append(c.textAt, n)
	}
}

// visible adds text without the characters nobody sees.
func (c *Collector) visible(b []byte) {
	for whole := b; len(b) > 0; {
		i := 0
		for i < len(b) && b[i] < 0xc2 {
			i++
		}
		size := 0
		for i < len(b) {
			r, n := utf8.DecodeRune(b[i:])
			if fold.Hidden(r) {
				size = n
				break
			}
			i += n
		}
		if size > 0 && len(b) == len(whole) {
			c.figs.Hidden += fold.Apart(whole)
		}
		c.text.Write(b[:i])
		b = b[i+size:]
	}
}

// add keeps a link that nobody is shown as one.
func (c *Collector) add(raw, base, shown string) { c.put(raw, base, URL{Text: shown}) }

// put keeps a link; use says what it shows and what it is for.
func (c *Collector) put(raw, base string, use URL) {
	if len(c.urls) >= c.left.URLs {
		c.full = true
		return
	}
	u, ok := parseURL(raw, base)
	if !ok {
		return
	}
	u.Text, u.Anchor = use.Text, use.Anchor
	if c.seen == nil {
		c.seen = make(map[URL]struct{})
	}
	if _, have := c.seen[u]; have {
		return
	}
	c.seen[u] = struct{}{}
	u.Embedded = use.Embedded
	c.urls = append(c.urls, u)
}
