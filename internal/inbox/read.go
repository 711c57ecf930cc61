package inbox

import (
	"bytes"
	"context"
	"strings"

	"postern/internal/entity"
	"postern/internal/mime"
	"postern/internal/mime/charset"
	"postern/internal/mime/header"
	"postern/internal/mime/view"
)

// Bounds of what is shown of a message.
const (
	MaxFields      = 200       // header fields
	MaxField       = 4 << 10   // octets of a field
	MaxShown       = 256 << 10 // octets of the text, and of the HTML
	MaxAttachments = 100
	MaxName        = 255 // octets of a file's name
)

// Full is a message with what stands in it.
type Full struct {
	Message

	Headers     []Field      `json:"headers"`              // decoded, in the order written; the gateway's own first
	Text        string       `json:"text"`                 // of its plain parts
	HTML        string       `json:"html"`                 // the source of its HTML parts, decoded: a text like any other, nothing was made safe
	HTMLText    string       `json:"html_text"`            // what one reads of the HTML
	Links       []string     `json:"links"`                // in the text and the HTML
	Attachments []Attachment `json:"attachments"`          // parts that are no text to be read, and named ones
	Cut         bool         `json:"cut,omitempty"`        // a bound kept something out
	Unreadable  []string     `json:"unreadable,omitempty"` // why it cannot be read for certain
}

// Field is one header field.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Attachment is one part of a message.
type Attachment struct {
	Name string `json:"name,omitempty"`
	Type string `json:"type"`
	Size int    `json:"size"` // octets, decoded
}

// Read returns a message with what stands in it.
func (b *Box) Read(ctx context.Context, id string) (Full, error) {
	m, err := b.Get(ctx, id)
	if err != nil {
		return Full{}, err
	}
	raw, err := b.Body(ctx, m, entity.MaxBlob)
	if err != nil {
		return Full{}, err
	}
	return read(m, raw), nil
}

// read decodes a message inside its bounds.
func read(m Message, raw []byte) Full {
	out := Full{Message: m, Headers: []Field{}, Links: []string{}, Attachments: []Attachment{}}
	limits := mime.DefaultLimits()
	limits.Text = MaxShown
	t, err := mime.Walk(bytes.NewReader(raw), int64(len(raw)), limits)
	if err != nil {
		out.Unreadable = []string{"the message cannot be read"}
		return out
	}
	for _, f := range t.Root.Header.Fields {
		if len(out.Headers) == MaxFields {
			out.Cut = true
			break
		}
		value := header.Words(f.Value)
		out.Cut = out.Cut || len(value) > MaxField
		out.Headers = append(out.Headers, Field{clip(f.Name, MaxName), clip(value, MaxField)})
	}
	out.parts(t)
	for _, why := range t.Unscannable[:min(len(t.Unscannable), 10)] {
		out.Unreadable = append(out.Unreadable, clip(why, MaxText))
	}
	return out
}

// parts gathers the text, the HTML and the files.
func (f *Full) parts(t *mime.Tree) {
	var text strings.Builder
	for _, p := range t.Parts {
		if p.Alternate || !p.IsLeaf() {
			continue
		}
		html := p.MediaType == "text/html" || p.MediaType == "application/xhtml+xml"
		shown := p.Disposition != "attachment" && len(p.FileNames) == 0 && (html || p.MediaType == "text/plain")
		if !shown {
			f.attach(p)
			continue
		}
		if html {
			continue
		}
		plain, _ := charset.UTF8(p.Charset, p.Decoded())
		if room := MaxShown - text.Len(); room > 0 {
			text.WriteString(clip(string(plain), room))
		}
		f.Cut = f.Cut || text.Len() >= MaxShown
	}
	f.Text = strings.ReplaceAll(text.String(), "\r\n", "\n")
	f.HTML = clip(t.HTMLText(), MaxShown)
	c := view.NewCollector(view.Budget{Text: MaxShown, Tokens: 100_000, URLs: 200})
	c.AddHTML([]byte(f.HTML))
	f.HTMLText = clip(c.Text(), MaxShown)
	for _, u := range t.URLs() {
		if len(f.Links) < 200 {
			f.Links = append(f.Links, clip(u.Raw, 2048))
		}
	}
	f.Cut = f.Cut || t.ViewCut()
}

func (f *Full) attach(p *mime.Part) {
	if len(f.Attachments) == MaxAttachments {
		f.Cut = true
		return
	}
	a := Attachment{Type: clip(p.MediaType, MaxName), Size: len(p.Decoded())}
	if len(p.FileNames) > 0 {
		a.Name = clip(p.FileNames[0], MaxName)
	}
	f.Attachments = append(f.Attachments, a)
}
