// Package dmarc evaluates Domain-based Message Authentication: RFC 9989, reading records of
// RFC 7489 kindly.
package dmarc

import (
	"errors"
	"net/url"
	"strings"
)

// Policy is what a domain's owner asks for mail that fails.
type Policy string

// The policies, from mild to strict.
const (
	PolicyNone       Policy = "none"
	PolicyQuarantine Policy = "quarantine"
	PolicyReject     Policy = "reject"
)

// milder is the policy one step down, as a record with t=y asks.
func (p Policy) milder() Policy {
	if p == PolicyReject {
		return PolicyQuarantine
	}
	return PolicyNone
}

// rank orders policies; the larger is the stricter.
func (p Policy) rank() int {
	return map[Policy]int{PolicyQuarantine: 1, PolicyReject: 2}[p]
}

// Record is a DMARC policy record (RFC 9989 section 4.7).
type Record struct {
	Policy      Policy // p=
	Subdomain   Policy // sp=, "" if absent
	NonExistent Policy // np=, "" if absent
	PSD         byte   // psd=: 'y', 'n' or 'u'
	Test        bool   // t=y, and pct=0 of RFC 7489
	StrictDKIM  bool   // adkim=s
	StrictSPF   bool   // aspf=s
}

// What makes a record one that DMARC is not applied by (RFC 9989 section 4.10.1). Beside
// them stands what could be read: a record still marks an organization's place in the tree.
var (
	ErrNoPolicy  = errors.New("the DMARC record has no valid policy")
	ErrTooLarge  = errors.New("the DMARC record is of no honest size")
	errOddPolicy = errors.New("the DMARC record has an sp= or np= that is no policy")
)

// maxRecord bounds a record, in octets.
const maxRecord = 8 << 10

// IsRecord reports whether a TXT record is a DMARC record: its first tag is v=DMARC1.
func IsRecord(txt string) bool {
	first, _, _ := strings.Cut(txt[:min(len(txt), 100)], ";")
	name, value, ok := strings.Cut(first, "=")
	return ok && strings.EqualFold(trim(name), "v") && trim(value) == "DMARC1"
}

func trim(s string) string { return strings.Trim(s, " \t\r\n") }

// Parse reads a record. Tags that are unknown, odd or given again are passed over. A p=,
// sp= or np= that names no policy, or no p= at all, makes it p=none where it also asks for
// reports, else the error says that it has no policy (RFC 9989 section 4.10.1).
func Parse(txt string) (Record, error) {
	if len(txt) > maxRecord {
		return Record{PSD: 'u'}, ErrTooLarge
	}
	r := reader{rec: Record{PSD: 'u'}}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(txt, ";") {
		name, value, ok := strings.Cut(part, "=")
		name, value = strings.ToLower(trim(name)), trim(value)
		if !ok || seen[name] {
			continue
		}
		seen[name] = true
		r.set(name, value)
	}
	switch rec := &r.rec; {
	case rec.Policy != "" && !r.odd:
		return *rec, nil
	case r.reports:
		rec.Policy, rec.Subdomain, rec.NonExistent = PolicyNone, "", ""
		return *rec, nil
	case rec.Policy == "":
		return *rec, ErrNoPolicy
	}
	return r.rec, errOddPolicy
}

// reader is a record on its way.
type reader struct {
	rec     Record
	odd     bool // sp= or np= names no policy
	reports bool // rua= holds a valid URI, of whatever scheme
}

func (r *reader) set(name, value string) {
	word, rec := strings.ToLower(value), &r.rec
	switch name {
	case "p":
		rec.Policy = policy(word)
	case "sp":
		rec.Subdomain = policy(word)
		r.odd = r.odd || rec.Subdomain == ""
	case "np":
		rec.NonExistent = policy(word)
		r.odd = r.odd || rec.NonExistent == ""
	case "psd":
		if word == "y" || word == "n" {
			rec.PSD = word[0]
		}
	case "t":
		rec.Test = rec.Test || word == "y"
	case "pct":
		rec.Test = rec.Test || word != "" && strings.Trim(word, "0") == ""
	case "adkim":
		rec.StrictDKIM = word == "s"
	case "aspf":
		rec.StrictSPF = word == "s"
	case "rua":
		r.reports = r.reports || asksForReports(value)
	}
}

// asksForReports says whether rua= holds a valid URI.
func asksForReports(list string) bool {
	for text := range strings.SplitSeq(list, ",") {
		uri, err := url.Parse(trim(text))
		if err != nil || uri.Scheme == "" || uri.Opaque == "" && uri.Host == "" {
			continue
		}
		if uri.Scheme == "mailto" {
			if at := strings.LastIndexByte(uri.Opaque, '@'); at < 1 || at == len(uri.Opaque)-1 {
				continue
			}
		}
		return true
	}
	return false
}

// policy is the policy a word names, or "".
func policy(word string) Policy {
	switch p := Policy(word); p {
	case PolicyNone, PolicyQuarantine, PolicyReject:
		return p
	}
	return ""
}
