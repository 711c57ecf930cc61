package flow

import (
	"slices"

	"postern/internal/said"
)

// Role is what somebody acts as.
type Role string

// The roles.
const (
	System Role = "system"
	Agent  Role = "agent"
	Lead   Role = "lead" // may do all that an agent may
)

// Need is what a move must bring.
type Need string

// The needs. A reason is needed of every person, whatever the move.
const (
	NeedFamilies Need = "two signal families"
	NeedCategory Need = "a category S1 to S5"
	NeedMeasure  Need = "a measure of the right level"
	NeedPack     Need = "a complete guarantee pack"
	NeedSecond   Need = "a second person"
	NeedStrikes  Need = "two strikes or a written order"
	NeedNotice   Need = "a notice that was sent, or the reason why none is"
	NeedMerged   Need = "a case that it is merged into"
	NeedLowLevel Need = "a measure below M5, or an override"
)

// Said implements said.Sayer.
func (n Need) Said() said.Words {
	switch n {
	case NeedFamilies:
		return said.Say("need.families", "two signal families")
	case NeedCategory:
		return said.Say("need.category", "a category S1 to S5")
	case NeedMeasure:
		return said.Say("need.measure", "a measure of the right level")
	case NeedPack:
		return said.Say("need.pack", "a complete guarantee pack")
	case NeedSecond:
		return said.Say("need.second", "a second person")
	case NeedStrikes:
		return said.Say("need.strikes", "two strikes or a written order")
	case NeedNotice:
		return said.Say("need.notice", "a notice that was sent, or the reason why none is")
	case NeedMerged:
		return said.Say("need.merged", "a case that it is merged into")
	case NeedLowLevel:
		return said.Say("need.low-level", "a measure below M5, or an override")
	}
	return said.Words{English: string(n)}
}

// Rule lets a case go from one state to another.
type Rule struct {
	From, To State
	External bool
	Roles    []Role
	Needs    []Need
}

// row writes several rules with the same needs.
func row(external bool, from State, roles []Role, needs []Need, to ...State) []Rule {
	var out []Rule
	for _, t := range to {
		out = append(out, Rule{from, t, external, roles, needs})
	}
	return out
}

// Rules is the whole table.
func Rules() []Rule { return append(local(), external()...) }

func local() []Rule {
	all, people, leads, system := []Role{System, Agent, Lead}, []Role{Agent, Lead}, []Role{Lead}, []Role{System}
	triage := func(from State) []Rule {
		return slices.Concat(
			row(false, from, people, nil, NeedsInfo, Rejected, NotOurs),
			row(false, from, all, nil, Contained),
			row(false, from, people, []Need{NeedCategory}, Verified),
			row(false, from, system, []Need{NeedCategory, NeedFamilies}, Verified),
		)
	}
	done := func(from State) []Rule {
		return append(row(false, from, all, []Need{NeedNotice}, ResultSent), row(false, from, all, nil, Reopened)...)
	}
	return slices.Concat(
		row(false, New, all, nil, Matching, Contained),
		row(false, Matching, all, nil, Triage, NotOurs, Unparsed, Contained),
		row(false, Matching, all, []Need{NeedMerged}, Duplicate),
		row(false, Unparsed, people, nil, Triage),
		row(false, Unparsed, people, []Need{NeedNotice}, Closed),
		row(false, Duplicate, people, nil, Triage),
		row(false, Duplicate, all, []Need{NeedMerged}, Closed),
		triage(Triage),
		row(false, NeedsInfo, all, nil, Triage, Closed, Contained),
		row(false, Contained, people, []Need{NeedCategory}, Verified),
		row(false, Contained, system, []Need{NeedCategory, NeedFamilies}, Verified),
		row(false, Contained, people, nil, Released),
		row(false, Verified, all, []Need{NeedMeasure}, Suspended),
		row(false, Verified, people, nil, Warned),
		row(false, Verified, leads, nil, Released),
		row(false, Warned, all, nil, Verified),
		row(false, Warned, people, nil, Resolved),
		row(false, Suspended, all, []Need{NeedPack}, GuaranteeIn),
		row(false, Suspended, leads, []Need{NeedSecond, NeedStrikes}, Terminated),
		row(false, Suspended, leads, nil, Released),
		row(false, Suspended, leads, []Need{NeedLowLevel}, Resolved),
		row(false, GuaranteeIn, people, []Need{NeedPack, NeedSecond}, Probation),
		row(false, GuaranteeIn, people, nil, Suspended),
		row(false, Probation, []Role{System, Lead}, nil, Resolved),
		row(false, Probation, all, []Need{NeedMeasure}, Suspended),
		row(false, Terminated, []Role{System, Lead}, nil, Closed),
		done(NotOurs), done(Rejected), done(Released), done(Resolved),
		row(false, ResultSent, all, nil, Closed, Reopened),
		row(false, Closed, all, nil, Reopened),
		row(false, Reopened, people, nil, Triage),
		triage(Reopened),
	)
}

func external() []Rule {
	all, people := []Role{System, Agent, Lead}, []Role{Agent, Lead}
	notice := []Need{NeedNotice}
	return slices.Concat(
		row(true, Detected, all, nil, Confirmed),
		row(true, Detected, people, nil, Rejected),
		row(true, Confirmed, all, notice, Notified, Blocked),
		row(true, Notified, all, nil, Blocked, Observe),
		row(true, Notified, people, nil, Resolved),
		row(true, Blocked, all, nil, Observe, HalfOpen),
		row(true, Observe, all, nil, HalfOpen, Blocked),
		row(true, HalfOpen, all, nil, Lifted, Blocked),
		row(true, Lifted, all, notice, ResultSent),
		row(true, Lifted, all, nil, Reopened),
		row(true, Rejected, all, notice, ResultSent),
		row(true, Rejected, all, nil, Reopened),
		row(true, Resolved, all, notice, ResultSent),
		row(true, Resolved, all, nil, Reopened),
		row(true, ResultSent, all, nil, Closed, Reopened),
		row(true, Closed, all, nil, Reopened),
		row(true, Reopened, all, nil, Confirmed),
		row(true, Reopened, people, nil, Rejected, Detected),
	)
}

// Find returns the rule for a move by a role. known is false if nobody may make that move;
// without a rule for the role alone, ok is false.
func Find(external bool, from, to State, role Role) (r Rule, ok, known bool) {
	for _, r := range Rules() {
		if r.External == external && r.From == from && r.To == to {
			known = true
			if slices.Contains(r.Roles, role) {
				return r, true, true
			}
		}
	}
	return Rule{}, false, known
}

// Next lists the states that a role may bring a case to.
func Next(external bool, from State, role Role) []State {
	var out []State
	for _, r := range Rules() {
		if r.External == external && r.From == from && slices.Contains(r.Roles, role) && !slices.Contains(out, r.To) {
			out = append(out, r.To)
		}
	}
	return out
}
