package desk

import (
	"context"
	"errors"
	"strings"

	"postern/abuse"
	"postern/abuse/cases"
	"postern/abuse/signal"
	"postern/internal/said"
)

// complaints hands what a report proved against an account to the measures: votes alone never
// do more than throttle.
func (d *Desk) complaints(ctx context.Context, c cases.Case, e cases.Event) error {
	if err := d.listed(ctx, c, e); err != nil {
		return err
	}
	if e.Report == "" || c.Account == "" || c.Drill {
		return nil
	}
	l, err := d.Cases.Cases.Link(ctx, e.Report)
	if err != nil {
		return err
	}
	if err := errors.Join(d.urgent(ctx, c, l), d.reportedByTrap(ctx, c, l)); err != nil {
		return err
	}
	weight, counts := signal.Weigh(l.Feedback, l.Counts)
	if weight == 0 && !counts {
		return nil
	}
	_, provider, _ := strings.Cut(l.Reporter, "@")
	s := signal.Signal{
		ID: "complaint:" + e.Report, Family: signal.Complaints, Rule: "complaint", Account: abuse.Name(c.Account), Tenant: d.p.Accounts.DomainOf(c.Account),
		At: d.p.Now().UTC(), Weight: weight, Case: c.ID,
		Copy: l.Copy, Provider: strings.ToLower(provider), SentAt: l.SentAt, Feedback: l.Feedback,
	}
	if counts {
		s.Votes = l.Counts
	}
	return d.Measures.Signals.Add(ctx, s.Saying(said.Say("seen.report", "a report proved as %s of %s", "proof", e.Data["proof"], "trust", e.Data["trust"])))
}

// reportedByTrap: a proved copy that a trap got is a hit.
func (d *Desk) reportedByTrap(ctx context.Context, c cases.Case, l cases.Link) error {
	trap := d.p.Config.Load().Abuse.Signals.Trap(l.To)
	if trap == "" || l.Counts <= 0 || l.Serial == "" {
		return nil
	}
	return d.hit(ctx, c.Account, trap, l.Serial, said.Say("seen.trap-reported", "the spam trap %s reported what it got", "trap", trap), c.ID)
}

// grave are the sorts of feedback that cannot wait. They do not count for more votes.
func grave(feedback string) bool {
	switch feedback {
	case "fraud", "phishing", "virus", "malware":
		return true
	}
	return false
}

// urgent raises the priority of a case: to U1 where a report of fraud or of a virus is proved
// with the message itself, by one step to U2 at most where it is not, and not at all where
// nothing ties it to the account.
func (d *Desk) urgent(ctx context.Context, c cases.Case, l cases.Link) error {
	if !grave(l.Feedback) || l.Grade < 1 || l.Trust < 1 {
		return nil
	}
	want := max(c.Priority-1, 2)
	if l.Grade >= 3 {
		want = 1
	}
	if want >= c.Priority {
		return nil
	}
	_, err := d.Cases.Cases.SetPriority(ctx, cases.Machine(), c.ID, want, said.Say("note.reported-as", "reported as %s, proved as P%d", "feedback", l.Feedback, "grade", l.Grade))
	return err
}
