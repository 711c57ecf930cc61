package desk

import (
	"context"
	"fmt"

	"postern/abuse/second"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/casecalls"
	"postern/cmd/postern/pace"
	"postern/cmd/postern/service"
)

// newSecond keeps what needs two persons.
func (d *Desk) newSecond() *second.Book {
	return &second.Book{Store: d.p.Entities, Now: d.p.Now, Audit: d.p.Audit, Alert: d.p.Event, Do: d.approved, Dropped: d.dropped, Moot: d.moot}
}

func (d *Desk) approved(ctx context.Context, p second.Proposal) error {
	switch p.Act {
	case calls.ActMeasure:
		return calls.Measures{Desk: d.Measures.Desk}.Approved(ctx, p)
	case pace.Act:
		return pace.Approved(ctx, d.calls, p)
	case casecalls.ActEnd:
		return casecalls.Parts{Desk: d.Cases.Cases}.ApprovedEnd(ctx, p)
	case service.ActCredit:
		return d.p.Service.ApprovedCredit(ctx, p)
	}
	return fmt.Errorf("nobody here does %q", p.Act)
}

func (d *Desk) moot(ctx context.Context, p second.Proposal) (*second.End, error) {
	if p.Act == service.ActCredit {
		return d.p.Service.MootCredit(ctx, p)
	}
	return nil, nil
}

func (d *Desk) dropped(ctx context.Context, p second.Proposal) error {
	switch p.Act {
	case casecalls.ActEnd:
		return casecalls.Parts{Desk: d.Cases.Cases}.DroppedEnd(ctx, p)
	case service.ActCredit:
		return d.p.Service.DroppedCredit(ctx, p)
	}
	return nil
}
