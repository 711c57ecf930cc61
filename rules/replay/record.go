// Package replay rehearses a change of rules on mail that passed: it keeps of each judged
// message what a verdict rests on, never its text, and judges that by two sets of rules.
package replay

import (
	"slices"
	"strings"

	"postern/filter"
	"postern/rules/who"
)

// Bounds of one record. Findings past theirs are those of floods; recipients past theirs are
// judged as those before.
const (
	MaxTo       = 32
	MaxFindings = 500
)

// Record is one judged message: what was found, not what it said.
type Record struct {
	ID       string // of the message; it begins with the time
	Outbound bool
	Before   bool // refused before its body came
	Reach    bool // all recipients are mailboxes that take mail from everybody before DATA
	Size     int64
	Action   filter.Action // what it came to, the largest over the recipients
	Score    filter.Score
	Rules    string       // revision of the rules that judged
	To       []who.Hidden // the recipients that rules judged
	Account  who.Hidden   // who sent it, outbound
	Findings []Finding
	Failures []Failure
}

// Finding is one thing a check observed, without what exactly it saw.
type Finding struct {
	Symbol, Step, Types string
	Part                bool // it is of one part that is named
	For                 int  // number of the recipient it concerns, from 1; 0 = all
}

// Failure is a step that could not tell.
type Failure struct {
	Step     string
	OnError  filter.Action
	Standing bool
}

// Of makes the record of a message. ok is false where no rule judged it.
func Of(m *filter.Message, o filter.Outcome) (r Record, ok bool) {
	r = Record{ID: m.ID, Outbound: m.Direction == filter.Outbound, Before: m.Body == nil, Size: m.Size}
	number := map[string]int{}
	for i, to := range m.To {
		if i >= len(o.Verdicts) || o.Verdicts[i].Rules == "" {
			continue
		}
		v := o.Verdicts[i]
		if !ok || v.Action > r.Action {
			r.Action, r.Score, r.Rules = v.Action, v.Score, v.Rules
		}
		ok = true
		if name := strings.ToLower(to.Address); number[name] == 0 && len(r.To) < MaxTo {
			r.To = append(r.To, who.Hide(to.Address))
			number[name] = len(r.To)
		}
	}
	if !ok {
		return r, false
	}
	if r.Outbound {
		r.Account = who.Hide(m.Account)
	}
	r.Reach = r.Before && takesAll(r.To)
	for _, f := range o.Report.Findings {
		one := Finding{Symbol: f.Symbol, Step: f.Step, Types: f.Types, Part: f.Part != "", For: number[strings.ToLower(f.For)]}
		if f.For != "" && one.For == 0 || len(r.Findings) == MaxFindings || slices.Contains(r.Findings, one) {
			continue
		}
		r.Findings = append(r.Findings, one)
	}
	for _, f := range o.Report.Failures {
		r.Failures = append(r.Failures, Failure{f.Step, f.OnError, f.Standing})
	}
	return r, true
}

// takesAll reports that all of the recipients are postmaster or abuse.
func takesAll(to []who.Hidden) bool {
	postmaster, abuse := who.Mark("postmaster"), who.Mark("abuse")
	return !slices.ContainsFunc(to, func(h who.Hidden) bool { return h.Base != postmaster && h.Base != abuse })
}
