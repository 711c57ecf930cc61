package held

import (
	"context"
	"html/template"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/microcosm-cc/bluemonday"

	"postern/internal/desk/page"
	mail "postern/internal/mime"
)

// Bounds of what a page shows of a message.
const (
	maxText  = 200 << 10 // octets of text
	maxHTML  = 1 << 20
	maxParts = 200
)

// message is one held message.
type message struct {
	hold
	Tab        string
	Fields     []field
	Text       string
	Cut        bool // there is more of the text
	HTML       bool // there is an HTML part
	Parts      []part
	MorePart   int
	Problems   []string
	MayRelease bool
	MayDelete  bool
}

type field struct{ Name, Value string }

type part struct {
	Path, Kind, Name string
	Size             int
}

// tabs are the ways to look at a message.
func tabs() []string { return []string{"text", "html", "headers", "parts"} }

// Tabs are the ways to look at this one.
func (m message) Tabs() []string {
	return slices.DeleteFunc(tabs(), func(tab string) bool { return tab == "html" && !m.HTML })
}

func (h *Room) message(w http.ResponseWriter, r *http.Request) {
	m := message{Tab: r.FormValue("tab"), MayRelease: h.Calls.May(r.Context(), "quarantine.release"), MayDelete: h.Calls.May(r.Context(), "quarantine.delete")}
	if !slices.Contains(tabs(), m.Tab) {
		m.Tab = "text"
	}
	x, err := h.show(r.Context(), r.PathValue("id"))
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	m.hold = x
	if x.Open() {
		tree, err := h.tree(r.Context(), x.ID)
		if err != nil {
			h.Kit.Fail(w, r, err)
			return
		}
		m.read(tree)
	}
	title := x.Subject
	if title == "" {
		title = h.Kit.Language(r).Say("held.no-subject")
	}
	h.Kit.Show(w, r, "held-message", page.View{Title: title, Here: "held", Body: m})
}

// bytes are those of a held message.
func (h *Room) bytes(ctx context.Context, id string) ([]byte, error) {
	var out struct {
		Body []byte `json:"body"`
	}
	err := h.Calls.Call(ctx, "quarantine.raw", params{ID: id}, &out)
	return out.Body, err
}

func (h *Room) tree(ctx context.Context, id string) (*mail.Tree, error) {
	raw, err := h.bytes(ctx, id)
	if err != nil {
		return nil, err
	}
	limits := mail.DefaultLimits()
	limits.Text = maxHTML
	return mail.Bytes(raw, limits), nil
}

// read fills in what the page shows of the content.
func (m *message) read(t *mail.Tree) {
	m.Problems = t.Unscannable
	for _, f := range t.Root.Header.Fields {
		m.Fields = append(m.Fields, field{f.Name, printable(f.Value)})
	}
	text := t.Text()
	m.Cut = len(text) > maxText
	m.Text = printable(clip(text, maxText))
	for p := range t.Leaves() {
		m.HTML = m.HTML || p.MediaType == "text/html"
		if len(m.Parts) == maxParts {
			m.MorePart++
			continue
		}
		x := part{Path: p.Path, Kind: p.MediaType, Size: len(p.Decoded())}
		if len(p.FileNames) > 0 {
			x.Name = printable(p.FileNames[0])
		}
		m.Parts = append(m.Parts, x)
	}
}

// clip cuts text to n octets between characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// printable shows control and direction characters instead of obeying them.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\t':
			return c
		case c < 0x20 || c == 0x7f || c >= 0x80 && c < 0xa0:
			return '\uFFFD'
		case c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069 || c == 0x200e || c == 0x200f:
			return '\uFFFD'
		}
		return c
	}, s)
}

// preview lets nothing of a message do anything, nor load anything.
const preview = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'self'"

// html shows the HTML of a message in a frame of its own, without links, scripts and pictures
// from elsewhere.
func (h *Room) html(w http.ResponseWriter, r *http.Request) {
	t, err := h.tree(r.Context(), r.PathValue("id"))
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	source := clip(t.HTMLText(), maxHTML)
	p := bluemonday.NewPolicy()
	p.AllowElements("p", "br", "div", "span", "b", "i", "u", "s", "em", "strong", "small", "sub", "sup", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl", "dt", "dd",
		"blockquote", "pre", "code", "hr", "table", "thead", "tbody", "tfoot", "tr", "td", "th", "caption", "center", "font")
	p.AllowAttrs("colspan", "rowspan", "align", "valign", "width", "height", "bgcolor").OnElements("table", "tr", "td", "th")
	p.AllowAttrs("color", "size").OnElements("font")
	hd := w.Header()
	hd.Set("Content-Type", "text/html; charset=utf-8")
	hd.Set("Content-Security-Policy", preview)
	hd.Set("X-Frame-Options", "SAMEORIGIN")
	hd.Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte("<!doctype html><meta charset=\"utf-8\"><title>.</title>\n" + p.Sanitize(source))) // the reader has gone: nobody to tell
}

// inert hands bytes of a stranger to a reader's disk, never to the browser.
func inert(w http.ResponseWriter, name string, body []byte) {
	hd := w.Header()
	hd.Set("Content-Type", "application/octet-stream")
	hd.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	hd.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	hd.Set("Cache-Control", "no-store")
	_, _ = w.Write(body) // the reader has gone: nobody to tell
}

func (h *Room) raw(w http.ResponseWriter, r *http.Request) {
	raw, err := h.bytes(r.Context(), r.PathValue("id"))
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	inert(w, r.PathValue("id")+".eml", raw)
}

func (h *Room) part(w http.ResponseWriter, r *http.Request) {
	t, err := h.tree(r.Context(), r.PathValue("id"))
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	for p := range t.Leaves() {
		if p.Path == r.PathValue("path") {
			inert(w, r.PathValue("id")+"-"+p.Path+".bin", p.Decoded())
			return
		}
	}
	h.Kit.Fail(w, r, &page.Error{Status: http.StatusNotFound})
}

// Source is where the frame of the HTML tab loads from.
func (m message) Source() template.URL {
	return template.URL("/held/" + template.URLQueryEscaper(m.ID) + "/html") //nolint:gosec // escaped
}
