package measure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postern/abuse"
	"postern/internal/entity"
	"postern/internal/said"
)

// Held is the mail that M2 holds.
type Held interface {
	// Held lists up to limit open holds that a measure keeps of an account or @domain, oldest first.
	Held(ctx context.Context, target string, limit int) (ids []string, err error)
	// Rescan judges a hold again as if no measure were in force.
	Rescan(ctx context.Context, id string) (clean bool, why string, err error)
	// Release hands it to its recipients.
	Release(ctx context.Context, id, actor string) error
	// Keep makes it a hold like any other: it was held for what it is.
	Keep(ctx context.Context, id, why string) error
}

// clock is the actor of what nobody asked for.
const clock = "postern"

// atOnce bounds what one round does of a kind.
const atOnce = 50

// Tend does what time asks for: measures end or are due for review, connectors are tried again,
// held mail goes out. It runs on one node at a time.
func (d *Desk) Tend(ctx context.Context) error {
	var errs []error
	now := d.Now().UTC()
	var all []Measure
	err := d.table.Each(ctx, entity.Query{Index: "open", Rising: true, Limit: 500}, func(r entity.Row[Measure]) error {
		all = append(all, r.Value)
		return nil
	})
	errs = append(errs, err)
	for _, m := range all {
		switch {
		case m.State.InForce() && !m.Until.IsZero() && !now.Before(m.Until):
			errs = append(errs, d.expire(ctx, m))
		case m.State == PendingActivation || m.State == PendingRemoval:
			if !now.Before(m.Retry) {
				errs = append(errs, d.project(ctx, m.Target, clock))
				_, err := d.carry(ctx, m.ID)
				errs = append(errs, err)
			}
		case !m.Review.IsZero() && !now.Before(m.Review):
			d.Alert("measure-review:"+m.ID, fmt.Sprintf("%s on %s since %s waits for a review", m.Level, m.Target, m.At.Format(time.RFC3339)), false)
		}
	}
	return errors.Join(append(errs, d.releaseHeld(ctx))...)
}

// expire ends a measure whose time is over. A hold becomes a throttle, so that what was held
// goes out slowly: first that one, then the end of this one.
func (d *Desk) expire(ctx context.Context, m Measure) error {
	if m.Level == abuse.M2 {
		if _, err := d.put(ctx, Request{
			ID: m.ID + "-after", Account: account(m.Target), Domain: domain(m.Target), Level: abuse.M1, TTL: d.Config.Throttle, Actor: clock, Case: m.Case,
			Said: said.Say("note.hold-unreviewed", "the hold %s ended unreviewed", "id", m.ID), Families: m.Families, Rules: m.Rules,
		}, true); err != nil && !errors.Is(err, ErrEnded) {
			return err
		}
	}
	_, err := d.Undo(ctx, m.ID, clock, said.Say("note.time-over", "its time is over"), false)
	return err
}

func account(target string) string {
	if abuse.Scope(target) == "domain" {
		return ""
	}
	return target
}

func domain(target string) string {
	if abuse.Scope(target) == "domain" {
		return target[1:]
	}
	return ""
}

// releaseHeld lets mail go that an ended M2 held: scanned again, at the speed of M1, all at once
// where a person found no abuse. What does not pass stays in the quarantine.
func (d *Desk) releaseHeld(ctx context.Context) error {
	if d.Held == nil {
		return nil
	}
	rows, _, err := d.table.Find(ctx, entity.Query{Index: "releasing", Rising: true, Limit: atOnce})
	errs := []error{err}
	for _, r := range rows {
		errs = append(errs, d.releaseOf(ctx, r.Value))
	}
	return errors.Join(errs...)
}

func (d *Desk) releaseOf(ctx context.Context, m Measure) error {
	all, err := d.inForce(ctx, m.Target)
	if err != nil || len(all) > 0 && all[0].Level >= abuse.M2 {
		return err // a stricter one took its place: what is held stays
	}
	allowed := atOnce
	if m.Ended == nil || !m.Ended.Cleared {
		// Some at once, the rest in proportion to the time since.
		since := time.Duration(0)
		if m.Ended != nil {
			since = d.Now().Sub(m.Ended.At)
		}
		allowed = min(atOnce, 1+int(since*time.Duration(d.Config.Messages)/time.Hour)-m.Released)
	}
	if allowed <= 0 {
		return nil
	}
	ids, err := d.Held.Held(ctx, m.Target, allowed)
	if err != nil {
		return err
	}
	out, kept := 0, 0
	var failed error
	for _, id := range ids {
		clean, why, err := d.Held.Rescan(ctx, id)
		switch {
		case err != nil:
			failed = err
		case !clean:
			err = errors.Join(d.Held.Keep(ctx, id, why), d.say(ctx, m, clock, "held-mail-kept", nil, id, said.Typed(why)))
			kept++
		default:
			err = d.Held.Release(ctx, id, clock)
			out++
		}
		if err != nil {
			failed = err
			break
		}
	}
	if failed == nil && out+kept == 0 {
		return d.released(ctx, m, -1)
	}
	if out == 0 {
		return failed
	}
	return errors.Join(failed, d.released(ctx, m, m.Released+out))
}

// released notes how many went out; -1 says that none is left.
func (d *Desk) released(ctx context.Context, m Measure, n int) error {
	if n < 0 {
		if err := d.say(ctx, m, clock, "held-mail-released", nil, m.Released, said.Say("note.all-out", "%d messages went out, none is left", "n", m.Released)); err != nil {
			return err
		}
	}
	_, err := d.table.Change(ctx, m.ID, func(now *Measure) error {
		now.Released = n
		return nil
	})
	return err
}
