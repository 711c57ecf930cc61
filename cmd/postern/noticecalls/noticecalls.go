// Package noticecalls are the named calls about the letters of the abuse desk: what it wrote by
// itself, and what people write to reporters.
package noticecalls

import (
	"context"
	"errors"

	"postern/abuse/cases"
	"postern/abuse/notice"
	"postern/abuse/notice/letter"
	"postern/cmd/postern/casecalls"
	"postern/internal/control"
	"postern/internal/entity"
)

// Query asks for letters: of a case, in a state, or all.
type Query struct {
	Case  string `json:"case,omitempty"`
	State string `json:"state,omitempty"`
	After string `json:"after,omitempty"`
	Limit int    `json:"limit,omitempty"`
}

// Page is a part of the letters, the youngest first.
type Page struct {
	Notices []notice.Notice `json:"notices"`
	Next    string          `json:"next,omitempty"`
}

// Work names a letter, or the case of a new one, and what is done with it; which fields count
// depends on the call.
type Work struct {
	ID       string      `json:"id,omitempty"`
	Case     string      `json:"case,omitempty"`
	Report   string      `json:"report,omitempty"` // "" = the first of a person
	Kind     letter.Kind `json:"kind,omitempty"`   // answer, need-info, result, rejected, not-ours
	Language string      `json:"language,omitempty"`
	Subject  string      `json:"subject,omitempty"`
	Body     string      `json:"body,omitempty"`
	Result   bool        `json:"result,omitempty"` // it is the result of the case
	Reason   string      `json:"reason,omitempty"`
}

// Handle adds the calls about the letters of d to s; nil: no letters are written here, and the
// calls say so.
func Handle(s *control.Server, d *notice.Desk) {
	read(s, d, "notice.list", func(ctx context.Context, q Query) (Page, error) {
		all, next, err := d.List(ctx, q.Case, q.State, q.After, q.Limit)
		if all == nil {
			all = []notice.Notice{}
		}
		return Page{all, next}, err
	})
	read(s, d, "notice.show", func(ctx context.Context, w Work) (notice.Notice, error) { return d.Get(ctx, w.ID) })
	act(s, d, "notice.draft", func(ctx context.Context, who cases.Actor, w Work) (notice.Notice, error) {
		return d.Prepare(ctx, who, w.Case, w.Report, w.Language, w.Kind)
	})
	act(s, d, "notice.edit", func(ctx context.Context, who cases.Actor, w Work) (notice.Notice, error) {
		return d.Edit(ctx, who, w.ID, w.Subject, w.Body)
	})
	act(s, d, "notice.send", func(ctx context.Context, who cases.Actor, w Work) (notice.Notice, error) {
		return d.Send(ctx, who, w.ID, w.Result)
	})
	act(s, d, "notice.discard", func(ctx context.Context, who cases.Actor, w Work) (notice.Notice, error) {
		return d.Discard(ctx, who, w.ID, w.Reason)
	})
}

func read[P, R any](s *control.Server, d *notice.Desk, name string, f func(ctx context.Context, p P) (R, error)) {
	control.Handle(s, name, func(ctx context.Context, p P) (out R, err error) {
		if d == nil {
			return out, control.Refuse(control.Conflict, "notice.no-letters-are-written-here-abuse-answers", "no letters are written here: abuse.answers.off")
		}
		out, err = f(ctx, p)
		return out, refused(err)
	})
}

// act is a call that somebody makes.
func act(s *control.Server, d *notice.Desk, name string, f func(ctx context.Context, who cases.Actor, w Work) (notice.Notice, error)) {
	read(s, d, name, func(ctx context.Context, w Work) (notice.Notice, error) {
		who, err := casecalls.Caller(ctx)
		if err != nil {
			return notice.Notice{}, err
		}
		return f(ctx, who, w)
	})
}

// refused turns the errors of the letters into refusals of a call.
func refused(err error) error {
	for of, kind := range map[error]control.Kind{
		letter.ErrLetter: control.Invalid, entity.ErrInvalid: control.Invalid, entity.ErrNotFound: control.NotFound,
		notice.ErrBarred: control.Conflict, notice.ErrNoDraft: control.Conflict,
	} {
		if errors.Is(err, of) {
			return control.Because(kind, err)
		}
	}
	return casecalls.Known(err)
}
