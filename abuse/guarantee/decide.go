package guarantee

import (
	"context"
	"strings"
	"time"

	"postern/abuse/cases"
	"postern/abuse/cases/dossier"
	"postern/abuse/cases/flow"
	"postern/internal/entity"
	"postern/internal/said"
)

// trialFor is how long an account is on probation.
const trialFor = 30 * 24 * time.Hour

// Submit hands a complete pack to a second person.
func (o *Office) Submit(ctx context.Context, who cases.Actor, id string) (Pack, error) {
	p, err := o.Get(ctx, id)
	if err != nil {
		return p, err
	}
	if missing := p.Missing(); len(missing) > 0 {
		return p, dossier.Refuse(dossier.ErrNeeds, "guarantee.is-incomplete-missing", "%s is incomplete: %s missing", "id", id, "missing", strings.Join(missing, ", "))
	}
	for _, part := range Parts() { // a paper that is damaged is found before somebody relies on it
		r, err := o.Entities.Blob(ctx, entity.Papers, p.Files[part].Sum)
		if err != nil {
			return p, dossier.Refuse(dossier.ErrNeeds, "guarantee.the-cannot-be-read", "%s: the %s cannot be read: %v", "id", id, "part", part, "why", err)
		}
		r.Close()
	}
	p, err = o.change(ctx, who, "guarantee-submit", id, "", func(p *Pack) error {
		switch p.State {
		case Draft:
			p.State, p.Proposer = Waiting, who.Name
			return nil
		case Waiting:
			return entity.ErrUnchanged
		}
		return dossier.Refuse(dossier.ErrState, "guarantee.is", "%s is %s", "id", id, "state", p.State)
	})
	if err != nil {
		return p, err
	}
	return p, o.advance(ctx, who, p.Case, flow.GuaranteeIn, cases.Request{To: flow.GuaranteeIn, Said: said.Say("note.guarantee", "guarantee %s", "id", id), Pack: id})
}

// advance moves the case unless an earlier try, cut short, has done so.
func (o *Office) advance(ctx context.Context, who cases.Actor, id string, to flow.State, r cases.Request) error {
	c, err := o.Desk.Get(ctx, id)
	if err != nil || c.State == to {
		return err
	}
	_, err = o.Desk.Move(ctx, who, id, r)
	return err
}

// Approve takes a pack; the account is on probation from then on. Nobody approves what he
// brought in.
func (o *Office) Approve(ctx context.Context, who cases.Actor, id, reason string) (Pack, error) {
	p, err := o.decide(ctx, who, id, reason, Approved)
	if err != nil {
		return p, err
	}
	err = o.advance(ctx, who, p.Case, flow.Probation, cases.Request{To: flow.Probation, Reason: reason, Pack: id, Proposer: p.Proposer})
	if err == nil && o.Trials != nil {
		err = o.Trials.Begin(ctx, p.Ramp())
	}
	return p, err
}

// Refuse turns a pack down; the account stays suspended.
func (o *Office) Refuse(ctx context.Context, who cases.Actor, id, reason string) (Pack, error) {
	p, err := o.decide(ctx, who, id, reason, Refused)
	if err != nil {
		return p, err
	}
	return p, o.advance(ctx, who, p.Case, flow.Suspended, cases.Request{To: flow.Suspended, Reason: reason})
}

func (o *Office) decide(ctx context.Context, who cases.Actor, id, reason string, to State) (Pack, error) {
	if err := dossier.Reason(who, reason); err != nil {
		return Pack{}, err
	}
	if who.Role == flow.System {
		return Pack{}, dossier.Refuse(dossier.ErrRole, "guarantee.a-person-decides-on-a-guarantee", "a person decides on a guarantee")
	}
	return o.change(ctx, who, "guarantee-"+string(to), id, reason, func(p *Pack) error {
		switch {
		case p.State == to && p.Approver == who.Name: // an earlier try, cut short
			return entity.ErrUnchanged
		case p.State != Waiting:
			return dossier.Refuse(dossier.ErrState, "guarantee.is-and-waits-for-no-decision", "%s is %s and waits for no decision", "id", id, "state", p.State)
		case p.Proposer == who.Name && to == Approved:
			return dossier.Refuse(dossier.ErrRole, "guarantee.was-brought-in-by-another-person-approves", "%s was brought in by %s: another person approves it", "id", id, "proposer", p.Proposer)
		}
		p.State, p.Approver, p.Decided, p.Reason = to, who.Name, o.Now().UTC(), dossier.Clip(reason)
		if to == Approved {
			p.TrialUntil = p.Decided.Add(trialFor)
		}
		return nil
	})
}

// Ramp is the probation of an approved pack.
func (p *Pack) Ramp() Ramp {
	return Ramp{Pack: p.ID, Case: p.Case, Account: p.Account, Scope: p.Form.Scope, Covers: p.Form.Covers, From: p.Decided, Until: p.TrialUntil}
}

// Break ends the probation of a case: it is suspended again by a measure that was applied, and
// has a strike more. From the second on a lead is offered the permanent end; nothing more
// happens by itself.
func (o *Office) Break(ctx context.Context, who cases.Actor, caseID, measure string, level int, reason said.Words) (cases.Case, error) {
	c, err := o.Desk.Get(ctx, caseID)
	if err != nil {
		return c, err
	}
	if c.State != flow.Suspended {
		c, err = o.Desk.Move(ctx, who, caseID, cases.Request{To: flow.Suspended, Said: reason, Measure: measure, Level: level, Strike: c.State == flow.Probation})
		if err != nil {
			return c, err
		}
	}
	return c, o.struck(ctx, who, c, reason.English)
}

func (o *Office) struck(ctx context.Context, who cases.Actor, c cases.Case, reason string) error {
	if c.Pack == "" {
		return nil
	}
	p, err := o.change(ctx, who, "guarantee-broken", c.Pack, reason, func(p *Pack) error {
		if p.State != Approved {
			return entity.ErrUnchanged
		}
		p.State, p.Strike = Broken, c.Strikes
		return nil
	})
	if err == nil && o.Trials != nil && p.State == Broken {
		err = o.Trials.End(ctx, p.Ramp(), false)
	}
	if c.Strikes >= 2 && o.Offer != nil {
		o.Offer(ctx, c.ID, c.Account, c.Strikes)
	}
	return err
}

// Follow ends the probation of a pack when its case leaves it. It is a follower of the desk.
func (o *Office) Follow(ctx context.Context, c cases.Case, e cases.Event) error {
	if e.From != flow.Probation || c.Pack == "" {
		return nil
	}
	if e.To == flow.Suspended {
		return o.struck(ctx, cases.Machine(), c, e.Text)
	}
	p, err := o.change(ctx, cases.Machine(), "guarantee-kept", c.Pack, "", func(p *Pack) error {
		if p.State != Approved {
			return entity.ErrUnchanged
		}
		p.State = Kept
		return nil
	})
	if err == nil && o.Trials != nil && p.State == Kept {
		err = o.Trials.End(ctx, p.Ramp(), true)
	}
	return err
}

// Override brings a suspended account back without a guarantee: a lead may, for a reason that
// is kept.
func (o *Office) Override(ctx context.Context, who cases.Actor, caseID, reason string) (cases.Case, error) {
	if who.Role != flow.Lead {
		return cases.Case{}, dossier.Refuse(dossier.ErrRole, "guarantee.only-a-lead-may-go-without-a", "only a lead may go without a guarantee")
	}
	if err := dossier.Reason(who, reason); err != nil {
		return cases.Case{}, err
	}
	c, err := o.Desk.Get(ctx, caseID)
	if err == nil && c.State != flow.Suspended {
		err = dossier.Refuse(dossier.ErrState, "guarantee.is-and-cannot-become-by-an-override", "%s is %s and cannot become %s by an override: that is for a suspended account", "caseid", caseID, "state", c.State, "resolved", flow.Resolved)
	}
	if err != nil {
		return c, err
	}
	return o.Desk.Move(ctx, who, caseID, cases.Request{To: flow.Resolved, Reason: reason, Override: reason})
}
