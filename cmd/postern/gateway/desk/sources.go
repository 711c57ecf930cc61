package desk

import (
	"context"
	"errors"
	"time"

	"postern/abuse/notice"
	"postern/cmd/postern/abusedesk"
	"postern/cmd/postern/glue"
	"postern/cmd/postern/sources"
	"postern/filter"
	"postern/internal/config"
	"postern/internal/entity"
	"postern/internal/relay/outbox"
)

// buildSources makes the letters, and the work on sources elsewhere, on published lists and on our own listings.
func (d *Desk) buildSources(c *config.Config) (err error) {
	p := d.p.Sources
	if !c.Abuse.Answers.Off {
		if d.Letters, err = d.newLetters(c.Abuse.Answers.Dir); err != nil {
			return err
		}
		p.Letters = d.Letters
	}
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
		d.Recipients.Ended(ctx, e, f)
		if e.Origin != glue.OriginNotice || f.State != filter.Held || d.Answers == nil {
			return
		}
		if e.From == "" { // a letter: nobody hears of it but us
			if err := d.undelivered(ctx, e.ID, f.Reply); err != nil {
				d.p.Log.Error("that a letter was not delivered is not noted", "entry", e.ID, "err", err)
			}
			return
		}
		if id, ok := d.Answers.Aliases.Case(e.From); ok {
			if err := d.Sources.Undelivered(ctx, id, f.Recipient, f.Reply); err != nil {
				d.p.Log.Error("that a notice was not delivered is not noted", "case", id, "err", err)
			}
		}
	}
}

// lettersMost is how many letters are looked at for the one that was not delivered.
const lettersMost = 2000

// undelivered notes that the way out refused a letter for good, or that its time is over.
func (d *Desk) undelivered(ctx context.Context, entry, reply string) error {
	after := ""
	for looked := 0; looked < lettersMost; {
		all, next, err := d.Answers.List(ctx, "", notice.Sent, after, entity.DefaultPer)
		if err != nil {
			return err
		}
		for _, n := range all {
			id, err := glue.EntryID("letter", n.Key(), n.At)
			if err == nil && id == entry {
				_, err = d.Answers.Bounced(ctx, n.MessageID, reply)
				return err
			}
		}
		if looked, after = looked+len(all), next; next == "" {
			return nil
		}
	}
	return nil
}

// waits reports whether what went out under a key is still in the outbox.
func (d *Desk) waits(ctx context.Context, key string, at time.Time) (bool, error) {
	id, err := glue.EntryID("letter", key, at)
	if err != nil {
		return false, err
	}
	if _, err = d.p.Submit.Store.Get(ctx, id); errors.Is(err, outbox.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
