// Package signal holds what speaks for or against a local account, by the family it comes
// from, and the arithmetic that keeps a few bad events from looking like a trend.
package signal

import (
	"math"
	"slices"
	"time"

	"postern/internal/said"
)

// Family is where a signal comes from. Two of one family are one witness.
type Family string

// The families.
const (
	Complaints Family = "A" // votes of recipients
	Verdicts   Family = "B" // our own verdict on what the account sends
	Behaviour  Family = "C" // how it sends and logs in
	Traps      Family = "D" // our own spam traps
	Listings   Family = "E" // others list our addresses because of it
)

// Own reports whether the family is what we saw ourselves: complaints and listings are what
// others say.
func (f Family) Own() bool { return f == Verdicts || f == Behaviour || f == Traps }

// Valid reports whether it is a family.
func (f Family) Valid() bool { return f == Complaints || f == Listings || f.Own() }

// Signal is one observation about an account.
type Signal struct {
	ID      string     `json:"id"` // derived from what it is about: the same again is no second one
	Family  Family     `json:"family"`
	Rule    string     `json:"rule"` // "volume", "complaint", "trap" ...
	Account string     `json:"account"`
	Tenant  string     `json:"tenant,omitempty"` // domain
	At      time.Time  `json:"at"`
	Weight  int        `json:"weight"` // share of the compromise score, 0 to 100; less than 0 speaks for the account
	Detail  string     `json:"detail,omitempty"`
	Said    said.Words `json:"said,omitzero"` // Detail by its code
	Case    string     `json:"case,omitempty"`
	Login   bool       `json:"login,omitempty"` // an anomaly of logins

	// Of a complaint.
	Votes    int       `json:"votes,omitempty"`    // hundredths
	Copy     string    `json:"copy,omitempty"`     // the delivered copy: it has one vote
	Provider string    `json:"provider,omitempty"` // domain of the recipient
	SentAt   time.Time `json:"sent_at,omitzero"`
	Feedback string    `json:"feedback,omitempty"`
}

// Saying is the signal with what was seen.
func (s Signal) Saying(w said.Words) Signal {
	w.Put(&s.Detail, &s.Said)
	return s
}

// Words is what was seen.
func (s Signal) Words() said.Words { return said.Kept(s.Detail, s.Said) }

// Kinds are the families that a set of signals comes from, sorted.
func Kinds(all []Signal) []Family {
	var out []Family
	for _, s := range all {
		if s.Weight > 0 && !slices.Contains(out, s.Family) {
			out = append(out, s.Family)
		}
	}
	slices.Sort(out)
	return out
}

// z of a two-sided interval of 95 %.
const z = 1.96

// Lower is the lower bound of the Wilson interval for hits of n at 95 %: what the rate is at
// least. Five of five is 0.57, not 1.
func Lower(hits, n int) float64 {
	if n <= 0 || hits <= 0 {
		return 0
	}
	hits = min(hits, n)
	p, total := float64(hits)/float64(n), float64(n)
	centre := p + z*z/(2*total)
	spread := z * math.Sqrt(p*(1-p)/total+z*z/(4*total*total))
	return (centre - spread) / (1 + z*z/total)
}

// MinDeliveries is how many copies a provider must have taken on the day a message was sent
// before a rate of complaints means anything.
const MinDeliveries = 200

// ComplaintRate is at least the share of a day's deliveries to a provider that was complained
// about. votes are hundredths; ok says that there were enough deliveries.
func ComplaintRate(votes, deliveries int) (rate float64, ok bool) {
	if deliveries < MinDeliveries {
		return 0, false
	}
	return Lower(votes/100, deliveries), true
}

// Weigh applies what the feedback says of a complaint: not-spam speaks for the account, a wish
// to be left out is no complaint, nor is a failed authentication. Neither changes how many votes there are.
func Weigh(feedback string, votes int) (weight int, counts bool) {
	switch feedback {
	case "not-spam":
		return -10, false
	case "opt-out", "opt-out-list", "auth-failure":
		return 0, false
	}
	if votes <= 0 {
		return 0, false
	}
	return 10, true
}
