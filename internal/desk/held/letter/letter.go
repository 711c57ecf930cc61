// Package letter makes what a page shows of a held message out of its bytes. All of it is a
// stranger's: it is bounded, and what would hide or turn text around is named, not obeyed.
package letter

import (
	"strings"
	"unicode/utf8"

	mail "postern/internal/mime"
)

// Bounds of what a page shows of a message.
const (
	MaxRead   = 4 << 20   // octets of the message that are looked at
	MaxText   = 200 << 10 // octets of text
	MaxHTML   = 1 << 20
	MaxParts  = 200
	MaxFields = 300
	MaxField  = 8 << 10 // octets of one field
	MaxLinks  = 200
	MaxHops   = 30
	maxName   = 200 // characters of a file name
)

// Letter is what a page shows of a message.
type Letter struct {
	Fields     []Field
	MoreFields int
	Text       []Line
	Cut        bool // there is more of the text
	Short      bool // only the beginning of the message was looked at
	HTML       bool // there is an HTML part
	Parts      []Part
	MoreParts  int
	Hops       []Hop
	MoreHops   int
	Links      []Link
	MoreLinks  int
	From       string // domain of the author
	Problems   []string

	tree *mail.Tree
}

// Field is a field of the header, as it was written.
type Field struct {
	Name  string
	Value []Span
}

// Part is something that can be taken home.
type Part struct {
	Path, Kind string
	Name       []Span
	File       string // a harmless name for a disk
	Size       int
}

// Link is a link of the message: what it shows, and where it leads.
type Link struct {
	N     int
	Shown []Span // "" when it shows itself
	URL   []Span
	Host  string
	Web   bool // it leads to a web page
	Other bool // it shows another host than it leads to
}

// Read looks at a message, or at the beginning of one.
func Read(raw []byte, short bool) *Letter {
	limits := mail.DefaultLimits()
	limits.Text, limits.URLs, limits.Parts = MaxHTML, MaxLinks+1000, 1000
	l := &Letter{Short: short, tree: mail.Bytes(raw, limits)}
	for _, p := range l.tree.Unscannable {
		l.Problems = append(l.Problems, Printable(p))
	}
	var received []string
	for i, f := range l.tree.Root.Header.Fields {
		if strings.EqualFold(f.Name, "Received") {
			received = append(received, f.Value)
		}
		if i >= MaxFields {
			l.MoreFields++
			continue
		}
		l.Fields = append(l.Fields, Field{Printable(Clip(f.Name, 100)), Spans(Clip(f.Value, MaxField))})
	}
	l.Hops, l.MoreHops = hops(received)
	text := l.tree.Text()
	l.Cut = len(text) > MaxText || l.tree.ViewCut()
	l.Text = Lines(Clip(text, MaxText))
	l.parts()
	l.links()
	if from := l.tree.From(); len(from) > 0 {
		_, l.From, _ = strings.Cut(from[0].Address, "@")
	}
	return l
}

func (l *Letter) parts() {
	for p := range l.tree.Leaves() {
		l.HTML = l.HTML || p.MediaType == "text/html"
		if len(l.Parts) == MaxParts {
			l.MoreParts++
			continue
		}
		x := Part{Path: p.Path, Kind: Printable(Clip(p.MediaType, 100)), Size: len(p.Decoded())}
		if len(p.FileNames) > 0 {
			x.Name = Spans(Clip(p.FileNames[0], maxName))
			x.File = File(p.FileNames[0])
		}
		l.Parts = append(l.Parts, x)
	}
}

func (l *Letter) links() {
	for n, u := range l.tree.URLs() {
		if len(l.Links) == MaxLinks {
			l.MoreLinks++
			continue
		}
		x := Link{N: n, URL: Spans(u.Raw), Host: Printable(u.Host), Web: web(u.Raw) != ""}
		if u.Text != "" && u.Text != u.Raw {
			x.Shown = Spans(Clip(u.Text, 300))
			x.Other = otherHost(u.Text, u.Host)
		}
		l.Links = append(l.Links, x)
	}
}

// otherHost reports whether a text that looks like an address of the web names another host.
func otherHost(text, host string) bool {
	text = strings.ToLower(strings.TrimSpace(text))
	if strings.ContainsAny(text, " \t\n") || !strings.Contains(text, ".") {
		return false
	}
	_, rest, found := strings.Cut(text, "://")
	if !found {
		rest = text
	}
	if i := strings.IndexAny(rest, "/?#:"); i >= 0 {
		rest = rest[:i]
	}
	return strings.Contains(rest, ".") && strings.TrimPrefix(rest, "www.") != strings.TrimPrefix(host, "www.")
}

// Link returns where the link of that number leads, "" when it is no web page.
func (l *Letter) Link(n int) (Link, string) {
	for _, x := range l.Links {
		if x.N == n {
			return x, web(l.tree.URLs()[n].Raw)
		}
	}
	return Link{}, ""
}

// Part returns the bytes of a part.
func (l *Letter) Part(path string) (p Part, body []byte, ok bool) {
	for leaf := range l.tree.Leaves() {
		if leaf.Path == path {
			p := Part{Path: path, Kind: leaf.MediaType}
			if len(leaf.FileNames) > 0 {
				p.File = File(leaf.FileNames[0])
			}
			return p, leaf.Decoded(), true
		}
	}
	return p, nil, false
}

// Clip cuts text to n octets between characters.
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// File is a name under which a part can lie on a disk: plain characters, no path, and an ending
// that no system opens by itself.
func File(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	var out strings.Builder
	for _, r := range Clip(name, 80) {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.' && out.Len() > 0:
			out.WriteRune(r)
		default:
			out.WriteByte('_')
		}
	}
	return out.String()
}
