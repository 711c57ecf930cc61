// Package arf reads and writes abuse reports of the feedback format: RFC 5965 with the fields
// of RFC 6591 (authentication failures) and RFC 6692 (source ports).
package arf

import (
	"bytes"
	"strconv"
	"strings"

	"postern/abuse/complaint/claim"
	"postern/internal/mime/header"
)

// MediaType is the type of the part with the fields.
const MediaType = "message/feedback-report"

// Feedback is what the machine-readable part of a report says.
type Feedback struct {
	Type     string // Feedback-Type in lower case, "" if it is not said; those nobody registered are kept
	Version  string
	Claims   claim.Claims
	Problems []string // fields that could not be read
}

// limits of the fields of a report.
var limits = header.Limits{Fields: 500, Bytes: 128 << 10}

// Looks reports whether a body begins like a feedback report, whatever its part is called.
func Looks(body []byte) bool {
	body = bytes.TrimLeft(body[:min(len(body), 4096)], "\r\n \t")
	h := header.Parse(body, 0, limits, header.Plain).Header
	return h.Has("Feedback-Type") && (h.Has("User-Agent") || h.Has("Version"))
}

// Read reads the body of a message/feedback-report part.
func Read(body []byte) Feedback {
	h := header.Parse(bytes.TrimLeft(body, "\r\n \t"), 0, limits, header.Skip).Header
	f := Feedback{Type: kind(h.Get("Feedback-Type")), Version: claim.Text(h.Get("Version"))}
	if f.Type == "" {
		f.Problems = append(f.Problems, "the report names no Feedback-Type")
	}
	for i := range h.Fields {
		f.field(strings.ToLower(h.Fields[i].Name), h.Fields[i].Value)
	}
	return f
}

// kind is a Feedback-Type without what some write behind it.
func kind(v string) string {
	v, _, _ = strings.Cut(claim.Word(v), " ")
	return strings.Trim(v, ";,\"")
}

// field takes one field. Those that may stand once keep the first value.
func (f *Feedback) field(name, value string) {
	c := &f.Claims
	switch name {
	case "original-mail-from":
		once(&c.MailFrom, claim.Address(value))
	case "original-rcpt-to":
		c.RcptTo = claim.Add(c.RcptTo, claim.Address(value))
	case "original-envelope-id":
		once(&c.EnvelopeID, claim.Text(value))
	case "reported-domain":
		c.Domains = claim.Add(c.Domains, strings.TrimSuffix(claim.Word(value), "."))
	case "reported-uri":
		c.URIs = claim.Add(c.URIs, claim.Text(value))
	case "reporting-mta":
		once(&c.MTA, mta(value))
	case "user-agent":
		once(&c.UserAgent, claim.Text(value))
	case "removal-recipient":
		c.Removal = claim.Add(c.Removal, claim.Address(value))
	case "authentication-results":
		c.AuthResults = claim.Add(c.AuthResults, claim.Text(value))
	case "auth-failure":
		once(&c.AuthFailure, claim.Word(value))
	case "delivery-result":
		once(&c.Delivery, claim.Word(value))
	case "dkim-domain":
		once(&c.DKIMDomain, claim.Word(value))
	case "dkim-selector":
		once(&c.Selector, claim.Text(value))
	case "cfbl-feedback-id":
		once(&c.FeedbackID, claim.Text(value))
	case "arrival-date", "received-date", "source-ip", "source-port", "incidents":
		f.typed(name, value)
	}
}

// typed takes a field whose value is no text.
func (f *Feedback) typed(name, value string) {
	c, ok := &f.Claims, true
	switch name {
	case "arrival-date", "received-date": // the second is the name of an early draft
		if c.Arrival.IsZero() {
			c.Arrival, ok = claim.When(value)
		}
	case "source-ip":
		if !c.SourceIP.IsValid() {
			c.SourceIP, ok = claim.IP(value)
		}
	case "source-port":
		if c.SourcePort == 0 {
			c.SourcePort, ok = claim.Port(value)
		}
	case "incidents":
		n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 31)
		if ok = err == nil; ok && c.Incidents == 0 {
			c.Incidents = int(n)
		}
	}
	if !ok {
		f.Problems = append(f.Problems, "the field "+name+" cannot be read")
	}
}

func once(to *string, value string) {
	if *to == "" {
		*to = value
	}
}

func mta(v string) string {
	v = claim.Text(v)
	if _, name, ok := strings.Cut(v, ";"); ok {
		v = strings.TrimSpace(name)
	}
	return v
}
