// Package claim holds what a complaint says about the message it is about. Whoever writes a
// complaint writes these freely: they lead to a place to look, never to a verdict.
package claim

import (
	"net/netip"
	"time"
)

// Claims are the assertions of a report beside the message itself. Every string is valid
// UTF-8 without controls and of bounded length; a zero value means "not said".
type Claims struct {
	SourceIP    netip.Addr `json:"source_ip,omitzero"`
	SourcePort  uint16     `json:"source_port,omitempty"`
	MailFrom    string     `json:"mail_from,omitempty"` // envelope sender, without angle brackets
	RcptTo      []string   `json:"rcpt_to,omitempty"`   // envelope recipients, possibly redacted
	EnvelopeID  string     `json:"envelope_id,omitempty"`
	Arrival     time.Time  `json:"arrival,omitzero"`
	Domains     []string   `json:"domains,omitempty"`
	URIs        []string   `json:"uris,omitempty"`
	Incidents   int        `json:"incidents,omitempty"`
	Reporter    string     `json:"reporter,omitempty"` // who says so: XARF's reporter, else the author of the mail
	MTA         string     `json:"mta,omitempty"`      // Reporting-MTA, without its type
	UserAgent   string     `json:"user_agent,omitempty"`
	ReportID    string     `json:"report_id,omitempty"`
	FeedbackID  string     `json:"feedback_id,omitempty"` // CFBL-Feedback-ID
	Removal     []string   `json:"removal,omitempty"`     // addresses to be taken off a list
	AuthResults []string   `json:"auth_results,omitempty"`
	AuthFailure string     `json:"auth_failure,omitempty"` // adsp, bodyhash, revoked, signature, spf, dmarc
	Delivery    string     `json:"delivery,omitempty"`     // Delivery-Result
	DKIMDomain  string     `json:"dkim_domain,omitempty"`
	Selector    string     `json:"selector,omitempty"`
	MessageID   string     `json:"message_id,omitempty"` // with angle brackets, as it stands
	From        string     `json:"from,omitempty"`       // author of the message as the report shows it
	Subject     string     `json:"subject,omitempty"`
	Sent        string     `json:"sent,omitempty"`     // date of the message, as the report shows it
	Category    string     `json:"category,omitempty"` // XARF: messaging, content ...
	Type        string     `json:"type,omitempty"`     // XARF: spam, phishing ...
}

// Empty reports that nothing in them leads anywhere: no sender, recipient, message or address.
func (c Claims) Empty() bool {
	return !c.SourceIP.IsValid() && c.MailFrom == "" && c.From == "" && c.MessageID == "" && c.FeedbackID == "" && c.EnvelopeID == "" &&
		len(c.RcptTo)+len(c.Domains)+len(c.URIs)+len(c.Removal) == 0
}
