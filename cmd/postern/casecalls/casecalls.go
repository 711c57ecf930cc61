// Package casecalls are the named calls of the control socket about cases, guarantees and
// calendars.
package casecalls

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"time"

	"postern/abuse/calendar"
	"postern/abuse/cases"
	"postern/abuse/cases/dossier"
	"postern/abuse/cases/figures"
	"postern/abuse/cases/flow"
	"postern/abuse/guarantee"
	"postern/abuse/second"
	"postern/internal/control"
	"postern/internal/entity"
	"postern/internal/people"
	"postern/internal/said"
)

// Parts are what the calls work with.
type Parts struct {
	Desk      *cases.Desk
	Office    *guarantee.Office
	Calendars func() *calendar.Set
	Purgers   []guarantee.Purger
	Second    *second.Book // nil: who approves is not looked at
	Now       func() time.Time
	Held      func(ctx context.Context, id string, limit int64) ([]byte, error) // the bytes of a held message
}

// maxEvidence bounds what one call brings as evidence, in octets.
const maxEvidence = 32 << 20

// Handle adds the calls to s.
func (p Parts) Handle(s *control.Server) {
	p.readCalls(s)
	p.workCalls(s)
	p.linkCalls(s)
	p.guaranteeCalls(s)
	p.calendarCalls(s)
}

// actor is who calls, and as what: over the socket whoever may use it is a lead; others have
// the role of their account. A person is one person, whatever the token.
func actor(ctx context.Context) (cases.Actor, error) {
	who, ok := people.From(ctx)
	if !ok {
		return cases.Actor{Name: control.Actor(ctx), Role: flow.Lead}, nil
	}
	switch who.Role {
	case people.Agent:
		return cases.Actor{Name: who.Name, Role: flow.Agent}, nil
	case people.Lead, people.Postmaster:
		return cases.Actor{Name: who.Name, Role: flow.Lead}, nil
	}
	return cases.Actor{}, control.Refuse(control.Conflict, "case.the-role-does-not-work-on-cases", "the role %s does not work on cases", "role", who.Role)
}

// known turns the refusals of the desk into those of a call.
func known(err error) error {
	var r *cases.Refusal
	if !errors.As(err, &r) {
		return err
	}
	kind := control.Conflict
	switch {
	case errors.Is(err, dossier.ErrNotFound):
		kind = control.NotFound
	case errors.Is(err, dossier.ErrInvalid):
		kind = control.Invalid
	}
	return control.Because(kind, err)
}

// act makes a call that somebody makes.
func act[P, R any](s *control.Server, name string, f func(ctx context.Context, who cases.Actor, p P) (R, error)) {
	control.Handle(s, name, func(ctx context.Context, p P) (R, error) {
		who, err := actor(ctx)
		if err != nil {
			var none R
			return none, err
		}
		r, err := f(ctx, who, p)
		return r, known(err)
	})
}

// Page is a part of the cases that were asked for.
type Page struct {
	Cases []cases.Case `json:"cases"`
	Next  string       `json:"next,omitempty"`
}

// Paging names a case and a page of what belongs to it.
type Paging struct {
	ID    string `json:"id"`
	After string `json:"after,omitempty"`
	Limit int    `json:"limit,omitempty"`
}

// Shown is a case with all that one sees at once.
type Shown struct {
	Case     cases.Case    `json:"case"`
	Total    cases.Total   `json:"total"`
	Timeline []cases.Event `json:"timeline"`
	More     string        `json:"more,omitempty"` // where the timeline goes on
	Moves    []flow.State  `json:"moves"`          // what the caller may bring it to
}

// Reports is a page of a case's reports.
type Reports struct {
	Reports []cases.Link `json:"reports"`
	Next    string       `json:"next,omitempty"`
}

// Period asks for figures: a month (2026-06), or from one time to another.
type Period struct {
	Month string    `json:"month,omitempty"`
	From  time.Time `json:"from,omitzero"`
	To    time.Time `json:"to,omitzero"`
	Agent string    `json:"agent,omitempty"`
}

func some[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

func (p Parts) readCalls(s *control.Server) {
	control.Handle(s, "case.list", func(ctx context.Context, q cases.Search) (Page, error) {
		if q.View == "mine" && q.Owner == "" {
			who, err := actor(ctx)
			if err != nil {
				return Page{}, err
			}
			q.Owner = who.Name
		}
		all, next, err := p.Desk.Find(ctx, q)
		return Page{some(all), next}, known(err)
	})
	control.Handle(s, "case.show", p.show)
	control.Handle(s, "case.timeline", func(ctx context.Context, q Paging) (Shown, error) {
		events, next, err := p.Desk.Timeline(ctx, q.ID, q.After, q.Limit)
		return Shown{Timeline: some(events), More: next, Moves: []flow.State{}}, known(err)
	})
	control.Handle(s, "case.reports", func(ctx context.Context, q Paging) (Reports, error) {
		links, next, err := p.Desk.Reports(ctx, q.ID, q.After, q.Limit)
		return Reports{some(links), next}, known(err)
	})
	control.Handle(s, "case.figures", func(ctx context.Context, q Period) (figures.Figures, error) {
		period := figures.Period{From: q.From, To: q.To, Agent: q.Agent}
		if q.Month != "" {
			var err error
			if period, err = figures.Month(q.Month, p.Calendars().Team("").Team().Zone.Location); err != nil {
				return figures.Figures{}, known(err)
			}
			period.Agent = q.Agent
		}
		out, err := figures.Count(ctx, p.Desk, period, p.Now(), p.Calendars().Team)
		return out, known(err)
	})
}

// shownEvents is how much of a timeline is shown with its case.
const shownEvents = 200

func (p Parts) show(ctx context.Context, q Paging) (Shown, error) {
	c, err := p.Desk.Get(ctx, q.ID)
	if err != nil {
		return Shown{}, known(err)
	}
	out := Shown{Case: c, Moves: []flow.State{}}
	if out.Total, err = p.Desk.Totals(ctx, c); err != nil {
		return out, known(err)
	}
	if who, err := actor(ctx); err == nil {
		out.Moves = some(flow.Next(c.Kind == cases.External, c.State, who.Role))
	}
	events, more, err := p.Desk.Timeline(ctx, q.ID, "", cmp.Or(min(q.Limit, shownEvents), shownEvents))
	out.Timeline, out.More = some(events), more
	return out, known(err)
}

// Work names a case and what is done to it; which fields count depends on the call.
type Work struct {
	ID         string           `json:"id"`
	Reason     string           `json:"reason,omitempty"`
	Owner      string           `json:"owner,omitempty"`
	Categories []cases.Category `json:"categories,omitempty"`
	Priority   int              `json:"priority,omitempty"`
	On         bool             `json:"on,omitempty"`
	Other      string           `json:"other,omitempty"`  // a case
	Appeal     string           `json:"appeal,omitempty"` //
	Order      string           `json:"order,omitempty"`  // a written order
	Notice     string           `json:"notice,omitempty"`
	Barred     string           `json:"barred,omitempty"`
	Source     *cases.Source    `json:"source,omitempty"`
	Name       string           `json:"name,omitempty"`
	Bytes      []byte           `json:"bytes,omitempty"` // evidence
	Held       string           `json:"held,omitempty"`  // a held message whose bytes, or the first of them, are the evidence
}

// Move names a case and where it is to go.
type Move struct {
	ID string `json:"id"`
	cases.Request
}

func (p Parts) workCalls(s *control.Server) {
	d := p.Desk
	act(s, "case.open", func(ctx context.Context, who cases.Actor, o cases.Opening) (cases.Case, error) {
		return d.Open(ctx, who, o)
	})
	act(s, "case.state", func(ctx context.Context, who cases.Actor, m Move) (cases.Case, error) {
		if m.To == flow.Terminated && p.Second != nil {
			return cases.Case{}, dossier.Refuse(dossier.ErrState, "case.an-account-is-ended-by-approving-what", "an account is ended by approving what case end proposed: see approval list")
		}
		return d.Move(ctx, who, m.ID, m.Request)
	})
	act(s, "case.assign", func(ctx context.Context, who cases.Actor, w Work) (cases.Case, error) {
		return d.Assign(ctx, who, w.ID, w.Owner)
	})
	act(s, "case.category", func(ctx context.Context, who cases.Actor, w Work) (cases.Case, error) {
		return d.SetCategories(ctx, who, w.ID, w.Categories)
	})
	act(s, "case.priority", func(ctx context.Context, who cases.Actor, w Work) (cases.Case, error) {
		return d.SetPriority(ctx, who, w.ID, w.Priority, said.Typed(w.Reason))
	})
	act(s, "case.comment", func(ctx context.Context, who cases.Actor, w Work) (cases.Case, error) {
		return d.Comment(ctx, who, w.ID, w.Reason)
	})
	act(s, "case.hold", func(ctx context.Context, who cases.Actor, w Work) (cases.Case, error) {
		return d.Hold(ctx, who, w.ID, w.On, w.Reason)
	})
	act(s, "case.result", func(ctx context.Context, who cases.Actor, w Work) (cases.Case, error) {
		return d.Result(ctx, who, w.ID, w.Notice, said.Typed(w.Barred))
	})
	act(s, "case.answer", func(ctx context.Context, who cases.Actor, w Work) (cases.Case, error) {
		return d.Answered(ctx, who, w.ID, w.Notice)
	})
	act(s, "case.source", func(ctx context.Context, who cases.Actor, w Work) (cases.Case, error) {
		if w.Source == nil {
			return cases.Case{}, dossier.Refuse(dossier.ErrInvalid, "case.a-source-is-needed", "a source is needed")
		}
		return d.SetSource(ctx, who, w.ID, *w.Source, said.Typed(w.Reason))
	})
	act(s, "case.evidence", p.evidence)
}

func (p Parts) evidence(ctx context.Context, who cases.Actor, w Work) (c cases.Case, err error) {
	if w.Held != "" && len(w.Bytes) == 0 && p.Held != nil {
		if w.Bytes, err = p.Held(ctx, w.Held, maxEvidence); err != nil {
			return c, err
		}
	}
	if len(w.Bytes) == 0 || len(w.Bytes) > maxEvidence {
		return cases.Case{}, dossier.Refuse(dossier.ErrInvalid, "case.evidence-has-1-to-octets-this-has", "evidence has 1 to %d octets, this has %d", "most", maxEvidence, "n", len(w.Bytes))
	}
	if _, err := p.Desk.Get(ctx, w.ID); err != nil {
		return cases.Case{}, err
	}
	sum, _, err := p.Desk.Entities.PutBlob(ctx, entity.Evidence, bytes.NewReader(w.Bytes))
	if err != nil {
		return cases.Case{}, err
	}
	return p.Desk.AddEvidence(ctx, who, w.ID, cases.Evidence{Class: entity.Evidence, Sum: sum, Name: cmp.Or(w.Name, "evidence")})
}

func (p Parts) linkCalls(s *control.Server) {
	d := p.Desk
	act(s, "case.merge", func(ctx context.Context, who cases.Actor, w Work) (cases.Case, error) {
		return d.Merge(ctx, who, w.ID, w.Other, w.Reason)
	})
	act(s, "case.unmerge", func(ctx context.Context, who cases.Actor, w Work) (cases.Case, error) {
		return d.Unmerge(ctx, who, w.ID, w.Reason)
	})
	act(s, "case.reopen", func(ctx context.Context, who cases.Actor, w Work) (cases.Case, error) {
		return d.Reopen(ctx, who, w.ID, w.Reason, w.Appeal)
	})
	act(s, "case.end", func(ctx context.Context, who cases.Actor, w Work) (cases.Case, error) {
		c, err := d.ProposeEnd(ctx, who, w.ID, w.Reason, w.Order)
		if err != nil || p.Second == nil {
			return c, err
		}
		return c, p.proposeEnd(ctx, c, w.Reason)
	})
}
