package complaint

import (
	"bytes"
	"regexp"
	"strings"

	"postern/abuse/complaint/claim"
	"postern/abuse/complaint/decipher"
	"postern/abuse/complaint/inner"
	"postern/abuse/complaint/pasted"
	"postern/abuse/complaint/redact"
	"postern/internal/mime"
	"postern/internal/mime/view"
)

// texts are the parts that hold what a person wrote, HTML only where nothing else does.
func (p *parser) texts() (plain, html []*mime.Part) {
	for part := range inner.Top(p.tree) {
		if !part.IsLeaf() || part.Disposition == "attachment" {
			continue
		}
		if _, is := inner.Read(part); is {
			continue
		}
		switch part.MediaType {
		case "text/html", "application/xhtml+xml":
			html = append(html, part)
		case "text/plain", "text/enriched", "text/x-amp-html", "text":
			plain = append(plain, part)
		default:
			if strings.HasPrefix(part.MediaType, "text/") && part.MediaType != "text/csv" && part.MediaType != "text/calendar" {
				plain = append(plain, part)
			}
		}
	}
	return plain, html
}

// words reads a report that is text alone: with a message pasted into it, or without.
func (p *parser) words() {
	plain, html := p.texts()
	for _, part := range plain {
		if p.pasted(part) {
			return
		}
	}
	p.write(nil)
	p.unknown()
	if p.r.Text == "" {
		return
	}
	p.r.Format = Plain
	if len(html) == 0 {
		return
	}
	text := []byte(p.r.Text)
	if f, ok := pasted.Find(text, func(b []byte) string { return string(b) }); ok {
		p.r.Format = Pasted
		p.problem("the message was taken out of HTML; its bytes are not those of the message")
		p.paste(f)
		p.r.Text = strings.TrimSpace(string(text[:f.Before]) + string(text[f.End:]))
		p.language(p.r.Text)
	}
}

// unknown names the attachments nothing was read from.
func (p *parser) unknown() {
	if p.tree.Root.Header.Has("X-XARF") || p.tree.Root.Header.Has("X-ARF") {
		p.problem("the report calls itself X-ARF of a version before 3, which is not read")
	}
	for part := range inner.Top(p.tree) {
		if part.IsLeaf() && (part.Disposition == "attachment" || !strings.HasPrefix(part.MediaType, "text/") && !strings.HasPrefix(part.MediaType, "multipart/")) {
			p.problem("nothing was read from an attachment of type %s", part.MediaType)
		}
	}
}

// pasted looks for a message in one text.
func (p *parser) pasted(part *mime.Part) bool {
	text := part.Decoded()
	f, ok := pasted.Find(text, decipher.Lines(part.Charset, text))
	if !ok {
		return false
	}
	p.r.Format = Pasted
	if part.Encoding != "" && !bytes.Equal(text, part.Body()) {
		p.problem("the text was under %s; the bytes of the message are what that decodes to", part.Encoding)
	}
	p.paste(f)
	p.write(&own{part, append(append([]byte(nil), text[:f.Before]...), text[f.End:]...)})
	return true
}

// paste takes a message out of a text.
func (p *parser) paste(f pasted.Found) {
	p.r.Original, p.r.Whole = f.Raw, f.Whole
	c := &p.r.Claims
	if f.Source {
		p.facts(f.Raw)
		if f.Whole {
			p.problem("where the pasted message ends is not certain")
		}
	} else {
		p.problem("the header is the one a mail program shows, not that of the message")
		c.From, c.Subject, c.Sent = claim.Address(f.From), f.Subject, f.Date
		c.RcptTo = claim.Add(c.RcptTo, claim.Address(f.To))
	}
	if f.Unquoted {
		p.problem("the message was quoted; the marks of quotation were left out")
	}
}

// own is a text of which a part is somebody else's.
type own struct {
	part *mime.Part
	rest []byte
}

// write gathers what the person wrote, and its language.
func (p *parser) write(except *own) {
	plain, html := p.texts()
	c := view.NewCollector(view.Budget{Text: p.o.Text, Tokens: 20_000, URLs: p.o.Text})
	for _, part := range plain {
		data := part.Decoded()
		if except != nil && except.part == part {
			data = except.rest
		}
		c.Plain([]byte(p.decode(part.Charset, data)))
	}
	if strings.TrimSpace(c.Text()) == "" {
		for _, part := range html {
			name := part.Charset
			if name == "" {
				name = declared(part.Decoded())
			}
			c.AddHTML([]byte(p.decode(name, part.Decoded())))
		}
	}
	if text := strings.TrimSpace(shown(c.Text())); text != "" {
		p.r.Text = text
	}
	if c.Full() {
		p.problem("the text is longer than %d bytes; the rest was not kept", p.o.Text)
	}
	p.language(p.r.Text)
}

// decode reads at most what the text may hold.
func (p *parser) decode(charset string, data []byte) string {
	r := decipher.Text(charset, data[:min(len(data), 3*p.o.Text)])
	if r.Problem != "" {
		p.problem("%s", r.Problem)
	}
	return r.Text
}

var meta = regexp.MustCompile(`(?i)<meta[^>]{0,200}charset\s*=\s*["']?([a-z0-9_-]{2,30})`)

// declared is the charset an HTML source names.
func declared(src []byte) string {
	m := meta.FindSubmatch(src[:min(len(src), 2048)])
	if m == nil || strings.HasPrefix(strings.ToLower(string(m[1])), "utf-") {
		return ""
	}
	return string(m[1])
}

// shown is text without what moves a terminal.
func shown(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// redacted reports whether somebody took addresses out of a report.
func redacted(r Report) bool {
	looks := func(a string) bool {
		local, _, ok := strings.Cut(a, "@")
		return a != "" && redact.Looks(local) && (ok || strings.ContainsAny(local, "xX*[<=rR"))
	}
	for _, a := range append([]string{r.Claims.MailFrom}, r.Claims.RcptTo...) {
		if looks(a) {
			return true
		}
	}
	if r.Original == nil {
		return false
	}
	h, _ := inner.Header(r.Original)
	for _, name := range []string{"To", "Cc", "Delivered-To", "From"} {
		if looks(claim.Address(h.Get(name))) {
			return true
		}
	}
	return false
}
