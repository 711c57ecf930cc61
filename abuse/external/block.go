package external

import (
	"context"
	"fmt"
	"slices"
	"time"

	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/external/order"
	"postern/internal/entity"
	"postern/internal/said"
)

// Block refuses a source that is confirmed. Where nobody was told of it, barred says why.
func (d *Desk) Block(ctx context.Context, who cases.Actor, id string, b order.Block, barred string) (cases.Case, error) {
	c, err := d.external(ctx, id)
	if err != nil {
		return c, err
	}
	b.By, b.At = who.Name, d.Now().UTC()
	if err := b.Check(d.Protected(), b.At); err != nil {
		return c, err
	}
	if !slices.Contains([]flow.State{flow.Confirmed, flow.Notified, flow.Observe, flow.HalfOpen, flow.Blocked}, c.State) {
		return c, said.Errorf("external.is-a-source-is-confirmed-first", "%w: %s is %s; a source is confirmed first", "kind", order.ErrBlock, "id", id, "state", c.State)
	}
	if barred == "" && c.State == flow.Confirmed {
		barred = d.lastBar(ctx, id)
	}
	old := order.Block{}
	if _, err := d.upsert(ctx, c, func(s *Source) error {
		if s.Block != nil {
			old = *s.Block
		}
		s.Block, s.Held, s.Word = &b, false, ""
		return nil
	}); err != nil {
		return c, err
	}
	if old.Value != "" && (old.Value != b.Value) {
		if err := d.Lists.Unblock(ctx, old, id); err != nil {
			return c, err
		}
	}
	if c.State != flow.Blocked {
		if c, err = d.Cases.Move(ctx, who, id, cases.Request{To: flow.Blocked, Reason: b.Why, Said: b.Reason(), Barred: barred}); err != nil {
			return c, err
		}
	}
	if err := d.settle(ctx, c); err != nil {
		return c, err
	}
	return c, d.Audit(ctx, who.Name, "source-block", id, old, b, b.Why)
}

// Lift opens a source half, at a person's order or at the provider's word.
func (d *Desk) Lift(ctx context.Context, who cases.Actor, id, word string) (cases.Case, error) {
	c, err := d.external(ctx, id)
	if err != nil {
		return c, err
	}
	if _, err := d.upsert(ctx, c, func(s *Source) error { s.Word = word; return nil }); err != nil {
		return c, err
	}
	if c, err = d.Cases.Move(ctx, who, id, cases.Request{To: flow.HalfOpen, Reason: word}); err != nil {
		return c, err
	}
	return c, d.settle(ctx, c)
}

// again blocks a source that was half open, for twice as long as before.
func (d *Desk) again(ctx context.Context, src Source, why said.Words) (cases.Case, error) {
	now := d.Now().UTC()
	if _, err := d.sources().Change(ctx, src.Case, func(s *Source) error {
		if s.Block == nil {
			s.Block = d.usual(s, now)
		}
		if s.Block.At.Before(s.Since) { // else the first try came so far
			s.Hold = min(max(s.Hold, firstHold)*2, lastHold)
			s.Block.At, s.Block.By = now, cases.Machine().Name
			why.Put(&s.Block.Why, &s.Block.Said)
			s.Block.Until = now.Add(time.Duration(s.Hold+firstHold) * day)
		}
		s.Word = ""
		return nil
	}); err != nil {
		return cases.Case{}, err
	}
	c, err := d.Cases.Move(ctx, cases.Machine(), src.Case, cases.Request{To: flow.Blocked, Said: why})
	if err != nil {
		return c, err
	}
	return c, d.settle(ctx, c)
}

// usual is the block of a source about which nobody said how.
func (d *Desk) usual(s *Source, now time.Time) *order.Block {
	b := &order.Block{
		Scope: order.ByIP, Value: s.IP.String(), Rule: order.WhenQuiet, By: cases.Machine().Name,
		At: now, Until: now.Add(time.Duration(max(s.Hold, firstHold)+firstHold) * day),
	}
	said.Say("note.abuse-case", "abuse, case %s", "id", s.Case).Put(&b.Why, &b.Said)
	if !s.IP.IsValid() {
		b.Scope, b.Value = order.ByDomain, s.Domain
	}
	return b
}

// settle makes the lists what the state of a case asks for. It may be called at any time.
func (d *Desk) settle(ctx context.Context, c cases.Case) error {
	now := d.Now().UTC()
	src, err := d.upsert(ctx, c, func(s *Source) error {
		s.State, s.Since = c.State, c.Since
		if c.State == flow.Blocked && s.Block == nil {
			s.Block = d.usual(s, now)
		}
		return nil
	})
	if err != nil || src.Block == nil {
		return err
	}
	want := c.State == flow.Blocked || c.State == flow.Observe
	if want {
		if err := src.Block.Check(d.Protected(), src.Block.At); err != nil {
			_, noteErr := d.Cases.Note(ctx, c.ID, cases.Event{Actor: cases.Machine().Name, Action: "block-refused", Said: said.Of(err)})
			return noteErr
		}
	}
	switch {
	case want && !src.Held:
		err = d.Lists.Block(ctx, *src.Block, c.ID)
	case !want && src.Held:
		err = d.Lists.Unblock(ctx, *src.Block, c.ID)
	default:
		return d.Observer.Load(ctx, d)
	}
	if err != nil {
		return fmt.Errorf("the block of %s: %w", c.ID, err)
	}
	if _, err := d.sources().Change(ctx, c.ID, func(s *Source) error {
		if s.Held == want {
			return entity.ErrUnchanged
		}
		s.Held = want
		return nil
	}); err != nil {
		return err
	}
	return d.Observer.Load(ctx, d)
}

// Follow implements cases.Follower.
func (d *Desk) Follow(ctx context.Context, c cases.Case, e cases.Event) error {
	if c.Kind != cases.External || c.Drill || !c.Source.IP.IsValid() && c.Source.Domain == "" {
		return nil
	}
	if e.Report != "" && (e.Action == "opened" || e.Action == "report") {
		l, err := d.Cases.Link(ctx, e.Report)
		if err != nil {
			return err
		}
		if l.Trust > 0 && !l.Unparsed && !l.Duplicate { // nobody proved to be the reporter of others
			if c, err = d.signed(ctx, c, "", Sign{Ground: User, Ref: e.Report, By: l.Reporter, At: l.At.UTC()}); err != nil {
				return err
			}
		}
	}
	if e.To == "" && e.Action != "opened" {
		return nil
	}
	now, err := d.Cases.Get(ctx, c.ID) // the event may be old
	if err != nil {
		return err
	}
	return d.settle(ctx, now)
}
