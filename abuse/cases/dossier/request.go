package dossier

import (
	"fmt"
	"strings"
	"time"

	"postern/abuse/cases/flow"
	"postern/internal/said"
)

// Request asks for a move to another state, and brings what that needs.
type Request struct {
	To       flow.State `json:"to"`
	Reason   string     `json:"reason"`
	Measure  string     `json:"measure,omitempty"` // ID of the measure that was applied
	Level    int        `json:"level,omitempty"`   // of it, 0..7
	Families []string   `json:"families,omitempty"`
	Notice   string     `json:"notice,omitempty"` // ID of the notice that was sent
	Barred   string     `json:"barred,omitempty"` // why none was sent
	NoAbuse  bool       `json:"no_abuse,omitempty"`
	Override string     `json:"override,omitempty"` // why a lead goes past a rule that lets him

	// What only the desk's own rooms set.
	Said     said.Words `json:"-"` // the reason, where no person gives it
	Pack     string     `json:"-"` // ID of a complete guarantee pack
	Proposer string     `json:"-"` // who brought it in
	Strike   bool       `json:"-"` // the probation was broken
}

// Why is the reason: a person's, or the desk's own.
func (r Request) Why() said.Words {
	if r.Said.English != "" {
		return r.Said
	}
	return said.Typed(r.Reason)
}

// Data is what the timeline keeps of a request.
func (r Request) Data() map[string]string {
	out := map[string]string{}
	for name, value := range map[string]string{"measure": r.Measure, "notice": r.Notice, "barred": Clip(r.Barred), "override": Clip(r.Override), "pack": r.Pack, "families": strings.Join(r.Families, ",")} {
		if value != "" {
			out[name] = value
		}
	}
	if r.Level > 0 {
		out["level"] = fmt.Sprintf("M%d", r.Level)
	}
	return out
}

// Write notes in the case what the request brings.
func (r Request) Write(c *Case) {
	if r.Measure != "" {
		c.Measure, c.Level = r.Measure, r.Level
	}
	if r.Pack != "" {
		c.Pack = r.Pack
	}
	if r.Strike { // what the guarantee was given for is the first
		c.Strikes = max(c.Strikes, 1) + 1
	}
	c.NoAbuse = r.To == flow.Released && r.NoAbuse
}

// Allowed holds a move against the table.
func (c *Case) Allowed(who Actor, r Request) error {
	if c.MergedInto != "" && r.To != flow.Duplicate {
		return Refuse(ErrState, "case.is-merged-into-work-on-that-one", "%s is merged into %s: work on that one, or unmerge it", "id", c.ID, "mergedinto", c.MergedInto)
	}
	rule, ok, known := flow.Find(c.Kind == External, c.State, r.To, who.Role)
	switch {
	case !known:
		return Refuse(ErrState, "case.is-and-cannot-become-it-can-become", "%s is %s and cannot become %s; it can become %s", "id", c.ID, "state", c.State, "to", r.To, "next", words(flow.Next(c.Kind == External, c.State, who.Role)))
	case !ok:
		return Refuse(ErrRole, "case.from-to-is-not-for-the-role", "%s: from %s to %s is not for the role %s", "id", c.ID, "state", c.State, "to", r.To, "role", who.Role)
	}
	for _, n := range rule.Needs {
		if why := missing(n, c, who, r); why.English != "" {
			return Refuse(ErrNeeds, "case.from-to-needs", "%s: from %s to %s needs %s: %s", "id", c.ID, "state", c.State, "to", r.To, "need", n, "why", why)
		}
	}
	return nil
}

func words(states []flow.State) string {
	if len(states) == 0 {
		return "nothing else"
	}
	out := make([]string, len(states))
	for i, s := range states {
		out[i] = string(s)
	}
	return strings.Join(out, ", ")
}

// missing says why a need is not met; nothing where it is.
func missing(n flow.Need, c *Case, who Actor, r Request) said.Words {
	met, why := true, said.Words{}
	switch n {
	case flow.NeedCategory:
		met, why = len(c.Categories) > 0, said.Say("need.no-category", "it has none")
	case flow.NeedFamilies:
		met, why = families(r.Families), said.Say("need.two-families", "two different ones of A to E, one of them B, C or D")
	case flow.NeedMeasure:
		met, why = r.Measure != "" && r.Level >= 3 && r.Level <= 6, said.Say("need.name-measure", "name a measure M3 to M6")
	case flow.NeedPack:
		met, why = r.Pack != "", said.Say("need.guarantee", "use the guarantee commands")
	case flow.NeedSecond:
		proposer := r.Proposer
		if r.To == flow.Terminated && c.Ending != nil {
			proposer = c.Ending.By
		}
		met, why = proposer != "" && proposer != who.Name, said.Say("need.another", "another person has to propose it")
	case flow.NeedStrikes:
		met, why = c.Ending != nil && (c.Strikes >= 2 || c.Ending.Order != ""), said.Say("need.strikes-are", "there are %d strikes", "n", c.Strikes)
	case flow.NeedNotice:
		met, why = r.Notice != "" || strings.TrimSpace(r.Barred) != "", said.Say("need.name-notice", "name the notice, or say why none is sent")
	case flow.NeedMerged:
		met, why = c.MergedInto != "", said.Say("need.merge", "merge it first")
	case flow.NeedLowLevel:
		met, why = c.Level < 5 || strings.TrimSpace(r.Override) != "", said.Say("need.level-is", "the measure is M%d: bring a guarantee pack, or an override with its reason", "level", c.Level)
	}
	if met {
		return said.Words{}
	}
	return why
}

// families reports whether two different signal families, one of them our own observation,
// are named.
func families(all []string) bool {
	seen := map[string]bool{}
	for _, f := range all {
		if len(f) == 1 && f[0] >= 'A' && f[0] <= 'E' {
			seen[f] = true
		}
	}
	return len(seen) >= 2 && (seen["B"] || seen["C"] || seen["D"])
}

// SetResult notes the first result that was sent, or why none was.
func (c *Case) SetResult(notice, barred string, at time.Time) {
	if c.ResultAt.IsZero() {
		c.ResultAt, c.Barred, c.ResultNote = at, notice == "", notice
		if notice == "" {
			c.ResultNote = Clip(barred)
		}
	}
}
