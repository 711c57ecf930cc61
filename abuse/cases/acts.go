package cases

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"postern/abuse/cases/dossier"
	"postern/abuse/cases/flow"
	"postern/internal/entity"
	"postern/internal/said"
)

// Assign gives a case to a person; "" takes it from everybody.
func (d *Desk) Assign(ctx context.Context, who Actor, id, owner string) (Case, error) {
	if len(owner) > 200 || owner == dossier.Nobody {
		return Case{}, dossier.Refuse(dossier.ErrInvalid, "case.is-no-name-of-an-owner", "%.40q is no name of an owner", "owner", owner)
	}
	return d.change(ctx, id, who, "assign", func(c *Case, e *Event) error {
		if c.Owner == owner {
			return entity.ErrUnchanged
		}
		e.Data = map[string]string{"from": c.Owner, "to": owner}
		c.Owner = dossier.Clip(owner)
		return nil
	})
}

// Comment adds a line to the timeline.
func (d *Desk) Comment(ctx context.Context, who Actor, id, text string) (Case, error) {
	if strings.TrimSpace(text) == "" {
		return Case{}, dossier.Refuse(dossier.ErrNeeds, "case.a-comment-needs-words", "a comment needs words")
	}
	return d.Note(ctx, id, Event{Actor: who.Name, Action: "comment", Text: text})
}

// Note adds what another room did to the timeline. Its Actor, Action, Report and Data are
// taken, and Once; its Text is what a person wrote, its Said what the room itself says; a measure's ID and level come as Data "measure" and "level" (M3).
func (d *Desk) Note(ctx context.Context, id string, v Event) (Case, error) {
	if len(v.Words().English) > dossier.MaxText || v.Action == "" || len(v.Action) > 40 || len(v.Data) > 20 {
		return Case{}, dossier.Refuse(dossier.ErrInvalid, "case.a-line-of-the-timeline-has-an", "a line of the timeline has an action, and at most %d octets of text and 20 values", "most", dossier.MaxText)
	}
	return d.change(ctx, id, Actor{Name: v.Actor, Role: flow.System}, v.Action, func(c *Case, e *Event) error {
		if v.Once != "" && !c.First(v.Once) {
			return entity.ErrUnchanged
		}
		e.Report, e.Data = v.Report, map[string]string{}
		e.Tell(v.Words())
		for name, value := range v.Data {
			e.Data[dossier.Clip(name)] = dossier.Clip(value)
		}
		if level := v.Data["level"]; v.Data["measure"] != "" && len(level) == 2 && level[0] == 'M' && level[1] >= '0' && level[1] <= '7' {
			c.Measure, c.Level = v.Data["measure"], int(level[1]-'0')
		}
		return nil
	})
}

// Hold puts a case under legal hold, or ends that: what is held is not purged.
func (d *Desk) Hold(ctx context.Context, who Actor, id string, on bool, why string) (Case, error) {
	if err := dossier.Reason(who, why); err != nil {
		return Case{}, err
	}
	if !on && who.Role == flow.Agent {
		return Case{}, dossier.Refuse(dossier.ErrRole, "case.a-legal-hold-is-ended-by-a", "a legal hold is ended by a lead")
	}
	return d.change(ctx, id, who, "hold", func(c *Case, e *Event) error {
		if c.LegalHold == on {
			return entity.ErrUnchanged
		}
		c.LegalHold, e.Text = on, why
		return nil
	})
}

// ProposeEnd proposes the permanent end of a suspended account. Another person, a lead, then
// moves the case to TERMINATED; nothing does so by itself.
func (d *Desk) ProposeEnd(ctx context.Context, who Actor, id, why, order string) (Case, error) {
	if err := dossier.Reason(who, why); err != nil {
		return Case{}, err
	}
	return d.change(ctx, id, who, "propose-end", func(c *Case, e *Event) error {
		switch {
		case c.State != flow.Suspended:
			return dossier.Refuse(dossier.ErrState, "case.is-only-a-suspended-account-can-be", "%s is %s; only a suspended account can be ended", "id", id, "state", c.State)
		case c.Strikes < 2 && strings.TrimSpace(order) == "":
			return dossier.Refuse(dossier.ErrNeeds, "case.has-strikes-an-end-needs-two-or", "%s has %d strikes: an end needs two, or a written order", "id", id, "strikes", c.Strikes)
		}
		c.Ending = &dossier.Ending{By: who.Name, At: e.At, Reason: why, Order: dossier.Clip(order)}
		e.Text = why
		return nil
	})
}

// WithdrawEnd takes back what ProposeEnd proposed: nobody confirmed it.
func (d *Desk) WithdrawEnd(ctx context.Context, who Actor, id string, why said.Words) (Case, error) {
	return d.change(ctx, id, who, "withdraw-end", func(c *Case, e *Event) error {
		if c.Ending == nil || c.State == flow.Terminated {
			return entity.ErrUnchanged
		}
		c.Ending = nil
		e.Tell(why)
		return nil
	})
}

// Open opens a case, or returns the open one about the same account or source.
func (d *Desk) Open(ctx context.Context, who Actor, o Opening) (Case, error) {
	name, err := o.Subject()
	if err := errors.Join(err, dossier.Why(who, o.Why())); err != nil {
		return Case{}, err
	}
	create := func(id string) error {
		c, err := o.New(id, name, who, d.Now(), d.Calendars().Team(o.Team))
		if err != nil {
			return err
		}
		return d.book().Create(ctx, c)
	}
	id, err := d.open(ctx, name, create, func(*Case) bool { return true }, d.Now())
	if err != nil {
		return Case{}, err
	}
	return d.Get(ctx, id)
}

// maxSealed is how many reports a seal lists one by one; the rest it counts.
const maxSealed = 1000

// evidenceOf lists the reports of a case for its seal, if a state asks for one.
func (d *Desk) evidenceOf(ctx context.Context, id string, to flow.State) ([]string, error) {
	if def, _ := flow.Of(to); !def.Proven {
		return nil, nil
	}
	rows, _, err := d.links().Find(ctx, entity.Query{Index: "case", Value: id, Rising: true, Limit: maxSealed})
	var out []string
	for _, r := range rows {
		out = append(out, r.Value.Report+" "+r.Value.Raw)
	}
	return out, err
}

// seal keeps the list of all that a case rests on, by its hash.
func (d *Desk) seal(ctx context.Context, c *Case, who Actor, reports []string) error {
	b := dossier.Bundle{
		Case: c.ID, At: d.Now().UTC(), Account: c.Account, Source: c.Source, Sentence: c.Sentence,
		Evidence: slices.Clone(c.Evidence), Reports: reports, Total: c.Reports,
	}
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	sum, _, err := d.Entities.PutBlob(ctx, entity.Evidence, bytes.NewReader(text))
	if err == nil {
		c.Seals = append(c.Seals, dossier.Seal{Sum: sum, Items: len(c.Evidence) + len(reports), At: b.At, By: who.Name})
	}
	return err
}
