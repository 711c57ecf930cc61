package calls

import (
	"context"
	"encoding/json"
	"time"

	"postern/abuse"
	"postern/abuse/measure"
	"postern/abuse/second"
	"postern/internal/control"
	"postern/internal/people"
	"postern/internal/said"
)

// ActMeasure is the act of a proposal for a measure.
const ActMeasure = "measure"

// Person is who makes a call, for what needs two.
func Person(ctx context.Context) second.Person {
	p, ok := people.From(ctx)
	if !ok {
		return second.Person{Name: control.Actor(ctx), Lead: true}
	}
	return second.Person{Name: p.Name, User: true, Lead: p.Can(people.CasesApprove)}
}

// request is what an ask asks for.
func (p MeasureAsk) request(ctx context.Context) (measure.Request, error) {
	level, err := abuse.ParseLevel(p.Level)
	if err != nil {
		return measure.Request{}, control.Because(control.Invalid, err)
	}
	if p.Hours < 0 || p.Hours > 24*3650 {
		return measure.Request{}, control.Refuse(control.Invalid, "call.hours-from-0-to-ten-years", "hours: from 0 to ten years")
	}
	return measure.Request{
		Account: p.Account, Domain: p.Domain, Level: level, TTL: time.Duration(p.Hours * float64(time.Hour)), Reason: p.Reason, Actor: control.Actor(ctx), Case: p.Case,
		Messages: p.Messages, Recipients: p.Recipients,
	}, nil
}

// Two reports whether the ask needs two persons; a level that is none needs nobody.
func (p MeasureAsk) Two() bool {
	level, err := abuse.ParseLevel(p.Level)
	return err == nil && measure.Request{Level: level, Domain: p.Domain}.Two()
}

func (m Measures) apply(ctx context.Context, p MeasureAsk) (measure.Measure, error) {
	r, err := p.request(ctx)
	if err != nil {
		return measure.Measure{}, err
	}
	if r.Two() && m.Second != nil {
		if p.BreakGlass == "" {
			return measure.Measure{}, control.Refuse(control.Conflict, "call.on-needs-two-persons-propose-it-measure", "%s on %s needs two persons: propose it (measure.propose) and let another approve it", "level", r.Level, "target", r.Target())
		}
		if r.Approver, err = m.Second.Second(ctx, Person(ctx), r.Actor, r.Level.String(), r.Target(), p.BreakGlass); err != nil {
			return measure.Measure{}, of(err)
		}
	}
	out, err := m.Desk.Apply(ctx, r)
	return out, of(err)
}

// propose writes down a measure that needs two.
func (m Measures) propose(ctx context.Context, p MeasureAsk) (second.Proposal, error) {
	r, err := p.request(ctx)
	switch {
	case err != nil:
		return second.Proposal{}, err
	case m.Second == nil || !r.Two():
		return second.Proposal{}, control.Refuse(control.Invalid, "call.on-needs-one-person-alone-apply-it", "%s on %s needs one person alone: apply it", "level", r.Level, "target", r.Target())
	}
	if err := m.Desk.Check(r); err != nil {
		return second.Proposal{}, of(err)
	}
	p.BreakGlass = ""
	params, err := json.Marshal(p)
	if err != nil {
		return second.Proposal{}, err
	}
	out, err := m.Second.Propose(ctx, Person(ctx), second.Proposal{
		Act: ActMeasure, Object: r.Target(), Said: said.Say("asked.measure", "%s (%s) on %s", "level", r.Level, "word", r.Level.Word(), "target", r.Target()), Params: params, Reason: p.Reason,
	})
	return out, of(err)
}

// Approved takes a measure that was approved. The same proposal again is the same measure.
func (m Measures) Approved(ctx context.Context, p second.Proposal) error {
	var ask MeasureAsk
	if err := json.Unmarshal(p.Params, &ask); err != nil {
		return err
	}
	r, err := ask.request(ctx)
	if err != nil {
		return err
	}
	r.ID, r.Actor, r.Approver = "m-"+p.ID, p.By, p.Decided.By
	_, err = m.Desk.Apply(ctx, r)
	return of(err)
}
