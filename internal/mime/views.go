package mime

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"postern/internal/mime/charset"
	"postern/internal/mime/header"
	"postern/internal/mime/param"
	"postern/internal/mime/view"
)

// views are computed together on first use.
type views struct {
	text, html string
	urls       []URL
	cut        bool
}

func (t *Tree) view() *views {
	t.once.Do(func() {
		c := view.NewCollector(view.Budget{Text: t.lim.Text, Tokens: t.lim.Tokens, URLs: t.lim.URLs})
		for _, alternate := range []bool{false, true} {
			for _, p := range t.Parts {
				if p.Alternate == alternate && p.IsLeaf() {
					p.show(c, t.lim.Text)
				}
			}
		}
		t.views = views{text: c.Text(), html: c.HTML(), urls: c.URLs(), cut: c.Full()}
	})
	return &t.views
}

// Text returns the text of all text parts, HTML as text, in UTF-8 with LF line ends, at most
// Limits.Text bytes. Parts of other readings come last.
func (t *Tree) Text() string { return t.view().text }

// HTMLText returns the decoded source of all HTML parts in UTF-8, at most Limits.Text bytes.
func (t *Tree) HTMLText() string { return t.view().html }

// URLs returns the links of text and HTML parts, at most Limits.URLs.
func (t *Tree) URLs() []URL { return t.view().urls }

// ViewCut reports whether a limit kept something out of the views.
func (t *Tree) ViewCut() bool { return t.view().cut }

// show adds a leaf to the views.
func (p *Part) show(c *view.Collector, limit int) {
	html := p.isHTML()
	if !html && !strings.HasPrefix(p.MediaType, "text/") {
		return
	}
	for _, data := range p.Readings() {
		name := p.Charset
		data = data[:min(len(data), limit+64)] // a little more, so that the collector sees the cut
		if html && name == "" {
			name = metaCharset(data)
		}
		text, _ := charset.UTF8(name, data)
		if html {
			c.AddHTML(text)
		} else {
			c.Plain(text)
		}
	}
}

// isHTML reports whether a mail program would open the part as a page.
func (p *Part) isHTML() bool {
	switch p.MediaType {
	case "text/html", "application/xhtml+xml", "text/x-html", "application/html", "image/svg+xml":
		return true
	}
	for _, n := range p.FileNames {
		switch strings.ToLower(path.Ext(n)) {
		case ".htm", ".html", ".xhtml", ".shtml", ".xht", ".svg":
			return true
		}
	}
	return false
}

// metaCharset finds the charset an HTML source declares in its first kilobyte.
func metaCharset(src []byte) string {
	head := bytes.ToLower(src[:min(len(src), 1024)])
	if i := bytes.Index(head, []byte("charset")); i >= 0 {
		v := param.Parse("x; " + strings.TrimLeft(string(head[i:min(len(head), i+60)]), `"'`))
		name := strings.TrimLeft(v.Params["charset"], `"' `)
		if i := strings.IndexAny(name, `"'>/; `); i >= 0 {
			name = name[:i]
		}
		if charset.Known(name) && !strings.HasPrefix(name, "utf-16") && name != "utf-7" {
			return name
		}
	}
	return ""
}

// FileNames returns every reading of every file name, without repetition.
func (t *Tree) FileNames() []string {
	var out []string
	seen := map[string]struct{}{}
	for _, p := range t.Parts {
		for _, n := range p.FileNames {
			if _, have := seen[n]; !have {
				seen[n] = struct{}{}
				out = append(out, n)
			}
		}
	}
	return out
}

// roots yields the headers of the message in every reading, the plain one first.
func (t *Tree) roots() []*Part {
	out := []*Part{t.Root}
	for _, p := range t.Parts[min(1, len(t.Parts)):] {
		if p.Parent == nil || p.Parent == t.Root && p.Alternate && p.Start == t.Root.Start && p.Header.Has("From") {
			out = append(out, p)
		}
	}
	return out
}

// Subject returns the decoded subject; of several the first.
func (t *Tree) Subject() string { return t.Root.Header.Decoded("Subject") }

// From returns the mailboxes of all From fields in order, those of other readings of the
// header last.
func (t *Tree) From() []Mailbox {
	var out []Mailbox
	for _, p := range t.roots() {
		for _, v := range p.Header.All("From") {
			for _, m := range header.Mailboxes(v) {
				if !slices.Contains(out, m) {
					out = append(out, m)
				}
			}
		}
	}
	return out
}
