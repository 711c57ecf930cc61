package dsn

import (
	"bytes"
	"strings"

	"postern/abuse/complaint/claim"
	"postern/abuse/complaint/inner"
	"postern/internal/mime"
	"postern/internal/mime/header"
)

// Bounds of one bounce.
const (
	recipientsMost = 200
	bytesMost      = 8 << 20   // of the mail that are looked at
	textMost       = 128 << 10 // of its text that are searched for addresses
)

func limits() mime.Limits {
	return mime.Limits{Depth: 12, Parts: 300, Fields: 500, Work: 8, Readings: 2, Names: 8, Text: textMost, URLs: 1}
}

// Parse reads a mail as a bounce; ok says that it is one. Original shares memory with raw.
func Parse(raw []byte) (r Report, ok bool) {
	return Read(mime.Bytes(raw[:min(len(raw), bytesMost)], limits()))
}

// Read is Parse of a message that was walked.
func Read(t *mime.Tree) (r Report, ok bool) {
	for p := range inner.Top(t) {
		if isStatus(p.MediaType) {
			r.Standard = true
			r.status(p.Decoded())
		}
	}
	if found, _ := inner.Messages(t, 1); len(found) > 0 {
		r.Original, r.Whole = found[0].Raw, found[0].Whole
	}
	if len(r.Recipients) == 0 {
		r.words(t)
	}
	if !r.Standard && len(r.Recipients) == 0 {
		return Report{}, false
	}
	return r, true
}

func isStatus(mediaType string) bool {
	return mediaType == "message/delivery-status" || mediaType == "message/global-delivery-status"
}

// status reads the groups of fields of a message/delivery-status part. The first is about
// the message; some write none, or put everything into one.
func (r *Report) status(body []byte) {
	for rest := body; len(rest) > 0; {
		rest = bytes.TrimLeft(rest, "\r\n \t")
		b := header.Parse(rest, 0, header.Limits{Fields: 100, Bytes: 64 << 10}, header.BlankEnd)
		if len(b.Header.Fields) == 0 && b.Body == 0 {
			return
		}
		r.group(&b.Header)
		rest = rest[b.Body:]
	}
}

func (r *Report) group(h *header.Header) {
	if v := h.Get("Reporting-MTA"); v != "" && r.MTA == "" {
		r.MTA = host(v)
	}
	one := Recipient{
		Final: address(h.Get("Final-Recipient")), Original: address(h.Get("Original-Recipient")),
		Action: action(h.Get("Action")), Status: code(h.Get("Status")),
		Remote: host(h.Get("Remote-MTA")), Diagnostic: typed(h.Get("Diagnostic-Code")),
	}
	if one.Final == "" {
		one.Final = address(h.Get("X-Actual-Recipient"))
	}
	if one.Final == "" && one.Original == "" {
		return
	}
	if one.Final == "" {
		one.Final = one.Original
	}
	if one.Status == "" {
		one.Status = find(one.Diagnostic)
	}
	r.add(one)
}

// add keeps a recipient once.
func (r *Report) add(one Recipient) {
	if len(r.Recipients) >= recipientsMost || one.Final == "" {
		return
	}
	for i, have := range r.Recipients {
		if strings.EqualFold(have.Final, one.Final) {
			if have.Action == "" || have.Status == "" {
				r.Recipients[i] = one
			}
			return
		}
	}
	r.Recipients = append(r.Recipients, one)
}

// address is the address of a recipient field.
func address(v string) string { return claim.Address(comment(v)) }

// typed is a value without its type ("smtp;", "dns;").
func typed(v string) string {
	v = claim.Text(v)
	if kind, rest, ok := strings.Cut(v, ";"); ok && len(kind) <= 20 && !strings.ContainsAny(kind, " <@") {
		return strings.TrimSpace(rest)
	}
	return v
}

// host is the name of a host field, without what stands behind it.
func host(v string) string {
	name, _, _ := strings.Cut(typed(comment(v)), " ")
	return strings.Trim(name, "<>[];,()")
}

// comment cuts a trailing comment.
func comment(v string) string {
	if i := strings.Index(v, " ("); i > 0 {
		return v[:i]
	}
	return v
}

// action is the value of an Action field, of those there are.
func action(v string) string {
	word, _, _ := strings.Cut(claim.Word(v), " ")
	switch word = strings.Trim(word, ";,."); word {
	case "failed", "delayed", "delivered", "relayed", "expanded":
		return word
	case "failure", "fail", "expired":
		return "failed"
	case "deferred":
		return "delayed"
	}
	return ""
}

// code is an enhanced status code a value begins with.
func code(v string) string {
	v, _, _ = strings.Cut(strings.TrimLeft(claim.Text(v), " (#"), " ")
	return find(strings.Trim(v, " ();,"))
}
