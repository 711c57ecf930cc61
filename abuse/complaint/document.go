package complaint

import (
	"bytes"
	"strings"

	"postern/abuse/complaint/claim"
	"postern/abuse/complaint/decipher"
	"postern/abuse/complaint/inner"
	"postern/abuse/complaint/xarf"
	"postern/internal/mime"
)

// documentsMost bounds the parts that are tried as JSON.
const documentsMost = 5

// json looks for a XARF document among the parts.
func (p *parser) json() bool {
	n := 0
	for part := range inner.Top(p.tree) {
		if !part.IsLeaf() || !isJSON(part) {
			continue
		}
		if n++; n > documentsMost {
			return false
		}
		if p.document(part.Decoded()) {
			return true
		}
	}
	return false
}

func isJSON(part *mime.Part) bool {
	if strings.Contains(part.MediaType, "json") || strings.Contains(part.MediaType, "xarf") {
		return true
	}
	for _, n := range part.FileNames {
		if strings.HasSuffix(strings.ToLower(n), ".json") {
			return true
		}
	}
	body := part.Decoded()
	body = bytes.TrimLeft(body[:min(len(body), 4096)], "\xef\xbb\xbf \t\r\n")
	return len(body) > 0 && body[0] == '{' && (bytes.Contains(body, []byte(`"xarf_version"`)) || bytes.Contains(body, []byte(`"ReporterInfo"`)))
}

// document reads one.
func (p *parser) document(data []byte) bool {
	d, problems, ok := xarf.Read(data)
	for _, s := range problems {
		p.problem("%s", s)
	}
	if !ok {
		return false
	}
	p.r.Format = XARF4
	if strings.HasPrefix(d.Version, "3") {
		p.r.Format = XARF3
	}
	who := p.r.Claims.Reporter
	p.r.Feedback, p.r.Claims = d.Feedback(), d.Claims()
	if p.r.Claims.Reporter == "" {
		p.r.Claims.Reporter = who
	}
	if e, ok := d.Message(); ok {
		p.r.Original, p.r.Whole = e.Data, inner.Whole(e.Data)
		p.facts(e.Data)
	} else if len(p.found) > 0 {
		p.take(p.found[0])
	} else if d.Category == "messaging" {
		p.problem("the report has no message among its evidence")
	}
	p.r.Text = claim.Text(d.Description)
	p.r.Language = decipher.Language(p.r.Text)
	return true
}
