// Package sourcecalls are the named calls of the control socket about sources elsewhere,
// published lists and listings of our own.
package sourcecalls

import (
	"context"
	"errors"
	"time"

	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/external"
	"postern/abuse/external/contact"
	"postern/abuse/external/order"
	"postern/abuse/external/published"
	"postern/abuse/listing"
	"postern/cmd/postern/casecalls"
	"postern/cmd/postern/sources"
	"postern/cmd/postern/sources/trial"
	"postern/internal/control"
	"postern/internal/entity"
	"postern/internal/said"
	"postern/quarantine"
)

// Parts are what the calls work with.
type Parts struct {
	Desk *sources.Desk
}

// Handle adds the calls to s.
func (p Parts) Handle(s *control.Server) {
	p.sourceCalls(s)
	p.contactCalls(s)
	p.publishedCalls(s)
	p.listingCalls(s)
}

// refusal is what a person may do otherwise, and what kind of refusal it is.
type refusal struct {
	err  error
	kind control.Kind
}

func refusals() []refusal {
	return []refusal{
		{external.ErrGround, control.Conflict}, {external.ErrMessage, control.Conflict}, {order.ErrBlock, control.Conflict}, {sources.ErrSight, control.Conflict},
		{published.ErrFile, control.Conflict}, {published.ErrPerson, control.Conflict}, {contact.ErrInvalid, control.Invalid}, {contact.ErrNone, control.NotFound},
		{listing.ErrCause, control.Conflict}, {listing.ErrNotice, control.Conflict}, {listing.ErrNobody, control.Conflict}, {listing.ErrNotFound, control.NotFound},
		{quarantine.ErrNotFound, control.NotFound}, {quarantine.ErrEnded, control.Conflict}, {entity.ErrNotFound, control.NotFound},
	}
}

// known turns refusals into those of a call.
func known(err error) error {
	if err == nil {
		return nil
	}
	for _, r := range refusals() {
		if errors.Is(err, r.err) {
			return control.Because(r.kind, err)
		}
	}
	return casecalls.Known(err)
}

// look makes a call that only reads.
func look[P, R any](s *control.Server, name string, f func(ctx context.Context, p P) (R, error)) {
	control.Handle(s, name, func(ctx context.Context, p P) (R, error) {
		r, err := f(ctx, p)
		return r, known(err)
	})
}

// act makes a call that somebody makes.
func act[P, R any](s *control.Server, name string, f func(ctx context.Context, who cases.Actor, p P) (R, error)) {
	control.Handle(s, name, func(ctx context.Context, p P) (R, error) {
		who, err := casecalls.Caller(ctx)
		if err != nil {
			var none R
			return none, err
		}
		r, err := f(ctx, who, p)
		return r, known(err)
	})
}

func some[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

// Paging asks for a page, of a case where one is named.
type Paging struct {
	ID    string `json:"id,omitempty"`
	Open  bool   `json:"open,omitempty"` // listings: only those that stand
	After string `json:"after,omitempty"`
	Limit int    `json:"limit,omitempty"`
}

// Query asks for sources.
type Query struct {
	State string `json:"state,omitempty"`
	Held  bool   `json:"held,omitempty"`  // whose block is in force
	About string `json:"about,omitempty"` // an address, a network, or a part of a domain or sender
	After string `json:"after,omitempty"`
	Limit int    `json:"limit,omitempty"`
}

// Sources is a page of sources.
type Sources struct {
	Sources []external.Source `json:"sources"`
	Next    string            `json:"next,omitempty"`
}

// Shown is a source with its case and whom we told.
type Shown struct {
	Source  external.Source   `json:"source"`
	Case    cases.Case        `json:"case"`
	Notices []external.Notice `json:"notices"`
}

// Work names a case and what is done with its source; which fields count depends on the call.
type Work struct {
	ID       string      `json:"id,omitempty"`
	Hold     string      `json:"hold,omitempty"`     // a held message
	Evidence string      `json:"evidence,omitempty"` // SHA-256
	Reason   string      `json:"reason,omitempty"`
	Block    order.Block `json:"block,omitzero"`
	Barred   string      `json:"barred,omitempty"` // why nobody was told before a block
}

// shownNotices is how many notices are shown with a source.
const shownNotices = 200

func (p Parts) shown(ctx context.Context, id string) (out Shown, err error) {
	if out.Case, err = p.Desk.Case(ctx, id); err != nil {
		return out, err
	}
	if out.Source, err = p.Desk.External.Get(ctx, id); err != nil && !errors.Is(err, entity.ErrNotFound) {
		return out, err
	}
	all, _, err := p.Desk.External.Notices(ctx, id, "", shownNotices)
	out.Notices = some(all)
	return out, err
}

// previewMost bounds how long mail is looked through for what a block would have hit.
const previewMost = 20 * time.Second

func (p Parts) sourceCalls(s *control.Server) {
	x := p.Desk.External
	look(s, "source.list", func(ctx context.Context, q Query) (Sources, error) {
		all, next, err := x.List(ctx, external.Query{State: flow.State(q.State), Held: q.Held, About: q.About, After: q.After, Limit: q.Limit})
		return Sources{some(all), next}, err
	})
	look(s, "source.preview", func(ctx context.Context, b order.Block) (trial.Result, error) {
		ctx, cancel := context.WithTimeout(ctx, previewMost)
		defer cancel()
		return p.Desk.Try(ctx, b)
	})
	look(s, "source.show", func(ctx context.Context, q Paging) (Shown, error) { return p.shown(ctx, q.ID) })
	act(s, "source.open", func(ctx context.Context, who cases.Actor, w Work) (Shown, error) {
		c, err := p.Desk.SightHold(ctx, who, w.Hold, w.Reason)
		if err != nil {
			return Shown{Notices: []external.Notice{}}, err
		}
		return p.shown(ctx, c.ID)
	})
	p.after(s, "source.confirm", func(ctx context.Context, who cases.Actor, w Work) error {
		_, err := x.Confirm(ctx, who, w.ID, w.Evidence, said.Typed(w.Reason))
		return err
	})
	act(s, "source.complain", func(ctx context.Context, who cases.Actor, w Work) (external.Notice, error) {
		return x.Complain(ctx, who, w.ID)
	})
	p.after(s, "source.block", func(ctx context.Context, who cases.Actor, w Work) error {
		if w.Block.Scope == order.ByNet && who.Role == flow.Agent {
			return control.Refuse(control.Conflict, "source.a-network-is-blocked-by-a-lead", "a network is blocked by a lead: it is more than one host")
		}
		if w.Block.Rule == order.WhenDropped {
			return control.Refuse(control.Invalid, "source.the-rule-is-that-of-published-lists", "the rule %s is that of published lists; there are quiet and review", "whendropped", order.WhenDropped)
		}
		w.Block.Said = said.Words{} // a person gives the reason
		_, err := x.Block(ctx, who, w.ID, w.Block, w.Barred)
		return err
	})
	p.after(s, "source.lift", func(ctx context.Context, who cases.Actor, w Work) error {
		_, err := x.Lift(ctx, who, w.ID, w.Reason)
		return err
	})
}

// after makes a call after which the source is shown.
func (p Parts) after(s *control.Server, name string, f func(ctx context.Context, who cases.Actor, w Work) error) {
	act(s, name, func(ctx context.Context, who cases.Actor, w Work) (Shown, error) {
		if err := f(ctx, who, w); err != nil {
			return Shown{Notices: []external.Notice{}}, err
		}
		return p.shown(ctx, w.ID)
	})
}
