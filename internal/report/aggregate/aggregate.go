// Package aggregate reads and writes DMARC aggregate reports (RFC 9990, and RFC 7489 appendix
// C read kindly).
package aggregate

import (
	"encoding/xml"
	"net/netip"
	"slices"
	"strings"

	"postern/internal/report/inert"
)

// Namespace is that of the reports we write (RFC 9990).
const Namespace = "urn:ietf:params:xml:ns:dmarc-2.0"

// Feedback is one report: what one receiver saw of one policy domain in one period.
type Feedback struct {
	XMLName xml.Name
	Version string   `xml:"version,omitempty" json:"version,omitempty"`
	Meta    Metadata `xml:"report_metadata" json:"meta"`
	Policy  Policy   `xml:"policy_published" json:"policy"`
	Records []Record `xml:"record" json:"records"`
}

// Metadata says who reports, and about which time.
type Metadata struct {
	Org       string `xml:"org_name" json:"org"`
	Email     string `xml:"email" json:"email,omitempty"`
	Contact   string `xml:"extra_contact_info,omitempty" json:"contact,omitempty"`
	ID        string `xml:"report_id" json:"id"`
	Range     Range  `xml:"date_range" json:"range"`
	Error     string `xml:"error,omitempty" json:"error,omitempty"`
	Generator string `xml:"generator,omitempty" json:"generator,omitempty"`
}

// Range is the reporting period in seconds since 1970, both ends included.
type Range struct {
	Begin int64 `xml:"begin" json:"begin"`
	End   int64 `xml:"end" json:"end"`
}

// Policy is the DMARC record that was found, unspecified tags with their default values.
type Policy struct {
	Domain    string `xml:"domain" json:"domain"`
	Discovery string `xml:"discovery_method,omitempty" json:"discovery,omitempty"` // psl or treewalk
	P         string `xml:"p" json:"p"`
	SP        string `xml:"sp,omitempty" json:"sp,omitempty"`
	NP        string `xml:"np,omitempty" json:"np,omitempty"`
	FO        string `xml:"fo,omitempty" json:"fo,omitempty"`
	ADKIM     string `xml:"adkim,omitempty" json:"adkim,omitempty"` // r or s
	ASPF      string `xml:"aspf,omitempty" json:"aspf,omitempty"`
	Testing   string `xml:"testing,omitempty" json:"testing,omitempty"` // y or n
}

// Record is what was seen of one source, with one result.
type Record struct {
	Row  Row         `xml:"row" json:"row"`
	IDs  Identifiers `xml:"identifiers" json:"ids"`
	Auth AuthResults `xml:"auth_results" json:"auth"`
}

// Row is the source and what was made of its mail.
type Row struct {
	Source    string    `xml:"source_ip" json:"source"`
	Count     int64     `xml:"count" json:"count"`
	Evaluated Evaluated `xml:"policy_evaluated" json:"evaluated"`
}

// Evaluated is the outcome: disposition none, pass, quarantine or reject; DKIM and SPF pass
// or fail as DMARC sees them, aligned.
type Evaluated struct {
	Disposition string   `xml:"disposition" json:"disposition"`
	DKIM        string   `xml:"dkim" json:"dkim"`
	SPF         string   `xml:"spf" json:"spf"`
	Reasons     []Reason `xml:"reason" json:"reasons,omitempty"`
}

// Reason says why the disposition is not what the policy asks for.
type Reason struct {
	Type    string `xml:"type" json:"type"` // local_policy, mailing_list, other, policy_test_mode, trusted_forwarder
	Comment string `xml:"comment,omitempty" json:"comment,omitempty"`
}

// Identifiers are the domains the policy was applied to.
type Identifiers struct {
	HeaderFrom   string  `xml:"header_from" json:"header_from"`
	EnvelopeFrom *string `xml:"envelope_from" json:"envelope_from,omitempty"` // empty = null sender
	EnvelopeTo   string  `xml:"envelope_to,omitempty" json:"envelope_to,omitempty"`
}

// AuthResults are the results of DKIM and SPF, whatever DMARC makes of them.
type AuthResults struct {
	DKIM []DKIM `xml:"dkim" json:"dkim,omitempty"`
	SPF  []SPF  `xml:"spf" json:"spf,omitempty"` // one; old reports have several
}

// DKIM is one signature; Result is a word of RFC 8601 section 2.7.1.
type DKIM struct {
	Domain   string `xml:"domain" json:"domain"`
	Selector string `xml:"selector" json:"selector,omitempty"`
	Result   string `xml:"result" json:"result"`
	Human    string `xml:"human_result,omitempty" json:"human,omitempty"`
}

// SPF is the result of the MAIL FROM identity.
type SPF struct {
	Domain string `xml:"domain" json:"domain"`
	Scope  string `xml:"scope,omitempty" json:"scope,omitempty"` // mfrom
	Result string `xml:"result" json:"result"`
	Human  string `xml:"human_result,omitempty" json:"human,omitempty"`
}

// Messages counts the messages of a report, and those that neither DKIM nor SPF proved.
func (f *Feedback) Messages() (all, unproven int64) {
	for _, r := range f.Records {
		all += r.Row.Count
		if r.Row.Evaluated.DKIM != "pass" && r.Row.Evaluated.SPF != "pass" {
			unproven += r.Row.Count
		}
	}
	return all, unproven
}

// normalise brings what others write into one form.
func (f *Feedback) normalise() {
	m, p := &f.Meta, &f.Policy
	for _, s := range []*string{&f.Version, &m.Org, &m.Email, &m.Contact, &m.ID, &m.Error, &m.Generator} {
		*s = inert.Text(*s)
	}
	for _, s := range []*string{&p.Domain, &p.Discovery, &p.P, &p.SP, &p.NP, &p.FO, &p.ADKIM, &p.ASPF, &p.Testing} {
		*s = inert.Word(*s)
	}
	for i := range f.Records {
		f.Records[i].normalise()
	}
}

// listMost bounds the signatures, SPF results and reasons of one record that are kept.
const listMost = 20

// cut leaves out what no honest record has.
func (r *Record) cut() {
	r.Auth.DKIM = cut(r.Auth.DKIM)
	r.Auth.SPF = cut(r.Auth.SPF)
	r.Row.Evaluated.Reasons = cut(r.Row.Evaluated.Reasons)
}

func cut[T any](all []T) []T {
	if len(all) <= listMost {
		return all
	}
	return slices.Clone(all[:listMost])
}

func (r *Record) normalise() {
	r.Row.Source = strings.TrimSpace(r.Row.Source)
	if ip, err := netip.ParseAddr(r.Row.Source); err == nil {
		r.Row.Source = ip.Unmap().String()
	} else {
		r.Row.Source = inert.Text(r.Row.Source)
	}
	e := &r.Row.Evaluated
	for _, s := range []*string{&e.Disposition, &e.DKIM, &e.SPF, &r.IDs.HeaderFrom, &r.IDs.EnvelopeTo} {
		*s = inert.Word(*s)
	}
	if r.IDs.EnvelopeFrom != nil {
		*r.IDs.EnvelopeFrom = inert.Word(*r.IDs.EnvelopeFrom)
	}
	reasons := e.Reasons[:0]
	for _, x := range e.Reasons {
		if x.Type, x.Comment = inert.Word(x.Type), inert.Text(x.Comment); x.Type != "" || x.Comment != "" {
			reasons = append(reasons, x)
		}
	}
	e.Reasons = reasons
	for i := range r.Auth.DKIM {
		d := &r.Auth.DKIM[i]
		d.Domain, d.Selector, d.Result, d.Human = inert.Word(d.Domain), inert.Word(d.Selector), inert.Word(d.Result), inert.Text(d.Human)
	}
	for i := range r.Auth.SPF {
		s := &r.Auth.SPF[i]
		s.Domain, s.Scope, s.Result, s.Human = inert.Word(s.Domain), inert.Word(s.Scope), inert.Word(s.Result), inert.Text(s.Human)
	}
}
