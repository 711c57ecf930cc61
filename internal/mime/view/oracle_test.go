package view_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"pgregory.net/rapid"

	"postern/internal/mime/view"
)

// oracle says of each word of a page whether it is seen, from the tree that a browser makes of
// it: only what the generated pages use is known here, each by its definition.
type oracle struct {
	classes map[string]string // declarations by class
	seen    map[string]bool   // by word
}

// appearance is what an element inherits.
type appearance struct {
	gone, unseen bool
	size         float64 // pixels
	ink, ground  string
}

func (o *oracle) walk(n *html.Node, a appearance) {
	switch n.Type {
	case html.TextNode:
		for w := range strings.FieldsSeq(n.Data) {
			o.seen[w] = !a.gone && !a.unseen && a.size > 2 && a.ink != a.ground
		}
	case html.ElementNode:
		if n.Data == "style" || n.Data == "title" {
			return
		}
		a = o.element(n, a)
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		o.walk(c, a)
	}
}

func (o *oracle) element(n *html.Node, a appearance) appearance {
	var css string
	hidden := false
	for _, attr := range n.Attr {
		switch attr.Key {
		case "hidden":
			hidden = true
		case "color":
			a.ink = attr.Val
		case "bgcolor":
			a.ground = attr.Val
		case "class":
			css = o.classes[attr.Val] + ";" + css
		case "style":
			css += ";" + attr.Val
		}
	}
	set := map[string]string{}
	for one := range strings.SplitSeq(css, ";") {
		if name, value, ok := strings.Cut(one, ":"); ok {
			set[name] = value
		}
	}
	if hidden && set["display"] == "" {
		set["display"] = "none" // as a browser's own sheet has it
	}
	return a.with(set)
}

func (a appearance) with(set map[string]string) appearance {
	a.gone = a.gone || set["display"] == "none" || set["opacity"] == "0" || set["max-height"] == "0" && set["overflow"] == "hidden" ||
		set["text-indent"] == "-9999px"
	switch set["visibility"] {
	case "hidden":
		a.unseen = true
	case "visible":
		a.unseen = false
	}
	switch set["font-size"] {
	case "0":
		a.size = 0
	case "1px":
		a.size = 1
	case "14px":
		a.size = 14
	case "50%":
		a.size /= 2
	case "1rem":
		a.size = 16
	}
	if c := set["color"]; c != "" {
		a.ink = c
	}
	if c := set["background"]; c != "" {
		a.ground = c
	}
	return a
}

// declarations are those that pages are made with.
var declarations = []string{
	"display:none", "display:block", "display:inline", "visibility:hidden", "visibility:visible", "opacity:0", "opacity:1",
	"font-size:0", "font-size:1px", "font-size:14px", "font-size:50%", "font-size:1rem",
	"max-height:0;overflow:hidden", "max-height:0", "overflow:hidden", "text-indent:-9999px", "text-indent:4px",
	"color:#ffffff", "color:#000000", "color:#336699", "background:#ffffff", "background:#000000", "background:#336699",
}

// maker makes pages whose elements all end where they seem to.
type maker struct {
	t       *rapid.T
	words   int
	classes []string
	b       strings.Builder
}

func (m *maker) word() {
	m.words++
	fmt.Fprintf(&m.b, " w%d ", m.words)
}

func (m *maker) element(level int) {
	tag := rapid.SampledFrom([]string{"div", "span", "b", "font", "center", "i", "blockquote"}).Draw(m.t, "tag")
	m.b.WriteString("<" + tag)
	if rapid.IntRange(0, 2).Draw(m.t, "styled") > 0 {
		all := rapid.SliceOfN(rapid.SampledFrom(declarations), 1, 3).Draw(m.t, "style")
		m.b.WriteString(` style="` + strings.Join(all, ";") + `"`)
	}
	if rapid.IntRange(0, 3).Draw(m.t, "classed") == 0 {
		m.b.WriteString(` class="` + rapid.SampledFrom(m.classes).Draw(m.t, "class") + `"`)
	}
	switch rapid.IntRange(0, 12).Draw(m.t, "old") {
	case 0:
		m.b.WriteString(" hidden")
	case 1:
		m.b.WriteString(` bgcolor="#000000"`)
	case 2:
		m.b.WriteString(` color="#ffffff"`)
	}
	m.b.WriteString(">")
	m.word()
	for range rapid.IntRange(0, 3).Draw(m.t, "children") {
		if level < 6 {
			m.element(level + 1)
		}
		m.word()
	}
	m.b.WriteString("</" + tag + ">")
}

// TestAgainstATree compares what is seen, for any page, with what a browser's tree says.
func TestAgainstATree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &maker{t: t, classes: []string{"a", "b", "c"}}
		o := &oracle{classes: map[string]string{}, seen: map[string]bool{}}
		m.b.WriteString("<html><head><title>title</title><style>\n")
		for _, c := range m.classes {
			o.classes[c] = rapid.SampledFrom(declarations).Draw(t, "rule")
			fmt.Fprintf(&m.b, ".%s { %s }\n", c, o.classes[c])
		}
		m.b.WriteString("</style></head><body>")
		for range rapid.IntRange(1, 4).Draw(t, "elements") {
			m.element(0)
			m.word()
		}
		m.b.WriteString("</body></html>")
		compare(t, m.b.String(), o)
	})
}

func compare(t *rapid.T, page string, o *oracle) {
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	o.walk(root, appearance{size: 16, ink: "#000000", ground: "#ffffff"})
	c := view.NewCollector(view.Budget{Text: 1 << 20, Tokens: 100_000, URLs: 10})
	c.AddHTML([]byte(page))
	p := c.Pages()
	got := strings.Fields(view.Visible(c.Text(), p.Spans))
	for w, seen := range o.seen {
		if slices.Contains(got, w) != seen {
			t.Fatalf("%s is seen: %v, by the tree %v, in\n%s", w, !seen, seen, page)
		}
	}
	sound(t, c, page)
}

// sound says what holds for stretches whatever the page.
func sound(t *rapid.T, c *view.Collector, page string) {
	p := c.Pages()
	at, letters := 0, 0
	for _, s := range p.Spans {
		if s.Start < at || s.End <= s.Start || s.End > len(c.Text()) {
			t.Fatalf("stretch %+v after %d of %d, in\n%s", s, at, len(c.Text()), page)
		}
		at = s.End
		letters += view.Letters(c.Text()[s.Start:s.End])
	}
	if len(p.Spans) < view.MaxSpans && letters != p.Hidden {
		t.Fatalf("%d letters in stretches, %d hidden, in\n%s", letters, p.Hidden, page)
	}
	if p.Lead > p.Hidden || p.Tiny > p.Shown || p.OfImage > p.Anchors {
		t.Fatalf("%+v of\n%s", p, page)
	}
}

// TestAnyTags: whatever order tags stand in, what is told of the page fits together.
func TestAnyTags(t *testing.T) {
	pieces := []string{
		"<p>", "</p>", "<div style='display:none'>", "</div>", "<table>", "<tr>", "<td style='font-size:0'>", "</td>", "</tr>", "</table>",
		"<ul>", "<li hidden>", "</li>", "</ul>", "<a href='http://a.test/'>", "</a>", "<img alt='a picture'>", "<br>", "<title>", "</title>",
		"<select>", "<option style='opacity:0'>", "</select>", "<svg>", "<style>.a{display:none}", "</style>", "<i class=a>", "</i>",
		"<b style='color:#fff'>", "</b>", "<body bgcolor=black>", "</body>", "<o:p/>", "<qq>", "</qq>", "<!-- x -->", "<!--[if mso]><p hidden>x<![endif]-->",
		"word ", "two words", "&nbsp;", "\u200b", "τρία", "<template>", "</template>", "<noscript>", "</noscript>", "<textarea>", "</textarea>",
	}
	rapid.Check(t, func(t *rapid.T) {
		page := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 60).Draw(t, "pieces"), "")
		c := view.NewCollector(view.Budget{Text: 1 << 20, Tokens: 100_000, URLs: 10})
		c.AddHTML([]byte(page))
		c.Plain([]byte("plain\r\n"))
		c.AddHTML([]byte(page))
		sound(t, c, page)
	})
}
