// Package flow is the machine of a case as a table: its states, who may move it from one to
// another, what that needs, and which clocks run meanwhile. It keeps nothing.
package flow

import "slices"

// State is where a case stands.
type State string

// The states of a local case.
const (
	New         State = "NEW"
	Matching    State = "MATCHING"
	Unparsed    State = "UNPARSED"
	Duplicate   State = "DUPLICATE"
	Triage      State = "TRIAGE"
	NeedsInfo   State = "NEEDS_INFO"
	Contained   State = "CONTAINED"
	Verified    State = "VERIFIED"
	Warned      State = "WARNED"
	Suspended   State = "SUSPENDED"
	GuaranteeIn State = "GUARANTEE_IN"
	Probation   State = "PROBATION"
	Terminated  State = "TERMINATED"
	NotOurs     State = "NOT_OURS"
	Rejected    State = "REJECTED"
	Released    State = "RELEASED"
	Resolved    State = "RESOLVED"
	ResultSent  State = "RESULT_SENT"
	Closed      State = "CLOSED"
	Reopened    State = "REOPENED"
)

// The states that only an external case has.
const (
	Detected  State = "DETECTED"
	Confirmed State = "CONFIRMED"
	Notified  State = "NOTIFIED"
	Blocked   State = "BLOCKED"
	Observe   State = "OBSERVE"
	HalfOpen  State = "HALF_OPEN"
	Lifted    State = "LIFTED"
)

// Owner says who has to act in a state.
type Owner string

// The owners.
const (
	BySystem   Owner = "system"
	ByAgent    Owner = "agent"
	ByReporter Owner = "reporter"
	ByCustomer Owner = "customer"
	ByApprover Owner = "approver"
	ByManager  Owner = "manager"
)

// Def is what a state means.
type Def struct {
	State    State
	Owner    Owner
	Clocks   []Name // run while the case is in this state
	Decision bool   // a person who brings a case here has decided something
	Waits    bool   // the time to the result stands still
	Proven   bool   // needs evidence and a source
	Done     bool   // only the result is owed
}

// defs lists all states.
func defs() []Def {
	return []Def{
		{State: New, Owner: BySystem, Clocks: []Name{Match}},
		{State: Matching, Owner: BySystem, Clocks: []Name{Match}},
		{State: Unparsed, Owner: ByAgent},
		{State: Duplicate, Owner: BySystem},
		{State: Triage, Owner: ByAgent},
		{State: NeedsInfo, Owner: ByReporter, Clocks: []Name{Reply}, Decision: true, Waits: true},
		{State: Contained, Owner: ByAgent, Clocks: []Name{Review}, Decision: true},
		{State: Verified, Owner: ByAgent, Clocks: []Name{Measure}, Decision: true, Proven: true},
		{State: Warned, Owner: ByCustomer, Clocks: []Name{Customer}, Decision: true, Proven: true},
		{State: Suspended, Owner: ByCustomer, Clocks: []Name{Reminder, Data}, Decision: true, Proven: true},
		{State: GuaranteeIn, Owner: ByApprover, Clocks: []Name{Approve}, Proven: true},
		{State: Probation, Owner: BySystem, Clocks: []Name{Trial}, Proven: true},
		{State: Terminated, Owner: ByManager, Clocks: []Name{Purge}, Decision: true, Proven: true},
		{State: NotOurs, Owner: BySystem, Decision: true, Done: true},
		{State: Rejected, Owner: BySystem, Decision: true, Done: true},
		{State: Released, Owner: BySystem, Decision: true, Done: true},
		{State: Resolved, Owner: BySystem, Decision: true, Done: true},
		{State: ResultSent, Owner: BySystem, Clocks: []Name{Settle}, Decision: true, Done: true},
		{State: Closed, Owner: BySystem, Decision: true, Done: true},
		{State: Reopened, Owner: ByAgent},
		{State: Detected, Owner: ByAgent},
		{State: Confirmed, Owner: ByAgent, Clocks: []Name{Notice}, Decision: true, Proven: true},
		{State: Notified, Owner: ByAgent, Clocks: []Name{Block}, Decision: true, Proven: true},
		{State: Blocked, Owner: BySystem, Clocks: []Name{Watch}, Decision: true, Proven: true},
		{State: Observe, Owner: BySystem, Clocks: []Name{Watch}, Proven: true},
		{State: HalfOpen, Owner: BySystem, Clocks: []Name{Half}, Proven: true},
		{State: Lifted, Owner: BySystem, Decision: true, Done: true},
	}
}

// Of is what a state means; ok is false for a word that is no state.
func Of(s State) (def Def, ok bool) {
	all := defs()
	i := slices.IndexFunc(all, func(d Def) bool { return d.State == s })
	if i < 0 {
		return Def{State: s}, false
	}
	return all[i], true
}

// States are all states, in the order of the table.
func States() []State {
	var out []State
	for _, d := range defs() {
		out = append(out, d.State)
	}
	return out
}
