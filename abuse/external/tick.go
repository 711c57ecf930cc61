package external

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/external/order"
	"postern/abuse/external/told"
	"postern/internal/entity"
	"postern/internal/entity/refile"
	"postern/internal/said"
)

// halfOpen is how long a source is let in by a tenth before it is free again.
const halfOpen = 48 * time.Hour

// perTick bounds how many sources one call works on.
const perTick = 5000

// Tick does what time brings: it finishes what a crash cut short, and brings sources from
// blocked to lifted. One node calls it.
func (d *Desk) Tick(ctx context.Context) error {
	var all []Source
	err := d.sources().Each(ctx, entity.Query{Index: "live", Rising: true, Limit: 500}, func(r entity.Row[Source]) error {
		if all = append(all, r.Value); len(all) >= perTick {
			return errFull
		}
		return nil
	})
	if errors.Is(err, errFull) {
		err = nil
	}
	errs := []error{err, d.tendNotices(ctx), refile.Tick(ctx, "external-source-1", d.sources(), entity.Query{Index: "all"}), told.Refile(ctx, d.Home)}
	for _, s := range all {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := d.tickOne(ctx, s); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.Case, err))
		}
	}
	return errors.Join(errs...)
}

var errFull = said.New("external.enough-for-now", "enough for now")

func (d *Desk) tickOne(ctx context.Context, s Source) error {
	c, err := d.Cases.Get(ctx, s.Case)
	if err != nil {
		return err
	}
	want := c.State == flow.Blocked || c.State == flow.Observe
	if s.State != c.State || s.Block != nil && s.Held != want {
		if err := d.settle(ctx, c); err != nil {
			return err
		}
	}
	switch c.State {
	case flow.Detected, flow.Reopened, flow.Confirmed, flow.Notified:
		return d.automatic(ctx, s, c)
	case flow.Blocked, flow.Observe:
		return d.watch(ctx, s, c)
	case flow.HalfOpen:
		if d.Now().Sub(c.Since) < halfOpen {
			return nil
		}
		if c, err = d.Cases.Move(ctx, cases.Machine(), s.Case, cases.Request{To: flow.Lifted, Said: said.Say("note.nothing-bad", "nothing bad came for %d hours", "n", int(halfOpen/time.Hour))}); err != nil {
			return err
		}
		return d.settle(ctx, c)
	}
	return nil
}

// watch opens a source that did not try on any day of its hold, or whose provider gave its word.
func (d *Desk) watch(ctx context.Context, s Source, c cases.Case) error {
	if s.Block == nil {
		return nil
	}
	now := d.Now().UTC()
	quiet := s.triesIn(now, s.Hold) == 0 && now.Sub(s.Block.At) >= time.Duration(s.Hold)*day
	var reason said.Words
	switch {
	case s.Block.Rule != order.WhenQuiet:
	case s.Word != "":
		reason = said.Say("note.providers-word", "the provider's word: %s", "word", s.Word)
	case quiet:
		reason = said.Say("note.quiet", "less than one attempt a day for %d days", "n", s.Hold)
	}
	if reason.Code != "" {
		c, err := d.Cases.Move(ctx, cases.Machine(), s.Case, cases.Request{To: flow.HalfOpen, Said: reason})
		if err != nil {
			return err
		}
		return d.settle(ctx, c)
	}
	if s.Block.Until.Sub(now) < day {
		return d.renew(ctx, s, now)
	}
	if c.State == flow.Blocked && now.Sub(c.Since) >= day && s.triesIn(now, 2) == 0 {
		c, err := d.Cases.Move(ctx, cases.Machine(), s.Case, cases.Request{To: flow.Observe, Said: said.Say("note.stopped-trying", "it has stopped trying")})
		if err != nil {
			return err
		}
		return d.settle(ctx, c)
	}
	return nil
}

// renew keeps a block that would end while the source still tries, or before a person looked.
func (d *Desk) renew(ctx context.Context, s Source, now time.Time) error {
	row, err := d.sources().Change(ctx, s.Case, func(s *Source) error {
		if s.Block == nil || s.Block.Until.Sub(now) >= day {
			return entity.ErrUnchanged
		}
		s.Block.Until = now.Add(firstHold * day)
		return nil
	})
	if err != nil {
		return err
	}
	s = row.Value
	if err := d.Lists.Block(ctx, *s.Block, s.Case); err != nil {
		return err
	}
	text := said.Say("note.block-goes-on", "the block goes on until %s: %d attempts in %d days", "until", s.Block.Until.Format(time.DateOnly), "attempts", s.triesIn(now, s.Hold), "days", s.Hold)
	if s.Block.Rule == order.ByReview {
		text = said.Say("note.block-review", "the block is to be reviewed: it was renewed until %s", "until", s.Block.Until.Format(time.DateOnly))
	}
	_, err = d.Cases.Note(ctx, s.Case, cases.Event{Actor: cases.Machine().Name, Action: "block-renewed", Said: text})
	return err
}

// automatic confirms, tells and blocks where that is wanted.
func (d *Desk) automatic(ctx context.Context, s Source, c cases.Case) error {
	if !d.Automatic || s.Incidents == 0 || c.MergedInto != "" {
		return nil
	}
	var err error
	if c.State == flow.Detected || c.State == flow.Reopened {
		if c, err = d.Confirm(ctx, cases.Machine(), c.ID, "", said.Say("note.reported", "reported by users or traps")); err != nil {
			return err
		}
	}
	if c.State == flow.Confirmed {
		if _, err = d.Complain(ctx, cases.Machine(), c.ID); err != nil {
			return err
		}
	}
	b := d.usual(&s, d.Now().UTC())
	if err := b.Check(d.Protected(), b.At); err != nil {
		d.Log.Warn("a source is not blocked by itself: a person has to look", "case", c.ID, "error", err)
		return nil
	}
	_, err = d.Block(ctx, cases.Machine(), c.ID, *b, "")
	return err
}
