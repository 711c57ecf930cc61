package service

import (
	"context"
	"encoding/json"
	"errors"

	"postern/abuse/second"
	"postern/abuse/service/credit"
	"postern/cmd/postern/calls"
	"postern/internal/control"
	"postern/internal/said"
)

// ActCredit is the act of a proposal to approve a credit that waives a fee.
const ActCredit = "credit"

// CreditQuery asks for credits: of a month, or of a state, or all.
type CreditQuery struct {
	Month string       `json:"month,omitempty"`
	State credit.State `json:"state,omitempty"`
	After string       `json:"after,omitempty"`
	Limit int          `json:"limit,omitempty"`
}

// CreditDecision decides about a credit.
type CreditDecision struct {
	ID         string `json:"id"`
	Why        string `json:"why"`
	BreakGlass string `json:"break_glass,omitempty"` // why nobody else can approve
}

// handleCredits adds the calls about the ledger to s.
func (d *Desk) handleCredits(s *control.Server) {
	control.Handle(s, "service.credits", func(ctx context.Context, q CreditQuery) (credit.Page, error) {
		out, err := d.credits(ctx, q)
		return out, known(err)
	})
	for name, f := range map[string]func(context.Context, CreditDecision) (credit.Credit, error){
		"service.credit":         func(ctx context.Context, q CreditDecision) (credit.Credit, error) { return d.Credits.Get(ctx, q.ID) },
		"service.credit-approve": d.approve,
		"service.credit-refuse": func(ctx context.Context, q CreditDecision) (credit.Credit, error) {
			return d.Credits.Decide(ctx, person(ctx), q.ID, false, q.Why)
		},
	} {
		control.Handle(s, name, func(ctx context.Context, q CreditDecision) (credit.Credit, error) {
			out, err := f(ctx, q)
			return out, known(err)
		})
	}
}

func (d *Desk) credits(ctx context.Context, q CreditQuery) (credit.Page, error) {
	if q.Month == "" {
		return d.Credits.List(ctx, q.State, q.After, q.Limit)
	}
	all, err := d.Credits.Of(ctx, q.Month)
	out := credit.Page{Credits: []credit.Credit{}}
	for _, c := range all {
		if q.State == "" || c.State == q.State {
			out.Credits = append(out.Credits, c)
		}
	}
	return out, err
}

// approve approves a credit as its figure is now. One that waives a fee waits for another
// person, unless somebody breaks the glass.
func (d *Desk) approve(ctx context.Context, q CreditDecision) (credit.Credit, error) {
	c, err := d.fresh(ctx, q.ID)
	if err != nil {
		return c, err
	}
	who, book := calls.Person(ctx), d.Second
	switch {
	case !c.Two():
		return d.Credits.Decide(ctx, who.Name, q.ID, true, q.Why)
	case c.State != credit.Draft:
		return d.Credits.Decide(ctx, who.Name, q.ID, true, q.Why) // it says why not
	case q.BreakGlass != "":
		name, err := book.Second(ctx, who, credit.Actor, ActCredit, q.ID, q.BreakGlass)
		if err != nil {
			return c, err
		}
		return d.Credits.Decide(ctx, name, q.ID, true, q.Why)
	case c.Asked != nil:
		return c, control.Refuse(control.Conflict, "service.has-asked-for-it-already-another-person", "%s has asked for it already: another person approves it, see approval show %s", "by", c.Asked.By, "proposal", c.Asked.Proposal)
	}
	params, err := json.Marshal(credit.Asked{Why: q.Why})
	if err != nil {
		return c, err
	}
	p, err := book.Propose(ctx, who, second.Proposal{Act: ActCredit, Object: q.ID, Said: said.Say("asked.credit", "%s for %s in %s", "kind", c.Kind, "figure", c.Figure, "month", c.Month), Params: params, Reason: q.Why})
	if err != nil {
		return c, err
	}
	return d.Credits.Ask(ctx, who.Name, q.ID, p.ID, q.Why)
}

// fresh is a credit after the ledger has followed the figures of its month.
func (d *Desk) fresh(ctx context.Context, id string) (credit.Credit, error) {
	c, err := d.Credits.Get(ctx, id)
	if err != nil {
		return c, err
	}
	if _, err = d.Report(ctx, c.Month); err != nil {
		return c, err
	}
	return d.Credits.Get(ctx, id)
}

// ApprovedCredit approves what a second person agreed to; the same proposal again is no error.
func (d *Desk) ApprovedCredit(ctx context.Context, p second.Proposal) error {
	c, err := d.fresh(ctx, p.Object)
	if err != nil || c.State == credit.Approved && c.Asked != nil && c.Asked.Proposal == p.ID {
		return known(err)
	}
	_, err = d.Credits.Decide(ctx, p.Decided.By, p.Object, true, p.Reason)
	return known(err)
}

// MootCredit says how a proposal ended whose credit was decided without it.
func (d *Desk) MootCredit(ctx context.Context, p second.Proposal) (*second.End, error) {
	c, waits, err := d.Credits.Waits(ctx, p.Object, p.At)
	switch {
	case errors.Is(err, credit.ErrNotFound):
		return &second.End{State: second.Withdrawn, By: credit.Actor, Reason: said.Say("credit.gone", "there is no such credit any more")}, nil
	case err != nil || waits:
		return nil, err
	case c.State == credit.Refused:
		return &second.End{State: second.Refused, By: c.Decided, Reason: said.Kept(c.Why, c.Said)}, nil
	case c.State == credit.Approved:
		return &second.End{State: second.Withdrawn, By: c.Decided, Reason: said.Say("credit.approved-without", "approved without it: %s", "why", said.Kept(c.Why, c.Said))}, nil
	}
	why := said.Kept(c.Why, c.Said)
	if why.English == "" {
		why = said.Say("credit.another-draft", "it is another draft now")
	}
	return &second.End{State: second.Withdrawn, By: credit.Actor, Reason: why}, nil
}

// over ends a proposal at once that its credit waits for no more.
func (d *Desk) over(ctx context.Context, proposal string) {
	if d.Second == nil {
		return
	}
	if err := d.Second.Look(ctx, proposal); err != nil {
		d.p.Log.Warn("a proposal about a credit that is decided stays open for now", "proposal", proposal, "err", err)
	}
}

// DroppedCredit notes that nobody waits for a second person any more.
func (d *Desk) DroppedCredit(ctx context.Context, p second.Proposal) error {
	return d.Credits.Drop(ctx, p.Decided.By, p.Object, p.ID, string(p.State)+": "+p.Decided.Reason)
}
