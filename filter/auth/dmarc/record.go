// Package dmarc evaluates Domain-based Message Authentication: RFC 9989, reading records of
// RFC 7489 kindly.
package dmarc

import (
	"errors"
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

// Milder is the policy one step down, as a record with t=y asks.
func (p Policy) Milder() Policy {
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
	RUA         []string
}

// ErrNoPolicy: a record whose p= is missing or unknown and that asks for no reports either.
var ErrNoPolicy = errors.New("the DMARC record has no policy")

// maxRecord bounds a record, in octets.
const maxRecord = 8 << 10

// IsRecord reports whether a TXT record is a DMARC record: its first tag is v=DMARC1.
func IsRecord(txt string) bool {
	first, _, _ := strings.Cut(txt[:min(len(txt), 100)], ";")
	name, value, ok := strings.Cut(first, "=")
	return ok && trim(name) == "v" && trim(value) == "DMARC1"
}

func trim(s string) string { return strings.Trim(s, " \t\r\n") }

// Parse reads a record. Tags that are unknown, odd or given again are passed over; only the
// policy itself must be there, or an address for reports, which then means p=none (RFC 9989
// section 4.7).
func Parse(txt string) (Record, error) {
	rec := Record{PSD: 'u'}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(txt[:min(len(txt), maxRecord)], ";") {
		name, value, ok := strings.Cut(part, "=")
		name, value = strings.ToLower(trim(name)), trim(value)
		if !ok || seen[name] {
			continue
		}
		seen[name] = true
		rec.set(name, value)
	}
	if rec.Policy == "" {
		if len(rec.RUA) == 0 {
			return rec, ErrNoPolicy
		}
		rec.Policy = PolicyNone
	}
	return rec, nil
}

func (rec *Record) set(name, value string) {
	word := strings.ToLower(value)
	switch name {
	case "p":
		rec.Policy = policy(word)
	case "sp":
		rec.Subdomain = policy(word)
	case "np":
		rec.NonExistent = policy(word)
	case "psd":
		if word == "y" || word == "n" {
			rec.PSD = word[0]
		}
	case "t":
		rec.Test = rec.Test || word == "y"
	case "pct":
		rec.Test = rec.Test || word != "" && strings.Trim(word, "0") == ""
	case "adkim":
		rec.StrictDKIM = strict(word)
	case "aspf":
		rec.StrictSPF = strict(word)
	case "rua":
		for uri := range strings.SplitSeq(value, ",") {
			if scheme, rest, ok := strings.Cut(trim(uri), ":"); ok && rest != "" && strings.EqualFold(scheme, "mailto") && len(rec.RUA) < 10 {
				rec.RUA = append(rec.RUA, trim(uri))
			}
		}
	}
}

// policy is the policy a word names, or "".
func policy(word string) Policy {
	switch p := Policy(word); p {
	case PolicyNone, PolicyQuarantine, PolicyReject:
		return p
	}
	return ""
}

func strict(word string) bool { return word == "s" || word == "strict" }
