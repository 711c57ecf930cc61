package measure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/abuse"
	"postern/internal/entity"
	"postern/internal/said"
)

// Carries reports whether a connector has a part in a measure.
func Carries(c Connector, m Measure) bool {
	can := c.Capabilities()
	return slices.Contains(can.Levels, m.Level) && (can.Domains || abuse.Scope(m.Target) != "domain")
}

func (d *Desk) connector(name string) Connector {
	for _, c := range d.Connectors {
		if c.Name() == name {
			return c
		}
	}
	return nil
}

// carry brings the connectors to where the measure is going and reads back. What is not proved
// is tried again by Tend.
func (d *Desk) carry(ctx context.Context, id string) (Measure, error) {
	m, err := d.Get(ctx, id)
	if err != nil || m.State == Active || m.State == Removed {
		return m, err
	}
	done := slices.Clone(m.Connectors)
	var open []string
	for i := range done {
		if m.State == PendingRemoval {
			d.letGo(ctx, m, &done[i])
		} else {
			d.bring(ctx, m, &done[i])
		}
		if (done[i].Required || m.State == PendingRemoval) && done[i].Verified != (m.State == PendingActivation) {
			open = append(open, done[i].Name+": "+done[i].Failure)
		}
	}
	from := m.State
	row, err := d.table.Change(ctx, id, func(now *Measure) error {
		if now.State != from {
			return entity.ErrUnchanged // somebody turned it round meanwhile
		}
		now.Connectors = done
		switch {
		case len(open) > 0:
			now.Tries++
			now.Retry = d.Now().UTC().Add(min(d.Config.Retry<<min(now.Tries, 6), 10*time.Minute))
		case from == PendingActivation:
			now.State = Active
		default:
			now.State = Removed
		}
		return nil
	})
	if err != nil {
		return row.Value, err
	}
	d.told(row.Value, open)
	return row.Value, nil
}

// told raises an alert while a connector has not proved what it was asked.
func (d *Desk) told(m Measure, open []string) {
	key := "measure-connector:" + m.ID
	if len(open) == 0 {
		d.Alert(key, "", true)
		return
	}
	d.Alert(key, fmt.Sprintf("%s on %s is %s: not proved by %s", m.Level, m.Target, m.State, strings.Join(open, "; ")), false)
}

func (d *Desk) bring(ctx context.Context, m Measure, at *Carried) {
	at.Verified, at.Failure = false, ""
	c := d.connector(at.Name)
	if c == nil {
		at.Failure = "it is not configured any more"
		return
	}
	handle, err := c.Apply(ctx, m)
	if handle != "" && at.Handle == "" { // a second Apply sees what the first has done
		at.Handle = handle
	}
	if err != nil {
		at.Failure = clip(err.Error())
	}
	inForce, verr := c.Verify(ctx, m, at.Handle)
	switch {
	case verr != nil:
		at.Failure = clip(errors.Join(err, verr).Error())
	case !inForce:
		at.Failure = "it says yes and the read-back says no"
		if err != nil {
			at.Failure = clip(err.Error())
		}
	default:
		at.Verified, at.Failure = true, ""
		if m.Level >= abuse.M3 && c.Capabilities().Sessions && abuse.Scope(m.Target) == "account" {
			if err := c.KillSessions(ctx, m.Target); err != nil {
				at.Verified, at.Failure = false, clip("ending sessions: "+err.Error())
			}
		}
	}
}

func (d *Desk) letGo(ctx context.Context, m Measure, at *Carried) {
	at.Failure = ""
	c := d.connector(at.Name)
	if c == nil {
		at.Verified = false
		return
	}
	err := c.Undo(ctx, m, at.Handle)
	inForce, verr := c.Verify(ctx, m, at.Handle)
	at.Verified = inForce || verr != nil || err != nil
	if err = errors.Join(err, verr); err != nil {
		at.Failure = clip(err.Error())
	} else if inForce {
		at.Failure = "it is still in force there"
	}
}

func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), 300)], "") }

// Drift looks whether measures are still in force where they were carried: somebody may have
// lifted one by hand. Such a one is brought back, and the case told. It runs each ten minutes.
func (d *Desk) Drift(ctx context.Context) (drifted int, err error) {
	var all []Measure
	err = d.table.Each(ctx, entity.Query{Index: "open", Limit: 200}, func(r entity.Row[Measure]) error {
		if r.Value.State == Active {
			all = append(all, r.Value)
		}
		return nil
	})
	var errs []error
	for _, m := range all {
		if lifted, err := d.restored(ctx, m); lifted || err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, d.project(ctx, m.Target, "postern"))
		for _, at := range m.Connectors {
			c := d.connector(at.Name)
			if c == nil || !at.Verified {
				continue
			}
			inForce, err := c.Verify(ctx, m, at.Handle)
			if err == nil && inForce {
				continue
			}
			if err != nil {
				d.Alert("measure-drift:"+m.ID, fmt.Sprintf("%s cannot be read back for %s: %s", at.Name, m.Target, clip(err.Error())), false)
				continue
			}
			drifted++
			errs = append(errs, d.say(ctx, m, "postern", "measure-drift", nil, at.Name, said.Say("note.drifted", "%s no longer had it: somebody lifted it by hand; it is put back", "name", at.Name)), d.again(ctx, m.ID))
		}
	}
	return drifted, errors.Join(append(errs, err)...)
}

// restored ends the measures of an account that a program restored which knows no measures.
func (d *Desk) restored(ctx context.Context, m Measure) (bool, error) {
	acc, err := d.Accounts.Stored(ctx, m.Target)
	if err != nil || m.Level < abuse.M3 || acc.State != abuse.Active || acc.Effective() >= m.Level || acc.Measure != m.ID && acc.Measure != "" {
		return false, err
	}
	_, err = d.UndoAll(ctx, m.Target, acc.By, said.Say("note.restored", "restored: %s", "why", said.Kept(acc.Reason, acc.Said)), false)
	return true, err
}

func (d *Desk) again(ctx context.Context, id string) error {
	if _, err := d.table.Change(ctx, id, func(m *Measure) error {
		if m.State != Active {
			return entity.ErrUnchanged
		}
		m.State = PendingActivation
		return nil
	}); err != nil {
		return err
	}
	_, err := d.carry(ctx, id)
	return err
}
