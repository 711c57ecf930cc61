package calls

import (
	"context"
	"errors"

	"postern/filter/greylist"
	"postern/internal/control"
)

// Let names whom to let in, and why.
type Let struct {
	Of   string `json:"of"` // ID of a waiting message, an address, a network or a domain
	Note string `json:"note,omitempty"`
}

func (g Parts) greylistCalls(s *control.Server) {
	control.Handle(s, "greylist.list", func(ctx context.Context, p Paging) ([]greylist.Waiting, error) {
		all, err := g.Greylist.List(ctx, p.After, p.Limit)
		return some(all), waiting(err)
	})
	control.Handle(s, "greylist.allow", func(ctx context.Context, p Let) (greylist.Known, error) {
		actor := control.Actor(ctx)
		k, err := g.Greylist.Allow(ctx, p.Of, actor)
		if err != nil {
			return k, waiting(err)
		}
		return k, g.Audit.Write(ctx, actor, "greylist-allow", k.Source, nil, k, p.Note)
	})
}

// waiting turns the errors of the greylist into refusals.
func waiting(err error) error {
	var no *greylist.SourceError
	switch {
	case errors.As(err, &no):
		return control.Because(control.Invalid, err)
	case errors.Is(err, greylist.ErrNotFound):
		return control.Because(control.NotFound, err)
	}
	return err
}
