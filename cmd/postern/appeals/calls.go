package appeals

import (
	"context"
	"errors"
	"time"

	"postern/abuse/appeal"
	"postern/internal/control"
	"postern/internal/entity"
)

// Of names a message by its reference.
type Of struct {
	Reference string `json:"reference"`
}

// Add is an appeal that reached the desk in another way than by its page.
type Add struct {
	Reference string `json:"reference"`
	Text      string `json:"text"`
	Email     string `json:"email,omitempty"`
	Language  string `json:"language,omitempty"` // en where nothing is said
}

// Count is how many wait.
type Count struct {
	Open   int       `json:"open"`
	Oldest time.Time `json:"oldest,omitzero"`
}

// Handle adds the calls.
func (d *Desk) Handle(s *control.Server) {
	control.Handle(s, "refusal.show", func(ctx context.Context, q Of) (appeal.Refusal, error) {
		r, _, err := d.Look(ctx, q.Reference)
		return r, answered(err)
	})
	control.Handle(s, "appeal.list", func(ctx context.Context, q appeal.Query) (appeal.Page, error) {
		p, err := d.Book.List(ctx, q)
		return p, answered(err)
	})
	control.Handle(s, "appeal.show", func(ctx context.Context, q Of) (appeal.Appeal, error) {
		a, err := d.Book.Get(ctx, q.Reference)
		return a, answered(err)
	})
	control.Handle(s, "appeal.count", func(ctx context.Context, _ struct{}) (Count, error) {
		n, err := d.Book.Waiting(ctx)
		if err != nil {
			return Count{}, err
		}
		since, err := d.Book.Oldest(ctx)
		return Count{Open: n, Oldest: since}, err
	})
	control.Handle(s, "appeal.take", func(ctx context.Context, q Add) (appeal.Appeal, error) {
		if q.Language == "" {
			q.Language = "en"
		}
		a := appeal.Appeal{Text: q.Text, Email: q.Email, Language: q.Language}
		a.Refusal.Reference = q.Reference
		a, err := d.Take(ctx, control.Actor(ctx), a)
		return a, answered(err)
	})
	control.Handle(s, "appeal.decide", func(ctx context.Context, c appeal.Decision) (appeal.Appeal, error) {
		a, err := d.Decide(ctx, control.Actor(ctx), c)
		return a, answered(err)
	})
}

func answered(err error) error {
	for of, kind := range map[error]control.Kind{
		ErrUnknown: control.NotFound, entity.ErrNotFound: control.NotFound, entity.ErrInvalid: control.Invalid,
		appeal.ErrInvalid: control.Invalid, appeal.ErrTwice: control.Conflict, appeal.ErrFull: control.Conflict, appeal.ErrState: control.Conflict,
	} {
		if errors.Is(err, of) {
			return control.Because(kind, err)
		}
	}
	return err
}
