package dossier

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"time"

	"postern/abuse/calendar"
	"postern/abuse/cases/flow"
	"postern/internal/said"
)

// Run starts a clock unless it runs.
func (c *Case) Run(n flow.Name, at time.Time, cal *calendar.Calendar) error {
	return c.runFor(n, at, flow.LengthOf(n), cal)
}

func (c *Case) runFor(n flow.Name, at time.Time, l flow.Length, cal *calendar.Calendar) error {
	if c.Running(n) != nil {
		return nil
	}
	k, err := flow.StartFor(n, at, l, cal)
	if err == nil {
		c.start(k)
	}
	return err
}

// Stop ends a clock, if it runs.
func (c *Case) Stop(n flow.Name, at time.Time) {
	if k := c.Running(n); k != nil {
		k.Stopped = at
	}
}

// Enter brings a case into a state: the clocks of the one before stop, those of the new one
// start, and a decision ends the wait for the first one.
func (c *Case) Enter(to flow.State, who Actor, now time.Time, cal *calendar.Calendar) error {
	def, ok := flow.Of(to)
	if !ok {
		return Refuse(ErrInvalid, "case.there-is-no-state", "there is no state %q", "state", to)
	}
	for i := range c.Clocks {
		if k := &c.Clocks[i]; k.Running() && !k.Name.Life() {
			k.Stopped = now
		}
	}
	c.State, c.Since = to, now
	if def.Decision && (who.Role != flow.System || to != flow.Contained) {
		c.Decide(who.Name, now)
	}
	for _, n := range def.Clocks {
		if err := c.Run(n, now, cal); err != nil {
			return err
		}
	}
	if k := c.Running(flow.Result); k != nil {
		if def.Waits {
			k.Pause(now)
		} else {
			k.Resume(now)
		}
	}
	switch to {
	case flow.Closed:
		c.Closed = now
		for _, n := range []flow.Name{flow.Ack, flow.First, flow.Urgent, flow.Result} {
			c.Stop(n, now)
		}
	case flow.Reopened:
		c.Closed = time.Time{}
		c.Reopened++
		if err := errors.Join(c.Run(flow.First, now, cal), c.Run(flow.Result, now, cal)); err != nil {
			return err
		}
	case flow.Contained:
		c.Contained = cmp.Or(c.Contained, now)
	case flow.ResultSent:
		c.Stop(flow.Result, now)
	}
	return c.NeverIdle(now, cal)
}

// NeverIdle starts a clock for a case that would otherwise lie without one.
func (c *Case) NeverIdle(now time.Time, cal *calendar.Calendar) error {
	if c.State == flow.Closed || c.State == flow.Duplicate {
		return nil
	}
	for _, k := range c.Clocks {
		if k.Running() {
			return nil
		}
	}
	return c.Run(flow.Idle, now, cal)
}

// Decide notes the first decision or human answer.
func (c *Case) Decide(by string, now time.Time) {
	c.Stop(flow.First, now)
	c.Stop(flow.Urgent, now)
	if c.Decided.IsZero() {
		c.Decided, c.DecidedBy = now, by
	}
}

// Raise gives a case a priority, and with the highest two less time to a first decision.
func (c *Case) Raise(priority int, now time.Time, cal *calendar.Calendar) error {
	c.Priority = priority
	if l := flow.UrgentFor(priority); l > 0 && c.Running(flow.First) != nil {
		if k := c.Running(flow.Urgent); k != nil {
			if !now.Add(l).Before(k.Due()) {
				return nil
			}
			k.Stopped = now
		}
		return c.runFor(flow.Urgent, now, flow.Length{Wall: l}, cal)
	}
	return nil
}

// Due is the clock of a case whose next mark passed first, or nil.
func (c *Case) Due(now time.Time) *flow.Clock {
	var out *flow.Clock
	var first time.Time
	for i := range c.Clocks {
		k := &c.Clocks[i]
		at, ok := k.Next()
		if !ok || at.After(now) || c.MergedInto != "" && !k.Name.Life() {
			continue
		}
		if out == nil || at.Before(first) {
			out, first = k, at
		}
	}
	return out
}

// Tell notes that a mark of a clock was reached: at 80 % the priority goes up a step, at 100 %
// the state may end by itself.
func (c *Case) Tell(k *flow.Clock, e *Event, cal *calendar.Calendar) error {
	percent := flow.Marks()[k.Said]
	k.Said++
	e.Tell(said.Say("note.clock", "%d %% of %s is gone, due %s", "percent", percent, "clock", k.Name, "due", k.Due().UTC().Format(time.RFC3339)))
	e.Data = map[string]string{"clock": string(k.Name), "percent": strconv.Itoa(percent), "due": k.Due().UTC().Format(time.RFC3339)}
	quiet := k.Name == flow.Data || k.Name == flow.Purge || k.Name == flow.Reminder || k.Name == flow.Settle || k.Name == flow.Trial
	if percent == 80 && c.Priority > 1 && !quiet {
		c.Priority--
		e.Data["priority"] = fmt.Sprintf("U%d", c.Priority)
	}
	if percent < 100 {
		return nil
	}
	name, due := k.Name, k.Due()
	if name == flow.Reminder {
		k.Stopped = e.At
		return c.Run(flow.Reminder, due, cal)
	}
	if to, ok := flow.Expiry(name); ok {
		return c.Enter(to, Machine(), e.At, cal)
	}
	return nil
}
