package service

import (
	"context"
	"errors"

	"postern/abuse/cases/dossier"
	"postern/abuse/cases/figures"
	"postern/abuse/second"
	"postern/abuse/service/credit"
	"postern/abuse/service/exclusion"
	"postern/abuse/service/month"
	"postern/internal/control"
	"postern/internal/people"
)

// Ask asks for a month, 2026-06.
type Ask struct {
	Month string `json:"month"`
}

// Exclusions is an answer.
type Exclusions struct {
	Exclusions []exclusion.Exclusion `json:"exclusions"`
}

// Decision decides about an exclusion.
type Decision struct {
	ID  string `json:"id"`
	Why string `json:"why,omitempty"`
}

// Handle adds the calls to s.
func (d *Desk) Handle(s *control.Server) {
	control.Handle(s, "service.report", func(ctx context.Context, a Ask) (month.Report, error) {
		r, err := d.Report(ctx, a.Month)
		return r, known(err)
	})
	control.Handle(s, "service.exclusions", func(ctx context.Context, a Ask) (Exclusions, error) {
		p, err := figures.Month(a.Month, d.zone())
		if err != nil {
			return Exclusions{}, known(err)
		}
		all, err := d.Exclusions.Between(ctx, p.From, p.To)
		return Exclusions{all}, known(err)
	})
	control.Handle(s, "service.exclude", func(ctx context.Context, e exclusion.Exclusion) (exclusion.Exclusion, error) {
		out, err := d.Exclusions.Propose(ctx, person(ctx), e)
		return out, known(err)
	})
	for name, f := range map[string]func(ctx context.Context, who, id, why string) (exclusion.Exclusion, error){
		"service.approve": func(ctx context.Context, who, id, why string) (exclusion.Exclusion, error) {
			return d.Exclusions.Decide(ctx, who, id, true, why)
		},
		"service.refuse": func(ctx context.Context, who, id, why string) (exclusion.Exclusion, error) {
			return d.Exclusions.Decide(ctx, who, id, false, why)
		},
		"service.withdraw": d.Exclusions.Withdraw,
	} {
		control.Handle(s, name, func(ctx context.Context, q Decision) (exclusion.Exclusion, error) {
			out, err := f(ctx, person(ctx), q.ID, q.Why)
			if err == nil {
				err = d.settleBetween(ctx, out.From, out.To)
			}
			return out, known(err)
		})
	}
	d.handleCredits(s)
}

// person is who calls. A person is one person, whatever the token.
func person(ctx context.Context) string {
	if who, ok := people.From(ctx); ok {
		return who.Name
	}
	return control.Actor(ctx)
}

// known turns refusals into those of a call.
func known(err error) error {
	var r *dossier.Refusal
	kind := control.Invalid
	switch {
	case errors.As(err, &r):
		return control.Because(control.Invalid, err)
	case errors.Is(err, exclusion.ErrNotFound), errors.Is(err, credit.ErrNotFound):
		kind = control.NotFound
	case errors.Is(err, exclusion.ErrConflict), errors.Is(err, credit.ErrConflict), errors.Is(err, second.ErrSecond):
		kind = control.Conflict
	case !errors.Is(err, exclusion.ErrInvalid) && !errors.Is(err, credit.ErrInvalid) && !errors.Is(err, second.ErrInvalid):
		return err
	}
	return control.Because(kind, err)
}
