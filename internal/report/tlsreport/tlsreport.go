// Package tlsreport reads SMTP TLS reports (RFC 8460).
package tlsreport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"postern/internal/report/inert"
)

// MaxBytes bounds a report that is read, expanded.
const MaxBytes = 8 << 20

// Bounds of what is kept of a report.
const (
	maxPolicies = 1000
	maxFailures = 5000 // of all policies together
)

// ErrNoReport is returned for what is no TLS report. It is wrapped: use errors.Is.
var ErrNoReport = errors.New("this is no TLS report")

// Report is what one sender saw of our TLS in one period (RFC 8460 section 4.4).
type Report struct {
	Org      string   `json:"organization-name"`
	Contact  string   `json:"contact-info,omitempty"`
	ID       string   `json:"report-id"`
	Range    Range    `json:"date-range"`
	Policies []Policy `json:"policies"`
}

// Range is the reporting period.
type Range struct {
	Begin time.Time `json:"start-datetime"`
	End   time.Time `json:"end-datetime"`
}

// UnmarshalJSON implements json.Unmarshaler. Some leave the zone out: then it is UTC.
func (r *Range) UnmarshalJSON(b []byte) error {
	var text struct {
		Begin string `json:"start-datetime"`
		End   string `json:"end-datetime"`
	}
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	for _, t := range []struct {
		text string
		to   *time.Time
	}{{text.Begin, &r.Begin}, {text.End, &r.End}} {
		at, err := time.Parse(time.RFC3339, t.text)
		if err != nil {
			at, err = time.Parse("2006-01-02T15:04:05", t.text)
		}
		if err != nil {
			return fmt.Errorf("%.40q is no date and time", t.text)
		}
		*t.to = at
	}
	return nil
}

// Policy is the result for one policy that was applied to us.
type Policy struct {
	Policy struct {
		Type   string `json:"policy-type"` // sts, tlsa or no-policy-found
		Domain string `json:"policy-domain"`
		Text   texts  `json:"policy-string,omitempty"`
		Hosts  texts  `json:"mx-host,omitempty"`
	} `json:"policy"`
	Summary struct {
		Good   int64 `json:"total-successful-session-count"`
		Failed int64 `json:"total-failure-session-count"`
	} `json:"summary"`
	Failures []Failure `json:"failure-details,omitempty"`
}

// Failure is one kind of trouble.
type Failure struct {
	Type    string `json:"result-type"`
	Sender  string `json:"sending-mta-ip,omitempty"`
	Host    string `json:"receiving-mx-hostname,omitempty"`
	Helo    string `json:"receiving-mx-helo,omitempty"`
	Address string `json:"receiving-ip,omitempty"`
	Count   int64  `json:"failed-session-count"`
	More    string `json:"additional-information,omitempty"`
	Reason  string `json:"failure-reason-code,omitempty"`
}

// texts is a list of strings that some write as one string.
type texts []string

// UnmarshalJSON implements json.Unmarshaler.
func (t *texts) UnmarshalJSON(b []byte) error {
	var one string
	if err := json.Unmarshal(b, &one); err == nil {
		*t = texts{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// Read reads a report. Errors say in plain words what is wrong.
func Read(src []byte) (*Report, error) {
	if len(src) > MaxBytes {
		return nil, fmt.Errorf("the report has %d bytes, the limit is %d", len(src), MaxBytes)
	}
	var r Report
	if err := json.Unmarshal(bytes.TrimPrefix(src, []byte("\xef\xbb\xbf")), &r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoReport, err)
	}
	if len(r.Policies) == 0 {
		return nil, fmt.Errorf("%w: it has no policy", ErrNoReport)
	}
	if len(r.Policies) > maxPolicies {
		return nil, fmt.Errorf("the report has %d policies, the limit is %d", len(r.Policies), maxPolicies)
	}
	failures := 0
	for i := range r.Policies {
		p := &r.Policies[i]
		if failures += len(p.Failures); failures > maxFailures {
			return nil, fmt.Errorf("the report has more than %d failures", maxFailures)
		}
		if p.Summary.Good < 0 || p.Summary.Failed < 0 {
			return nil, fmt.Errorf("policy %d: a count below 0", i+1)
		}
		p.normalise()
	}
	for _, s := range []*string{&r.Org, &r.Contact, &r.ID} {
		*s = inert.Text(*s)
	}
	return &r, nil
}

func (p *Policy) normalise() {
	p.Policy.Type, p.Policy.Domain = inert.Word(p.Policy.Type), inert.Word(p.Policy.Domain)
	for _, list := range []texts{p.Policy.Text, p.Policy.Hosts} {
		for i := range list {
			list[i] = inert.Text(list[i])
		}
	}
	for i := range p.Failures {
		f := &p.Failures[i]
		f.Type = inert.Word(f.Type)
		for _, s := range []*string{&f.Sender, &f.Host, &f.Helo, &f.Address, &f.More, &f.Reason} {
			*s = inert.Text(*s)
		}
	}
}

// Domain is the policy domain the report is about, that of its first policy.
func (r *Report) Domain() string { return r.Policies[0].Policy.Domain }

// Sessions counts the sessions of a report, and those that failed.
func (r *Report) Sessions() (all, failed int64) {
	for _, p := range r.Policies {
		all += p.Summary.Good + p.Summary.Failed
		failed += p.Summary.Failed
	}
	return all, failed
}
