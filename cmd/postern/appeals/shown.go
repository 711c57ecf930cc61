package appeals

import (
	"context"
	"errors"

	"postern/abuse/appeal"
	"postern/internal/address"
	"postern/internal/desk/refused"
	"postern/internal/entity"
)

// Shown is what the public page shows of a refusal, with what became of the appeal.
func (d *Desk) Shown(ctx context.Context, reference string) (refused.Refusal, error) {
	r, _, err := d.Look(ctx, reference)
	if errors.Is(err, ErrUnknown) {
		return refused.Refusal{}, refused.ErrUnknown
	}
	if err != nil {
		return refused.Refusal{}, err
	}
	out := refused.Refusal{Reference: r.Reference, At: r.At, Until: r.Until, Cause: r.Cause, Temporary: r.Temporary, Reply: r.Reply}
	a, err := d.Book.Get(ctx, r.Reference)
	if errors.Is(err, entity.ErrNotFound) {
		return out, nil
	}
	out.Appeal = &refused.Appeal{At: a.At, State: string(a.State), Answer: a.Answer, Decided: a.Decided}
	return out, err
}

// Ask keeps what was written on the public page.
func (d *Desk) Ask(ctx context.Context, q refused.Ask) error {
	if q.Email != "" {
		if at, err := address.Parse(q.Email, true); err != nil || at.Domain == "" {
			return refused.ErrEmail
		}
	}
	a := appeal.Appeal{Network: q.Network.String(), Language: q.Language, Email: q.Email, Text: q.Text}
	a.Refusal.Reference = q.Reference
	_, err := d.Take(ctx, Public, a)
	switch {
	case errors.Is(err, appeal.ErrTwice):
		return refused.ErrTwice
	case errors.Is(err, appeal.ErrFull):
		return refused.ErrFull
	case errors.Is(err, ErrUnknown):
		return refused.ErrUnknown
	}
	return err
}
