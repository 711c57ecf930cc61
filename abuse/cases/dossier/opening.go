package dossier

import (
	"errors"
	"strings"
	"time"

	"postern/abuse/calendar"
	"postern/abuse/cases/flow"
	"postern/internal/said"
)

// Opening is a case that no report opens: what our own observation found.
type Opening struct {
	Kind     Kind       `json:"kind"`
	Account  string     `json:"account,omitempty"`
	Source   Source     `json:"source"`
	About    string     `json:"about,omitempty"` // what an external case without a source is about: a list, an address of ours
	Priority int        `json:"priority,omitempty"`
	Category []Category `json:"categories,omitempty"`
	Team     string     `json:"team,omitempty"`
	Drill    bool       `json:"drill,omitempty"`
	Reason   string     `json:"reason"`
	Said     said.Words `json:"-"` // the reason, where no person gives it
}

// Subject is what the case is recognised by.
func (o Opening) Subject() (string, error) {
	prefix := ""
	if o.Drill {
		prefix = "drill "
	}
	switch {
	case o.Priority < 0 || o.Priority > 4:
		return "", Refuse(ErrInvalid, "case.u-is-no-priority-they-are-u1", "U%d is no priority; they are U1 to U4", "priority", o.Priority)
	case o.Kind != External && o.Account != "":
		return prefix + "account " + strings.ToLower(o.Account), nil
	case o.Kind == External && o.Source.Domain != "":
		return prefix + "domain " + strings.ToLower(o.Source.Domain), nil
	case o.Kind == External && o.Source.IP.IsValid():
		return prefix + "ip " + o.Source.IP.Unmap().String(), nil
	case o.Kind == External && o.About != "":
		return prefix + "about " + Clip(o.About), nil
	}
	return "", Refuse(ErrNeeds, "case.a-case-is-about-an-account-a", "a case is about an account, a source (IP or d=), or something that is named")
}

// Why is the reason: a person's, or the desk's own.
func (o Opening) Why() said.Words {
	if o.Said.English != "" {
		return o.Said
	}
	return said.Typed(o.Reason)
}

// New is the case that an opening opens.
func (o Opening) New(id, name string, who Actor, now time.Time, cal *calendar.Calendar) (Case, error) {
	now = now.UTC()
	c := Case{
		ID: id, Kind: o.Kind, Subject: name, Team: o.Team, Opened: now, Changed: now, Account: o.Account,
		Source: o.Source, Priority: 4, Categories: o.Category, Drill: o.Drill,
	}
	state := flow.Detected
	if c.Kind != External {
		c.Kind, state = Local, flow.Triage
	}
	err := errors.Join(c.Run(flow.First, now, cal), c.Run(flow.Result, now, cal), c.Enter(state, Machine(), now, cal))
	if err == nil && o.Priority > 0 {
		err = c.Raise(o.Priority, now, cal)
	}
	e := Event{Case: id, Seq: 1, At: now, Actor: who.Name, Action: "opened", To: state, Next: now}
	e.Tell(o.Why())
	c.Seq, c.Pending = 1, []Event{e}
	return c, err
}

// Bundle is what a seal is the hash of.
type Bundle struct {
	Case     string     `json:"case"`
	At       time.Time  `json:"at"`
	Account  string     `json:"account,omitempty"`
	Source   Source     `json:"source"`
	Sentence string     `json:"sentence"`
	Evidence []Evidence `json:"evidence"`
	Reports  []string   `json:"reports"` // ID and SHA-256
	Total    int        `json:"total"`
}

// Bounds of how long evidence is kept.
const (
	keepEvidence  = 180 * 24 * time.Hour
	keepSuspended = 90 * 24 * time.Hour
)

// KeepUntil is until when the evidence of a case is kept; ok is false while that has no end.
func (c *Case) KeepUntil() (until time.Time, ok bool) {
	if c.LegalHold || c.Open() {
		return time.Time{}, false
	}
	until = c.Opened.Add(keepEvidence)
	for _, k := range c.Clocks {
		if k.Name == flow.Data || k.Name == flow.Purge {
			if end := k.Stopped.Add(keepSuspended); end.After(until) {
				until = end
			}
		}
	}
	return until, true
}
