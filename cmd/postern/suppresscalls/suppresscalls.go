// Package suppresscalls are the named calls about recipients who want no mail of an account.
package suppresscalls

import (
	"context"
	"errors"

	"postern/abuse/suppress"
	"postern/internal/control"
	"postern/internal/entity"
)

// Add asks for an entry.
type Add struct {
	Account   string `json:"account"`
	Recipient string `json:"recipient"`
	Reason    string `json:"reason"`
}

// Lift ends one.
type Lift struct {
	ID      string `json:"id"`
	Reason  string `json:"reason"`
	Account string `json:"account,omitempty"` // whose entry it is: a domain admin says so
}

// Handle adds the calls to s.
func Handle(s *control.Server, b *suppress.Book) {
	control.Handle(s, "suppress.list", func(ctx context.Context, q suppress.Query) (suppress.Page, error) {
		out, err := b.List(ctx, q)
		return out, refused(err)
	})
	control.Handle(s, "suppress.add", func(ctx context.Context, a Add) (suppress.Entry, error) {
		out, err := b.Add(ctx, suppress.Entry{Account: a.Account, Recipient: a.Recipient, Reason: a.Reason, By: control.Actor(ctx)})
		return out, refused(err)
	})
	control.Handle(s, "suppress.lift", func(ctx context.Context, l Lift) (suppress.Entry, error) {
		out, err := b.Lift(ctx, control.Actor(ctx), l.ID, l.Reason)
		return out, refused(err)
	})
}

func refused(err error) error {
	for of, kind := range map[error]control.Kind{
		entity.ErrNotFound: control.NotFound, entity.ErrInvalid: control.Invalid, suppress.ErrInvalid: control.Invalid, suppress.ErrFull: control.Conflict,
	} {
		if errors.Is(err, of) {
			return control.Because(kind, err)
		}
	}
	return err
}
