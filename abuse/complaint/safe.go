package complaint

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"postern/abuse/complaint/claim"
	"postern/abuse/complaint/decipher"
	"postern/internal/mime"
	"postern/internal/mime/header"
	"postern/internal/mime/view"
)

// Bounds of a view.
const (
	viewBytes  = 8 << 20   // of the message that are looked at
	viewText   = 256 << 10 // bytes of text
	viewFields = 300
	viewValue  = 4000 // bytes of one value
	viewLinks  = 200
)

// View is a message as a person may look at it: nothing of it is fetched, run or linked, and
// no character turns, hides or moves what stands beside it.
type View struct {
	Fields   []ViewField `json:"fields"`
	Text     string      `json:"text"` // decoded, links defanged
	Links    []ViewLink  `json:"links,omitempty"`
	Parts    []ViewPart  `json:"parts,omitempty"`
	Charsets []string    `json:"charsets,omitempty"` // what the texts were read as
	Problems []string    `json:"problems,omitempty"`
}

// ViewField is one field of the header, decoded and defanged. Lit fields are those a proof
// rests on or a person looks at first.
type ViewField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Lit   bool   `json:"lit,omitempty"`
}

// ViewLink is one link and what it shows instead, both defanged.
type ViewLink struct {
	URL   string `json:"url"`
	Shown string `json:"shown,omitempty"`
}

// ViewPart is one part with content of its own.
type ViewPart struct {
	Path   string `json:"path"`
	Type   string `json:"type"`
	Name   string `json:"name,omitempty"`
	Size   int    `json:"size"`   // decoded
	SHA256 string `json:"sha256"` // of the decoded bytes
}

// Safe makes a view of a message. The bytes of raw stay as they are.
func Safe(raw []byte) View {
	var v View
	if len(raw) > viewBytes {
		v.problem("only the first %d bytes were looked at", viewBytes)
		raw = raw[:viewBytes]
	}
	t := mime.Bytes(raw, mime.Limits{Depth: 12, Parts: 300, Fields: 1000, Work: 6, Readings: 1, Anomalies: 50, Names: 8, Text: viewText, Tokens: 50_000, URLs: viewLinks})
	for i, u := range t.Unscannable {
		if i < 5 {
			v.problem("not read for certain: %s", u)
		}
	}
	v.bodies(t)
	v.header(t)
	for p := range t.Leaves() {
		sum := sha256.Sum256(p.Decoded())
		part := ViewPart{Path: p.Path, Type: claim.Text(p.MediaType), Size: len(p.Decoded()), SHA256: hex.EncodeToString(sum[:])}
		if len(p.FileNames) > 0 {
			part.Name = claim.Text(p.FileNames[0])
		}
		v.Parts = append(v.Parts, part)
	}
	return v
}

func (v *View) problem(format string, args ...any) {
	v.Problems = claim.Add(v.Problems, claim.Text(fmt.Sprintf(format, args...)))
}

// bodies gathers the text of all parts, each under its own name.
func (v *View) bodies(t *mime.Tree) {
	c := view.NewCollector(view.Budget{Text: viewText, Tokens: 50_000, URLs: viewLinks})
	for p := range t.Leaves() {
		html := p.MediaType == "text/html" || p.MediaType == "application/xhtml+xml"
		if p.Alternate || !html && !strings.HasPrefix(p.MediaType, "text/") && p.MediaType != "message/feedback-report" && p.MediaType != "message/delivery-status" {
			continue
		}
		data := p.Decoded()
		data = data[:min(len(data), 2*viewText)]
		name := p.Charset
		if html && name == "" {
			name = declared(data)
		}
		r := decipher.Text(name, data)
		if r.Problem != "" {
			v.problem("part %s: %s", p.Path, r.Problem)
		}
		v.Charsets = claim.Add(v.Charsets, r.Charset)
		if html {
			c.AddHTML([]byte(r.Text))
		} else {
			c.Plain([]byte(r.Text))
		}
	}
	if c.Full() {
		v.problem("the text or its links are longer than is shown")
	}
	v.Text = Defang(shown(c.Text()))
	for _, u := range c.URLs() {
		v.Links = append(v.Links, ViewLink{URL: Defang(claim.Text(u.Raw)), Shown: Defang(claim.Text(u.Text))})
	}
}

// header decodes the fields. Raw 8-bit values are in the charset of the text, if in any.
func (v *View) header(t *mime.Tree) {
	guess := ""
	for _, c := range v.Charsets {
		if guess == "" && c != "us-ascii" && c != "utf-8" && c != "unknown" && c != "binary" {
			guess = c
		}
	}
	for i, f := range t.Root.Header.Fields {
		if i == viewFields {
			v.problem("the header has more than %d fields", viewFields)
			return
		}
		value := f.Value[:min(len(f.Value), viewValue)]
		if !utf8.ValidString(value) {
			value = decipher.Text(guess, []byte(value)).Text
		}
		v.Fields = append(v.Fields, ViewField{
			Name: claim.Text(f.Name), Value: Defang(inert(header.Words(value))), Lit: lit(f.Name),
		})
	}
}

// inert is claim.Text for values longer than it keeps.
func inert(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		n := min(len(s), claim.MaxValue/2)
		for n < len(s) && n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		if n == 0 {
			n = len(s)
		}
		piece := s[:n]
		b.WriteString(piece[:len(piece)-len(strings.TrimLeft(piece, " "))])
		b.WriteString(claim.Text(piece))
		if strings.HasSuffix(piece, " ") {
			b.WriteByte(' ')
		}
		s = s[n:]
	}
	return strings.TrimSpace(b.String())
}

// lit reports whether a field matters to the proof.
func lit(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case "received", "return-path", "from", "sender", "to", "cc", "date", "subject", "message-id", "dkim-signature", "authentication-results",
		"received-spf", "cfbl-address", "cfbl-feedback-id", "feedback-id", "list-unsubscribe", "delivered-to", "x-originating-ip", "reply-to":
		return true
	}
	return strings.HasPrefix(name, "arc-") || strings.HasPrefix(name, "resent-") || strings.HasSuffix(name, "-trace")
}

var (
	// A link may begin within a word: those who read for links look for no border.
	links   = regexp.MustCompile(`(?i)(h)tt(ps?)(\s*:\s*//)([^\s/<>"'?#]{0,300})`)
	others  = regexp.MustCompile(`(?i)\b(ftp|wss?|file|tel|sms|mailto|javascript|vbscript|data):(\S)`)
	bare    = regexp.MustCompile(`(?i)\bwww\.([a-z0-9.-]{1,300})`)
	already = strings.NewReplacer("[.]", "[.]", ".", "[.]")
)

// Defang makes links of a text such that no program and no tired person follows them.
func Defang(s string) string {
	s = links.ReplaceAllStringFunc(s, func(m string) string {
		g := links.FindStringSubmatch(m)
		return g[1] + "xx" + g[2] + g[3] + already.Replace(g[4])
	})
	s = others.ReplaceAllString(s, "$1[:]$2")
	return bare.ReplaceAllStringFunc(s, func(m string) string { return already.Replace(m) })
}
