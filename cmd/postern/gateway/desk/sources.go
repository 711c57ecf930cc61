package desk

import (
	"context"

	"postern/cmd/postern/abusedesk"
	"postern/cmd/postern/glue"
	"postern/cmd/postern/sources"
	"postern/filter"
	"postern/internal/relay/outbox"
)

// buildSources makes the work on sources elsewhere, on published lists and on our own listings.
func (d *Desk) buildSources() (err error) {
	p := d.p.Sources
	p.Config, p.Home, p.Key, p.Now, p.Log, p.Audit, p.Event, p.Alone = d.p.Config, d.p.Entities, d.p.Key, d.p.Now, d.p.Log, d.p.Audit, d.p.Event, d.p.Alone
	p.Holds, p.Cases, p.Intake, p.Calendars, p.Submit, p.Alias = d.p.Held.Quarantine, d.Cases.Cases, d.Intake, d.Cases.Calendars, d.p.Submit.Notice, d.alias
	d.Sources, err = sources.New(p)
	if err == nil {
		d.Intake.Came = d.Sources.Came
	}
	return err
}

// alias is the address under which a case is answered; without letters that of the desk.
func (d *Desk) alias(caseID string) string {
	if d.Answers != nil {
		return d.Answers.Aliases.For(caseID)
	}
	return abusedesk.Address(d.p.Config.Load())
}

// Ended wraps what is told how entries of the outbox end: a notice that could not be delivered
// has failed, and the case says so.
func (d *Desk) Ended(next func(ctx context.Context, e outbox.Entry, f filter.Fate)) func(ctx context.Context, e outbox.Entry, f filter.Fate) {
	return func(ctx context.Context, e outbox.Entry, f filter.Fate) {
		next(ctx, e, f)
		if e.Origin != glue.OriginNotice || f.State != filter.Held || d.Answers == nil {
			return
		}
		if id, ok := d.Answers.Aliases.Case(e.From); ok {
			if err := d.Sources.Undelivered(ctx, id, f.Recipient, f.Reply); err != nil {
				d.p.Log.Error("that a notice was not delivered is not noted", "case", id, "err", err)
			}
		}
	}
}
