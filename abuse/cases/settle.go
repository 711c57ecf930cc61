package cases

import (
	"context"
	"slices"
	"strconv"

	"postern/abuse/cases/flow"
	"postern/internal/entity"
	"postern/internal/said"
)

// alarm raises the alert of a clock, and ends those of clocks that stopped.
func (d *Desk) alarm(ctx context.Context, c Case, e Event) error {
	if d.Alarm == nil || c.Drill {
		return nil
	}
	for _, n := range e.Stopped {
		if k := c.Clock(n); k != nil && k.Said > 0 {
			d.Alarm(ctx, Alarm{Case: c.ID, Clock: n, Due: k.Due(), Owner: c.Owner, Priority: c.Priority, Over: true})
		}
	}
	if e.Action != actionClock {
		return nil
	}
	percent, _ := strconv.Atoi(e.Data["percent"]) // written by the tick alone
	name := flow.Name(e.Data["clock"])
	if k := c.Clock(name); k != nil && k.Running() {
		d.Alarm(ctx, Alarm{Case: c.ID, Clock: name, Percent: percent, Due: k.Due(), Owner: c.Owner, Priority: c.Priority})
	}
	return nil
}

// tellMerged stops the clocks of the cases merged into this one that the change has stopped
// here: what was decided and answered for one was for all.
func (d *Desk) tellMerged(ctx context.Context, c Case, e Event) error {
	life := slices.DeleteFunc(slices.Clone(e.Stopped), func(n flow.Name) bool { return !n.Life() })
	if len(life) == 0 {
		return nil
	}
	children, err := d.Merged(ctx, c.ID)
	if err != nil {
		return err
	}
	for _, child := range children {
		_, err := d.change(ctx, child.ID, Actor{Name: e.Actor, Role: flow.System}, actionFollowed, func(m *Case, own *Event) error {
			if m.MergedInto != c.ID {
				return entity.ErrUnchanged
			}
			own.Tell(said.Say("note.with", "with %s", "id", c.ID))
			stopped := false
			for _, n := range life {
				if k := m.Running(n); k != nil {
					k.Stopped, stopped = e.At, true
				}
			}
			if !stopped {
				return entity.ErrUnchanged
			}
			if slices.Contains(life, flow.First) && m.Decided.IsZero() {
				m.Decided, m.DecidedBy = e.At, e.Actor
			}
			if slices.Contains(life, flow.Result) && m.ResultAt.IsZero() {
				m.ResultAt, m.ResultNote, m.Barred = e.At, c.ResultNote, c.Barred
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
