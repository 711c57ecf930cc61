// Package xarf reads and writes abuse reports in JSON: XARF v4, and v3 on the way in.
package xarf

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"postern/abuse/complaint/claim"
	"postern/internal/mime/decode"
)

// Bounds of evidence, those of the schema.
const (
	EvidenceMost = 50
	EvidenceSize = 5 << 20
)

// Document is a report as this package knows it: the fields all types have and those of
// messages. What else a document says stays in the raw report.
type Document struct {
	Version  string // "3" or "4.x.y" as written
	ID       string
	Time     time.Time
	Reporter Party
	Sender   Party
	Source   string // address, domain or something else, as said
	Port     uint16
	Category string // messaging, content ...
	Type     string // spam, phishing ...

	EvidenceSource string
	Evidence       []Evidence
	Tags           []string
	Description    string

	Protocol  string
	MailFrom  string
	RcptTo    string
	Subject   string
	MessageID string
	UserAgent string
	URL       string
	Language  string
	Count     int // attempts or recipients, as said
}

// Party is who reports or passes a report on.
type Party struct{ Org, Contact, Domain string }

// Evidence is one item of evidence, decoded.
type Evidence struct {
	Type        string // media type
	Description string
	Data        []byte
}

// Read reads a document. ok is false if data is no XARF; problems name what of it could not
// be read.
func Read(data []byte) (d Document, problems []string, ok bool) {
	data = bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(data), []byte("\xef\xbb\xbf")))
	if len(data) == 0 || data[0] != '{' {
		return Document{}, nil, false
	}
	if err := measure(data); err != nil {
		return Document{}, []string{err.Error()}, false
	}
	var o object
	if err := json.Unmarshal(data, &o); err != nil {
		return Document{}, nil, false
	}
	r := reading{}
	switch {
	case strings.HasPrefix(o.text("xarf_version"), "4") || o.text("xarf_version") != "" && o.text("source_identifier") != "":
		r.four(o)
	case o["ReporterInfo"] != nil && o["Report"] != nil:
		r.three(o)
	default:
		return Document{}, nil, false
	}
	return r.doc, r.problems, true
}

// reading is a document being read.
type reading struct {
	doc      Document
	problems []string
}

func (r *reading) problem(format string, args ...any) {
	if len(r.problems) < 10 {
		r.problems = append(r.problems, fmt.Sprintf(format, args...))
	}
}

func (r *reading) when(s string) {
	var ok bool
	if r.doc.Time, ok = claim.When(s); !ok {
		r.problem("the time of the incident cannot be read")
	}
}

func (r *reading) port(n int) {
	if n > 0 && n <= 65535 {
		r.doc.Port = uint16(n)
	} else if n != 0 {
		r.problem("the source port is none")
	}
}

// four reads version 4.
func (r *reading) four(o object) {
	d := &r.doc
	d.Version, d.ID = o.text("xarf_version"), o.text("report_id")
	r.when(o.raw("timestamp"))
	d.Reporter, d.Sender = party(o.object("reporter")), party(o.object("sender"))
	d.Source = o.text("source_identifier")
	r.port(o.number("source_port"))
	d.Category, d.Type = strings.ToLower(o.text("category", "class")), strings.ToLower(o.text("type"))
	d.EvidenceSource, d.Description = o.text("evidence_source"), o.text("description")
	for _, t := range o.list("tags") {
		var s string
		if json.Unmarshal(t, &s) == nil {
			d.Tags = claim.Add(d.Tags, claim.Text(s))
		}
	}
	d.Protocol, d.MailFrom, d.RcptTo = strings.ToLower(o.text("protocol")), claim.Address(o.raw("smtp_from")), claim.Address(o.raw("smtp_to"))
	d.Subject, d.MessageID, d.UserAgent = o.text("subject"), o.text("message_id"), o.text("user_agent")
	d.URL, d.Language, d.Count = o.text("url"), o.text("language"), o.number("recipient_count", "attempt_count")
	for _, e := range r.items(o.list("evidence")) {
		r.evidence(e, "content_type", "description", []string{"payload"}, e.raw("hash"), true)
	}
}

func party(o object) Party {
	return Party{Org: o.text("org"), Contact: o.text("contact"), Domain: o.text("domain")}
}

// items are the items of evidence that are read.
func (r *reading) items(list []json.RawMessage) []object {
	if len(list) > EvidenceMost {
		r.problem("there are %d items of evidence, more than %d", len(list), EvidenceMost)
		list = list[:EvidenceMost]
	}
	var out []object
	for _, raw := range list {
		var o object
		if json.Unmarshal(raw, &o) == nil && o != nil {
			out = append(out, o)
		}
	}
	return out
}

// evidence takes one item.
func (r *reading) evidence(o object, mediaType, description string, payload []string, hash string, encoded bool) {
	e := Evidence{Type: strings.ToLower(o.text(mediaType)), Description: o.text(description)}
	n := len(r.doc.Evidence) + 1
	text := ""
	for _, name := range payload {
		if text = o.raw(name); text != "" {
			break
		}
	}
	if len(text) > EvidenceSize/3*4+8 {
		r.problem("item %d of the evidence is larger than %d bytes", n, EvidenceSize)
		return
	}
	e.Data = []byte(text)
	if encoded {
		readings, damage := decode.Base64(e.Data)
		e.Data = readings[0]
		if damage&^decode.NoPadding != 0 {
			r.problem("item %d of the evidence is damaged base64", n)
		}
	}
	if hash != "" && !agrees(hash, e.Data) {
		r.problem("the hash of item %d of the evidence is that of something else", n)
	}
	r.doc.Evidence = append(r.doc.Evidence, e)
}

// agrees reports whether "algorithm:hex" is the hash of data; an algorithm nobody knows
// proves nothing.
func agrees(hash string, data []byte) bool {
	name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(hash)), ":")
	var have string
	switch name {
	case "md5":
		h := md5.Sum(data)
		have = hex.EncodeToString(h[:])
	case "sha1":
		h := sha1.Sum(data)
		have = hex.EncodeToString(h[:])
	case "sha256":
		h := sha256.Sum256(data)
		have = hex.EncodeToString(h[:])
	case "sha512":
		h := sha512.Sum512(data)
		have = hex.EncodeToString(h[:])
	}
	return have == value
}

// Message is the first item of evidence that is a message or its header.
func (d *Document) Message() (Evidence, bool) {
	for _, e := range d.Evidence {
		switch t, _, _ := strings.Cut(e.Type, ";"); strings.TrimSpace(t) {
		case "message/rfc822", "text/email", "message/global", "text/rfc822-headers", "message/rfc822-headers", "text/rfc822":
			return e, true
		}
	}
	return Evidence{}, false
}

// Feedback is the type of the feedback format that comes closest.
func (d *Document) Feedback() string {
	switch d.Category {
	case "messaging":
		return "abuse"
	case "infrastructure":
		return "virus"
	case "content":
		switch d.Type {
		case "phishing", "fraud", "brand_infringement":
			return "fraud"
		case "malware", "remote_compromise":
			return "virus"
		}
	}
	return "other"
}

// Claims are the assertions of the document.
func (d *Document) Claims() claim.Claims {
	c := claim.Claims{
		SourcePort: d.Port, MailFrom: d.MailFrom, Arrival: d.Time, ReportID: d.ID, UserAgent: d.UserAgent,
		MessageID: d.MessageID, Subject: d.Subject, Category: d.Category, Type: d.Type, Incidents: max(d.Count, 0),
	}
	c.RcptTo = claim.Add(nil, d.RcptTo)
	c.URIs = claim.Add(nil, d.URL)
	if a, err := netip.ParseAddr(strings.Trim(d.Source, "[]")); err == nil {
		c.SourceIP = a.Unmap().WithZone("")
	} else if d.Source != "" {
		c.Domains = claim.Add(nil, strings.ToLower(d.Source))
	}
	if c.Reporter = d.Reporter.Contact; c.Reporter == "" {
		c.Reporter = d.Reporter.Org
	}
	return c
}
