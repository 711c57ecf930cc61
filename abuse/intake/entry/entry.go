// Package entry is what people and programs enter at the desk other than by mail.
package entry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"postern/abuse/complaint"
	"postern/abuse/intake/shelf"
	"postern/abuse/proof"
	"postern/internal/entity"
)

// Bounds on what is entered.
const (
	textMost     = 64 << 10
	originalMost = 8 << 20
	lineMost     = 1000
)

// Submission is a report that does not come as mail. Whoever fills Trust and Actor vouches
// for them: the public form leaves both empty.
type Submission struct {
	Source   string `json:"source"`             // form, api, phone, csv
	Key      string `json:"key,omitempty"`      // the same when it is submitted again; "" = by what it says
	Reporter string `json:"reporter,omitempty"` // an address; for form and phone what was given
	Phone    string `json:"phone,omitempty"`
	Language string `json:"language,omitempty"`
	Feedback string `json:"feedback,omitempty"`
	Text     string `json:"text,omitempty"`
	// Original is the reported message or its headers.
	Original []byte           `json:"original,omitempty"`
	Document []byte           `json:"document,omitempty"` // a XARF document or a whole report, read as mail would be
	Claims   complaint.Claims `json:"claims,omitzero"`
	Trust    proof.Trust      `json:"trust,omitempty"` // api alone: a token of a known reporter
	Actor    string           `json:"actor,omitempty"` // who entered it
	From     string           `json:"from,omitempty"`  // client address of a form or call
	Drill    bool             `json:"drill,omitempty"`
}

// Check says which field is wrong, or nil.
func (s Submission) Check() error {
	for _, f := range []struct {
		bad  bool
		name string
		why  string
	}{
		{!slices.Contains([]string{shelf.ByForm, shelf.ByAPI, shelf.ByPhone, shelf.ByCSV}, s.Source), "source", "is form, api, phone or csv"},
		{len(s.Text) > textMost, "text", fmt.Sprintf("has at most %d bytes", textMost)},
		{len(s.Original) > originalMost, "original", fmt.Sprintf("has at most %d bytes", originalMost)},
		{len(s.Document) > originalMost, "document", fmt.Sprintf("has at most %d bytes", originalMost)},
		{max(len(s.Reporter), len(s.Phone), len(s.Key), len(s.Feedback), len(s.Language)) > lineMost, "reporter, phone, key, feedback, language", fmt.Sprintf("have at most %d bytes", lineMost)},
		{s.Trust < proof.T0 || s.Trust > proof.T2 || s.Trust > proof.T0 && s.Source == shelf.ByForm, "trust", "is 0 for a form and at most 2"},
		{strings.TrimSpace(s.Text) == "" && len(s.Original) == 0 && len(s.Document) == 0, "text, original, document", "one of them is needed"},
	} {
		if f.bad {
			return fmt.Errorf("%s %s: %w", f.name, f.why, entity.ErrInvalid)
		}
	}
	return nil
}

// Read reads one as it is kept.
func Read(raw []byte) (Submission, error) {
	var s Submission
	err := json.Unmarshal(raw, &s)
	return s, err
}

// Report is what a submission says, in the form of all reports.
func (s Submission) Report() complaint.Report {
	r := complaint.Report{Format: complaint.Form, Claims: s.Claims, Text: s.Text}
	if s.Source != shelf.ByForm && s.Source != shelf.ByPhone {
		r.Format = complaint.API
	}
	if len(s.Document) > 0 {
		r = complaint.Parse(s.Document, complaint.Options{})
	}
	if len(s.Original) > 0 {
		r.Original = s.Original
		r.Whole = bytes.Contains(s.Original, []byte("\r\n\r\n")) || bytes.Contains(s.Original, []byte("\n\n"))
	}
	if s.Feedback != "" {
		r.Feedback = strings.ToLower(s.Feedback)
	}
	if s.Language != "" {
		r.Language = s.Language
	}
	return r
}

// Who is how far it is believed: a form proves nobody.
func (s Submission) Who() proof.Reporter {
	w := proof.Reporter{Trust: s.Trust}
	if s.Trust > proof.T0 {
		w.Address = s.Reporter
	}
	return w
}

// Person reports whether somebody is owed an answer: whoever leaves an address or a number waits for an answer.
func (s Submission) Person() bool {
	return s.Source != shelf.ByCSV && (s.Reporter != "" || s.Phone != "") && (s.Source != shelf.ByAPI || s.Trust < proof.T2)
}
