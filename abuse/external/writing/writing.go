// Package writing makes the reports about sources elsewhere that programs read.
package writing

import (
	"net/netip"
	"strings"
	"time"

	"postern/abuse/complaint/arf"
	"postern/abuse/complaint/inner"
	"postern/abuse/complaint/redact"
	"postern/abuse/complaint/xarf"
	"postern/abuse/external/contact"
	"postern/abuse/external/told"
	"postern/internal/address"
	"postern/internal/said"
)

// Message is one that came from a source.
type Message struct {
	Raw        []byte
	MailFrom   string
	RcptTo     []string
	IP         netip.Addr
	Port       uint16
	Arrival    time.Time
	Domain     string // d= of a signature that passed
	Signed     bool   // it covers CFBL-Address and is aligned with it
	AuthResult string // without the field name
}

// Writer is who reports, and what is known of the source besides the message.
type Writer struct {
	From      string // the address of the case
	Name      string // of the desk
	Host      string // of the gateway
	Agent     string // name and version of the program
	Redact    *redact.Redactor
	Trial     bool   // calls are marked as tests
	Evidence  string // in XARF's words, where it is from
	Incidents int    // since the last report
}

// Document is a report as XARF.
func (w Writer) Document(n told.Notice, m Message) xarf.Document {
	raw := m.Raw
	if w.Redact != nil {
		raw = w.Redact.Message(raw, m.RcptTo)
	}
	h, _ := inner.Header(raw)
	doc := xarf.Document{
		ID: told.UUID(n.ID), Time: m.Arrival, Reporter: xarf.Party{Org: w.Name, Contact: w.From, Domain: address.DomainOf(w.From)}, Source: m.IP.Unmap().String(), Port: m.Port,
		EvidenceSource: w.Evidence, MailFrom: m.MailFrom, Subject: h.Decoded("Subject"), MessageID: strings.TrimSpace(h.Get("Message-ID")), UserAgent: w.Agent,
		Count: len(m.RcptTo), Evidence: []xarf.Evidence{{Type: "message/rfc822", Data: raw}},
	}
	if w.Trial && n.Called() {
		doc.Tags = []string{"lifecycle:test"}
	}
	return doc
}

// Write writes the message, or the document alone where it goes by a call. XARF needs what not
// every message has: then it is ARF.
func (w Writer) Write(n *told.Notice, m Message, words string) ([]byte, error) {
	if n.Called() {
		return xarf.Write(w.Document(*n, m))
	}
	if n.Form == contact.XARF {
		out, err := xarf.WriteMail(xarf.Mail{
			From: w.From, To: n.To, MessageID: n.MessageID, Date: n.At, Subject: "Abuse report " + n.Case, Words: words, Language: n.Language, UserAgent: w.Agent, Document: w.Document(*n, m),
		})
		if err == nil {
			return out, nil
		}
		n.Form = contact.ARF
		said.Of(err).Put(&n.Why, &n.Said)
	}
	var domains []string
	if m.Domain != "" {
		domains = []string{m.Domain}
	}
	return arf.Write(arf.Notice{
		From: w.From, To: n.To, Date: n.At, MessageID: n.MessageID, Words: words, Language: n.Language, UserAgent: w.Agent, MTA: w.Host,
		MailFrom: m.MailFrom, Arrival: m.Arrival, SourceIP: m.IP, SourcePort: m.Port, Domains: domains, AuthResult: m.AuthResult,
		Incidents: w.Incidents, Original: m.Raw, RcptTo: m.RcptTo, Redact: w.Redact, Mask: w.Redact != nil,
	})
}
