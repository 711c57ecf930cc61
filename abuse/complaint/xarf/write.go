package xarf

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Version is that of the documents this package writes.
const Version = "4.2.0"

// The reasons why a document cannot be written: what the schema asks of a report about a
// message that came by SMTP.
var (
	ErrID       = errors.New("xarf: the report ID is no UUID")
	ErrTime     = errors.New("xarf: the time of the incident is missing")
	ErrParty    = errors.New("xarf: reporter and sender need organisation, contact and domain")
	ErrSource   = errors.New("xarf: the source is missing")
	ErrKind     = errors.New("xarf: only messaging/spam is written")
	ErrSMTP     = errors.New("xarf: a report about SMTP needs the envelope sender and the source port")
	ErrEvidence = errors.New("xarf: more evidence than the schema takes")
)

// written is a document as it goes out. There is no field for what is internal.
type written struct {
	Version        string            `json:"xarf_version"`
	ID             string            `json:"report_id"`
	Time           string            `json:"timestamp"`
	Reporter       writtenParty      `json:"reporter"`
	Sender         writtenParty      `json:"sender"`
	Source         string            `json:"source_identifier"`
	Port           uint16            `json:"source_port"`
	Category       string            `json:"category"`
	Type           string            `json:"type"`
	EvidenceSource string            `json:"evidence_source,omitempty"`
	Protocol       string            `json:"protocol"`
	MailFrom       string            `json:"smtp_from"`
	RcptTo         string            `json:"smtp_to,omitempty"`
	Subject        string            `json:"subject,omitempty"`
	MessageID      string            `json:"message_id,omitempty"`
	UserAgent      string            `json:"user_agent,omitempty"`
	Language       string            `json:"language,omitempty"`
	Count          int               `json:"recipient_count,omitempty"`
	Description    string            `json:"description,omitempty"`
	Evidence       []writtenEvidence `json:"evidence,omitempty"`
	Tags           []string          `json:"tags,omitempty"`
	Legacy         string            `json:"legacy_version,omitempty"`
}

type writtenParty struct {
	Org     string `json:"org"`
	Contact string `json:"contact"`
	Domain  string `json:"domain"`
}

type writtenEvidence struct {
	Type        string `json:"content_type"`
	Description string `json:"description,omitempty"`
	Payload     string `json:"payload"`
	Hash        string `json:"hash"`
	Size        int    `json:"size"`
}

var (
	uuid     = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	tag      = regexp.MustCompile(`^[a-z0-9][a-z0-9_+-]*:[a-z0-9][a-z0-9_+-]*$`)
	language = regexp.MustCompile(`^[a-z]{2}(-[A-Z]{2})?$`)
)

// Fits reports whether a document has what the form needs.
func (d Document) Fits() bool { return d.valid() == nil }

// Write makes a document about spam that came by SMTP. A version 3 document that was read is
// written as version 4 and says so.
func Write(d Document) ([]byte, error) {
	if err := d.valid(); err != nil {
		return nil, err
	}
	w := written{
		Version: Version, ID: d.ID, Time: d.Time.UTC().Format(time.RFC3339), Reporter: writtenParty(d.Reporter), Sender: writtenParty(d.Sender),
		Source: d.Source, Port: d.Port, Category: "messaging", Type: "spam", Protocol: "smtp", MailFrom: d.MailFrom, RcptTo: d.RcptTo,
		Subject: cut(d.Subject, 500), MessageID: cut(d.MessageID, 200), UserAgent: cut(d.UserAgent, 200), Description: cut(d.Description, 1000), Count: d.Count,
	}
	if d.Sender == (Party{}) {
		w.Sender = w.Reporter
	}
	w.Reporter.Org, w.Sender.Org = cut(w.Reporter.Org, 200), cut(w.Sender.Org, 200)
	switch d.EvidenceSource {
	case "spamtrap", "user_complaint", "automated_filter", "honeypot", "content_analysis", "reputation_feed":
		w.EvidenceSource = d.EvidenceSource
	}
	if language.MatchString(d.Language) {
		w.Language = d.Language
	}
	if strings.HasPrefix(d.Version, "3") {
		w.Legacy = "3"
	}
	for _, t := range d.Tags[:min(len(d.Tags), 20)] {
		if tag.MatchString(t) {
			w.Tags = append(w.Tags, t)
		}
	}
	for _, e := range d.Evidence {
		sum := sha256.Sum256(e.Data)
		w.Evidence = append(w.Evidence, writtenEvidence{
			Type: e.Type, Description: cut(e.Description, 500), Payload: base64.StdEncoding.EncodeToString(e.Data),
			Hash: "sha256:" + hex.EncodeToString(sum[:]), Size: len(e.Data),
		})
	}
	out, err := json.MarshalIndent(w, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("xarf: %w", err)
	}
	return append(out, '\n'), nil
}

func (d *Document) valid() error {
	switch {
	case !uuid.MatchString(d.ID):
		return ErrID
	case d.Time.IsZero():
		return ErrTime
	case !d.Reporter.whole() || d.Sender != (Party{}) && !d.Sender.whole():
		return ErrParty
	case d.Source == "":
		return ErrSource
	case d.Category != "" && d.Category != "messaging" || d.Type != "" && d.Type != "spam" || d.Protocol != "" && d.Protocol != "smtp":
		return ErrKind
	case d.Port == 0 || !strings.Contains(d.MailFrom, "@"):
		return ErrSMTP
	case len(d.Evidence) > EvidenceMost:
		return ErrEvidence
	}
	for _, e := range d.Evidence {
		if len(e.Data) > EvidenceSize {
			return ErrEvidence
		}
	}
	return nil
}

func (p Party) whole() bool { return p.Org != "" && strings.Contains(p.Contact, "@") && p.Domain != "" }

// cut keeps at most n characters.
func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}
