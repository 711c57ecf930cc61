// Package secondcalls are the named calls about what one person asked for and another approves.
package secondcalls

import (
	"context"
	"errors"

	"postern/abuse/second"
	"postern/cmd/postern/calls"
	"postern/internal/control"
	"postern/internal/entity"
)

// Query asks for proposals.
type Query struct {
	State second.State `json:"state,omitempty"` // "" = all
	After string       `json:"after,omitempty"`
	Limit int          `json:"limit,omitempty"`
}

// Decision names a proposal and what is said of it.
type Decision struct {
	ID         string `json:"id"`
	Reason     string `json:"reason,omitempty"`
	BreakGlass string `json:"break_glass,omitempty"` // why nobody else can approve
}

// Handle adds the calls to s.
func Handle(s *control.Server, b *second.Book) {
	control.Handle(s, "approval.list", func(ctx context.Context, q Query) (second.Page, error) {
		out, err := b.List(ctx, q.State, q.After, q.Limit)
		return out, refused(err)
	})
	one := func(name string, f func(ctx context.Context, d Decision) (second.Proposal, error)) {
		control.Handle(s, name, func(ctx context.Context, d Decision) (second.Proposal, error) {
			out, err := f(ctx, d)
			return out, refused(err)
		})
	}
	one("approval.show", func(ctx context.Context, d Decision) (second.Proposal, error) { return b.Get(ctx, d.ID) })
	one("approval.approve", func(ctx context.Context, d Decision) (second.Proposal, error) {
		return b.Approve(ctx, calls.Person(ctx), d.ID, d.Reason, d.BreakGlass)
	})
	one("approval.refuse", func(ctx context.Context, d Decision) (second.Proposal, error) {
		return b.Refuse(ctx, calls.Person(ctx), d.ID, d.Reason)
	})
}

func refused(err error) error {
	for of, kind := range map[error]control.Kind{
		entity.ErrNotFound: control.NotFound, entity.ErrInvalid: control.Invalid, second.ErrInvalid: control.Invalid, second.ErrSecond: control.Conflict, second.ErrOver: control.Conflict,
	} {
		if errors.Is(err, of) {
			return control.Because(kind, err)
		}
	}
	return err
}
