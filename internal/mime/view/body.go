package view

import (
	"bytes"
	"path"
	"strings"

	"postern/internal/mime/charset"
	"postern/internal/mime/param"
)

// Body is a decoded leaf of a message.
type Body struct {
	MediaType string
	Charset   string // as declared; "" = not
	Names     []string
	Attached  bool // not read with the message
	Readings  [][]byte
}

// Add adds every reading of a body, if it is text.
func (c *Collector) Add(b Body) {
	html := b.isHTML()
	if !html && !strings.HasPrefix(b.MediaType, "text/") {
		return
	}
	for _, data := range b.Readings {
		text := b.utf8(data[:min(len(data), c.left.Text+64)]) // a little more than fits, so that the cut is seen
		if html {
			c.addHTML(text, b.Attached)
		} else {
			c.Plain(text)
		}
	}
}

// utf8 is a reading of the body in UTF-8.
func (b Body) utf8(data []byte) []byte {
	name := b.Charset
	if name == "" && b.isHTML() {
		name = metaCharset(data)
	}
	text, _ := charset.UTF8(name, data)
	return text
}

// Sources are the readings of a body that is text in UTF-8 with LF line ends, tags and all,
// together at most so many bytes.
func (b Body) Sources(most int) []string {
	if !b.isHTML() && !strings.HasPrefix(b.MediaType, "text/") {
		return nil
	}
	var out []string
	for _, data := range b.Readings {
		text := b.utf8(data[:min(len(data), most)])
		text = bytes.ReplaceAll(text[:min(len(text), most)], []byte("\r\n"), []byte("\n"))
		if len(text) > 0 {
			out = append(out, string(text))
		}
		most -= len(text)
	}
	return out
}

// isHTML reports whether a mail program would open the body as a page.
func (b Body) isHTML() bool {
	switch b.MediaType {
	case "text/html", "application/xhtml+xml", "text/x-html", "application/html", "image/svg+xml":
		return true
	}
	for _, n := range b.Names {
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
	i := bytes.Index(head, []byte("charset"))
	if i < 0 {
		return ""
	}
	v := param.Parse("x; " + string(head[i:min(len(head), i+60)]))
	name := strings.TrimLeft(v.Params["charset"], `"' `)
	if i := strings.IndexAny(name, `"'>/; `); i >= 0 {
		name = name[:i]
	}
	if !charset.Known(name) || strings.HasPrefix(name, "utf-16") || name == "utf-7" {
		return "" // a page that declares these in ASCII is not in them
	}
	return name
}
