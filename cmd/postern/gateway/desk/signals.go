package desk

import (
	"context"
	"strings"

	"postern/abuse"
	"postern/abuse/cases"
	"postern/abuse/signal"
)

// complaints hands what a report proved against an account to the measures: votes alone never
// do more than throttle.
func (d *Desk) complaints(ctx context.Context, c cases.Case, e cases.Event) error {
	if e.Report == "" || c.Account == "" || c.Drill {
		return nil
	}
	l, err := d.Cases.Cases.Link(ctx, e.Report)
	if err != nil {
		return err
	}
	weight, counts := signal.Weigh(l.Feedback, l.Counts)
	if weight == 0 && !counts {
		return nil
	}
	_, provider, _ := strings.Cut(l.Reporter, "@")
	s := signal.Signal{
		ID: "complaint:" + e.Report, Family: signal.Complaints, Rule: "complaint", Account: abuse.Name(c.Account), Tenant: d.p.Accounts.DomainOf(c.Account),
		At: d.p.Now().UTC(), Weight: weight, Detail: "a report proved as " + e.Data["proof"] + " of " + e.Data["trust"], Case: c.ID,
		Copy: l.Copy, Provider: strings.ToLower(provider), SentAt: l.SentAt, Feedback: l.Feedback,
	}
	if counts {
		s.Votes = l.Counts
	}
	return d.Measures.Signals.Add(ctx, s)
}
