// Package inner finds the messages that stand inside a report, byte for byte.
package inner

import (
	"bytes"
	"iter"
	"slices"
	"strings"

	"postern/internal/mime"
	"postern/internal/mime/header"
)

// Message is a message, or the header of one, inside a report.
type Message struct {
	Part    *mime.Part
	Raw     []byte // as it stands; with Encoded set, what the part decodes to. Not to be changed.
	Whole   bool   // there is a body
	Encoded bool   // the part was under base64 or quoted-printable
	Shifted bool   // something in front of its first field was left out
}

// Top yields the parts of the report itself: none of a message inside it, and no other
// reading of its bytes.
func Top(t *mime.Tree) iter.Seq[*mime.Part] {
	return func(yield func(*mime.Part) bool) {
		for _, p := range t.Parts {
			if !p.Alternate && !inside(p) && !yield(p) {
				return
			}
		}
	}
}

// inside reports whether p belongs to a message within the report, or to another reading.
func inside(p *mime.Part) bool {
	for up := p.Parent; up != nil; up = up.Parent {
		if up.Alternate || isWhole(up.MediaType) {
			return true
		}
	}
	return false
}

// Messages returns the messages the report carries, at most n. Those that only another
// reading of its bytes shows count if there are no others; odd says so.
func Messages(t *mime.Tree, n int) (found []Message, odd bool) {
	for p := range Top(t) {
		if m, ok := Read(p); ok && len(found) < n {
			found = append(found, m)
		}
	}
	if len(found) > 0 {
		return found, false
	}
	for _, p := range t.Parts {
		if m, ok := Read(p); ok && (p.Alternate || inside(p)) {
			return []Message{m}, true
		}
	}
	return nil, false
}

// Read takes a part as a message.
func Read(p *mime.Part) (Message, bool) {
	raw := p.Decoded()
	switch {
	case isWhole(p.MediaType) || isHeaders(p.MediaType):
	case p.IsLeaf() && named(p) && p.MediaType != "message/feedback-report" && p.MediaType != "message/delivery-status":
		if !Begins(raw) {
			return Message{}, false
		}
	default:
		return Message{}, false
	}
	m := Message{Part: p, Encoded: p.Encoding != "" && !bytes.Equal(raw, p.Body())}
	m.Raw = trim(raw)
	if m.Shifted = len(m.Raw) != len(raw); len(m.Raw) == 0 {
		return Message{}, false
	}
	m.Whole = Whole(m.Raw)
	return m, true
}

func isWhole(mediaType string) bool {
	switch mediaType {
	case "message/rfc822", "message/global", "message/news", "message/rfc2822":
		return true
	}
	return false
}

func isHeaders(mediaType string) bool {
	switch mediaType {
	case "text/rfc822-headers", "message/rfc822-headers", "message/global-headers", "text/rfc822", "text/email":
		return true
	}
	return false
}

// named reports whether a part is called like a saved message.
func named(p *mime.Part) bool {
	return slices.ContainsFunc(p.FileNames, func(n string) bool {
		n = strings.ToLower(n)
		return strings.HasSuffix(n, ".eml") || strings.HasSuffix(n, ".email") || strings.HasSuffix(n, "headers.txt")
	})
}

// trim leaves out empty lines and the line of a mailbox file in front of a header: with
// them no field would be where a verifier looks for it.
func trim(raw []byte) []byte {
	b := bytes.TrimLeft(raw, "\r\n")
	for _, mark := range []string{"From ", ">From "} {
		if bytes.HasPrefix(b, []byte(mark)) {
			if _, rest, ok := bytes.Cut(b, []byte("\n")); ok {
				return bytes.TrimLeft(rest, "\r\n")
			}
		}
	}
	return b
}

// Limits of a header that is looked at.
var headerLimits = header.Limits{Fields: 1000, Bytes: 256 << 10}

// Header reads the header of a message and says where its body begins.
func Header(raw []byte) (header.Header, int) {
	b := header.Parse(raw, 0, headerLimits, header.Plain)
	return b.Header, b.Body
}

// Begins reports whether raw begins with a header: two fields at least.
func Begins(raw []byte) bool {
	b := header.Parse(trim(raw[:min(len(raw), 4096)]), 0, headerLimits, header.Stop)
	return len(b.Header.Fields) >= 2
}

// Whole reports whether a message has a body.
func Whole(raw []byte) bool {
	_, at := Header(raw)
	return len(bytes.TrimSpace(raw[at:])) > 0
}
