package arf

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"postern/abuse/complaint/claim"
	"postern/abuse/complaint/inner"
	"postern/abuse/complaint/letter"
	"postern/abuse/complaint/redact"
)

// Notice is a report of ours about a message that reached us.
type Notice struct {
	From, To  string    // addresses
	Date      time.Time // of the notice
	MessageID string    // of the notice, with angle brackets
	Words     string    // for the person who reads it, in any language
	Language  string    // of Words, such as "zh"; "" = not said

	Feedback   string // abuse, fraud, virus ...; "" = abuse
	UserAgent  string // name and version of the program
	MTA        string // host that received the message
	MailFrom   string // envelope sender, "" = the null sender
	RcptTo     []string
	EnvelopeID string
	Arrival    time.Time
	SourceIP   netip.Addr
	SourcePort uint16
	Domains    []string
	URIs       []string
	AuthResult string // Authentication-Results, without the field name
	Incidents  int    // 0 = 1

	Original    []byte           // the message as it came
	HeadersOnly bool             // send its header alone
	Redact      *redact.Redactor // nil = the recipients are named
	Mask        bool             // with Redact: in the message as well, which breaks its signatures
}

// The reasons why a notice cannot be written.
var (
	ErrOriginal = errors.New("arf: there is no message to report")
	ErrSource   = errors.New("arf: the source address is missing")
)

// Write makes the notice a message, ready to be sent: lines end in CRLF and none is longer
// than 998 bytes. A message that cannot stand in mail as it is goes as its header alone,
// which the text says.
func Write(n Notice) ([]byte, error) {
	if !n.SourceIP.IsValid() {
		return nil, ErrSource
	}
	kind, third, cut := n.third()
	if len(third) == 0 {
		return nil, ErrOriginal
	}
	h, _ := inner.Header(n.Original)
	l := letter.Letter{
		From: n.From, To: n.To, MessageID: n.MessageID, Date: n.Date, Subject: strings.TrimSpace("FW: " + h.Decoded("Subject")),
		Words: n.Words, Language: n.Language, Fields: n.fields(), Type: kind, Body: third,
	}
	if cut {
		l.Note = "(header only)"
	}
	out, err := letter.Write(l)
	if err != nil {
		return nil, fmt.Errorf("arf: %w", err)
	}
	return out, nil
}

// fields is the second part.
func (n Notice) fields() []letter.Field {
	var out []letter.Field
	add := func(name, value string) { out = append(out, letter.Field{Name: name, Value: value}) }
	kind := letter.Token(n.Feedback)
	if kind == "" {
		kind = "abuse"
	}
	add("Feedback-Type", kind)
	add("User-Agent", n.UserAgent)
	add("Version", "1")
	add("Original-Mail-From", "<"+n.MailFrom+">")
	for _, to := range n.RcptTo[:min(len(n.RcptTo), claim.MaxList)] {
		add("Original-Rcpt-To", "<"+n.recipient(to)+">")
	}
	add("Original-Envelope-Id", n.EnvelopeID)
	if !n.Arrival.IsZero() {
		add("Arrival-Date", n.Arrival.UTC().Format(time.RFC1123Z))
	}
	if n.MTA != "" {
		add("Reporting-MTA", "dns; "+n.MTA)
	}
	add("Source-IP", n.SourceIP.Unmap().String())
	if n.SourcePort != 0 {
		add("Source-Port", fmt.Sprint(n.SourcePort))
	}
	add("Authentication-Results", n.AuthResult)
	for _, d := range n.Domains[:min(len(n.Domains), claim.MaxList)] {
		add("Reported-Domain", d)
	}
	for _, u := range n.URIs[:min(len(n.URIs), claim.MaxList)] {
		add("Reported-URI", u)
	}
	add("Incidents", fmt.Sprint(max(n.Incidents, 1)))
	return out
}

func (n Notice) recipient(address string) string {
	if n.Redact == nil {
		return address
	}
	return n.Redact.Address(address)
}

// third is the third part: the message, or its header where only that can or shall go.
func (n Notice) third() (mediaType string, raw []byte, cut bool) {
	raw = n.Original
	if n.Redact != nil && n.Mask {
		raw = n.Redact.Message(raw, n.RcptTo[:min(len(n.RcptTo), claim.MaxList)])
	}
	whole := inner.Whole(raw)
	if !n.HeadersOnly && whole && travels(raw) {
		return "message/rfc822", raw, false
	}
	_, at := inner.Header(raw)
	head := bytes.TrimRight(raw[:at], "\r\n")
	if !travels(head) {
		head = wrapped(head)
	}
	if len(head) == 0 {
		return "", nil, false
	}
	return "text/rfc822-headers", append(head[:len(head):len(head)], "\r\n"...), whole
}

// travels reports whether bytes can stand in a message as they are: lines of at most 998
// bytes that end in CRLF, no NUL.
func travels(b []byte) bool {
	for line := range bytes.Lines(b) {
		if bytes.HasSuffix(line, []byte("\n")) {
			if !bytes.HasSuffix(line, []byte("\r\n")) {
				return false
			}
			line = line[:len(line)-2]
		}
		if len(line) > 998 || bytes.ContainsAny(line, "\r\x00") {
			return false
		}
	}
	return true
}

// wrapped makes a header travel.
func wrapped(head []byte) []byte {
	var out []byte
	for line := range bytes.Lines(head) {
		line = bytes.TrimRight(line, "\r\n")
		line = bytes.ReplaceAll(bytes.ReplaceAll(line, []byte("\r"), []byte(" ")), []byte{0}, []byte("?"))
		for len(line) > 900 {
			out = append(append(out, line[:900]...), "\r\n\t"...)
			line = line[900:]
		}
		out = append(append(out, line...), "\r\n"...)
	}
	return bytes.TrimRight(out, "\r\n")
}
