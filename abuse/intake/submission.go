package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"postern/abuse/complaint"
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
		{!slices.Contains([]string{ByForm, ByAPI, ByPhone, ByCSV}, s.Source), "source", "is form, api, phone or csv"},
		{len(s.Text) > textMost, "text", fmt.Sprintf("has at most %d bytes", textMost)},
		{len(s.Original) > originalMost, "original", fmt.Sprintf("has at most %d bytes", originalMost)},
		{len(s.Document) > originalMost, "document", fmt.Sprintf("has at most %d bytes", originalMost)},
		{max(len(s.Reporter), len(s.Phone), len(s.Key), len(s.Feedback), len(s.Language)) > lineMost, "reporter, phone, key, feedback, language", fmt.Sprintf("have at most %d bytes", lineMost)},
		{s.Trust < proof.T0 || s.Trust > proof.T2 || s.Trust > proof.T0 && s.Source == ByForm, "trust", "is 0 for a form and at most 2"},
		{strings.TrimSpace(s.Text) == "" && len(s.Original) == 0 && len(s.Document) == 0, "text, original, document", "one of them is needed"},
	} {
		if f.bad {
			return fmt.Errorf("%s %s: %w", f.name, f.why, entity.ErrInvalid)
		}
	}
	return nil
}

// Take keeps a report that does not come as mail and gives it into work. The same submission
// again is the same report. Errors: entity.ErrInvalid names the field, ErrFull.
func (d *Desk) Take(ctx context.Context, s Submission) (string, error) {
	if err := s.Check(); err != nil {
		return "", err
	}
	s.Text = strings.ToValidUTF8(s.Text, "\uFFFD")
	raw, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	key := s.Key
	if key == "" {
		key = string(raw)
	}
	r := Report{ID: idOf(s.Source + "\x00" + s.Reporter + "\x00" + key), At: d.Now().UTC(), By: s.Source, From: s.Reporter, Actor: s.Actor}
	if r.Actor == "" && s.Trust > proof.T0 {
		r.Actor = s.Reporter
	}
	if err := d.keep(ctx, r, bytes.NewReader(raw)); err != nil {
		return "", err
	}
	return r.ID, d.Confirm(ctx, r.ID)
}

func readSubmission(raw []byte) (Submission, error) {
	var s Submission
	err := json.Unmarshal(raw, &s)
	return s, err
}

// report is what a submission says, in the form of all reports.
func (s Submission) report() complaint.Report {
	r := complaint.Report{Format: complaint.Form, Claims: s.Claims, Text: s.Text}
	if s.Source != ByForm && s.Source != ByPhone {
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

// who is how far it is believed: a form proves nobody.
func (s Submission) who() proof.Reporter {
	w := proof.Reporter{Trust: s.Trust}
	if s.Trust > proof.T0 {
		w.Address = s.Reporter
	}
	return w
}

// person: whoever leaves an address or a number waits for an answer.
func (s Submission) person() bool {
	return s.Source != ByCSV && (s.Reporter != "" || s.Phone != "") && (s.Source != ByAPI || s.Trust < proof.T2)
}
