package casecalls

import (
	"context"
	"errors"

	"postern/abuse/cases"
	"postern/abuse/cases/dossier"
	"postern/abuse/cases/flow"
	"postern/abuse/second"
	"postern/cmd/postern/calls"
	"postern/internal/said"
)

// ActEnd is the act of a proposal to end an account for good.
const ActEnd = "case-end"

// proposeEnd lets another person confirm the end of an account.
func (p Parts) proposeEnd(ctx context.Context, c cases.Case, reason string) error {
	_, err := p.Second.Propose(ctx, calls.Person(ctx), second.Proposal{Act: ActEnd, Object: c.ID, Said: said.Say("asked.end", "the permanent end of %s", "account", c.Account), Reason: reason})
	return refusedSecond(err)
}

// ApprovedEnd ends an account; an earlier try that was cut short is no error.
func (p Parts) ApprovedEnd(ctx context.Context, q second.Proposal) error {
	c, err := p.Desk.Get(ctx, q.Object)
	if err != nil || c.State == flow.Terminated {
		return known(err)
	}
	reason := said.Kept(q.Decided.Reason, q.Decided.Said)
	if reason.English == "" {
		reason = said.Kept(q.Reason, q.Because)
	}
	_, err = p.Desk.Move(ctx, cases.Actor{Name: q.Decided.By, Role: flow.Lead}, q.Object, cases.Request{To: flow.Terminated, Said: reason})
	return known(err)
}

// DroppedEnd takes back the proposal from its case.
func (p Parts) DroppedEnd(ctx context.Context, q second.Proposal) error {
	_, err := p.Desk.WithdrawEnd(ctx, cases.Actor{Name: q.Decided.By, Role: flow.Lead}, q.Object, said.Say("note.proposal-ended", "%s: %s", "state", q.State, "reason", said.Kept(q.Decided.Reason, q.Decided.Said)))
	if errors.Is(err, dossier.ErrNotFound) {
		return nil
	}
	return err
}

// approver is who approves a guarantee: a user of the desk who did not bring it in.
func (p Parts) approver(ctx context.Context, who cases.Actor, q Pack) (cases.Actor, error) {
	if p.Second == nil {
		return who, nil
	}
	pack, err := p.Office.Get(ctx, q.ID)
	if err != nil {
		return who, err
	}
	who.Name, err = p.Second.Second(ctx, calls.Person(ctx), pack.Proposer, "approving guarantee", pack.ID, q.BreakGlass)
	return who, refusedSecond(err)
}

func refusedSecond(err error) error {
	switch {
	case errors.Is(err, second.ErrInvalid):
		return dossier.Because(dossier.ErrInvalid, err)
	case errors.Is(err, second.ErrSecond):
		return dossier.Because(dossier.ErrRole, err)
	}
	return err
}
