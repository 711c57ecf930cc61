// Package holdcalls are the calls around held mail beyond its states: counting, copies, the
// searches that people keep.
package holdcalls

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"postern/cmd/postern/glue"
	"postern/internal/address"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/desk/views"
	"postern/internal/entity"
	"postern/internal/people"
	"postern/internal/record"
	"postern/quarantine"
	"postern/quarantine/search"
)

// Parts are what the calls work with.
type Parts struct {
	Now        func() time.Time
	Quarantine *quarantine.Quarantine
	Views      *views.Book
	Routed     func(address string) bool // mail for it goes to a server behind
	Audit      func(ctx context.Context, actor, action, object string, before, after any, note string) error

	open *reading
}

// New are the calls over the parts of a gateway.
func New(now func() time.Time, q *quarantine.Quarantine, store entity.Store, audit *record.Auditor, c *atomic.Pointer[config.Config]) Parts {
	return Parts{Now: now, Quarantine: q, Views: views.New(store), Audit: audit.Write, Routed: func(to string) bool {
		_, ok := glue.RouteFor(c.Load(), address.DomainOf(to))
		return ok
	}}
}

// Count asks how many holds a search finds.
type Count struct {
	Text  string `json:"text"`            // see search.Parse
	Limit int    `json:"limit,omitempty"` // 0 = MaxCount
}

// MaxCount is how far holds are counted.
const MaxCount = 10_000

// Counted is how many there are.
type Counted struct {
	N    int  `json:"n"`
	More bool `json:"more"` // there are more than N
}

// Copy sends a copy of a held message to whoever asks.
type Copy struct {
	ID string `json:"id"`
	To string `json:"to,omitempty"` // from the socket alone; else it is the caller's own address
}

// Copied says where a copy went.
type Copied struct {
	To    string `json:"to"`
	Reply string `json:"reply"` // of the server behind
}

// Handle adds the calls.
func (p Parts) Handle(s *control.Server) {
	p.open = &reading{}
	control.Handle(s, "quarantine.raw", p.raw)
	control.Handle(s, "quarantine.view", p.view)
	control.Handle(s, "quarantine.count", p.count)
	control.Handle(s, "quarantine.copy", p.copy)
	control.Handle(s, "view.list", func(ctx context.Context, _ struct{}) ([]views.View, error) { return p.Views.List(ctx, owner(ctx)) })
	control.Handle(s, "view.save", func(ctx context.Context, v views.View) ([]views.View, error) {
		all, err := p.Views.Save(ctx, owner(ctx), v)
		return all, known(err)
	})
	control.Handle(s, "view.remove", func(ctx context.Context, v views.View) ([]views.View, error) {
		return p.Views.Remove(ctx, owner(ctx), v)
	})
}

// owner is whose searches they are.
func owner(ctx context.Context) string {
	if who, ok := people.From(ctx); ok {
		return who.Name
	}
	return control.Actor(ctx)
}

func known(err error) error {
	var kind control.Kind
	switch {
	case err == nil:
		return nil
	case errors.Is(err, views.ErrInvalid):
		kind = control.Invalid
	case errors.Is(err, quarantine.ErrNotFound):
		kind = control.NotFound
	case errors.Is(err, quarantine.ErrEnded), errors.Is(err, quarantine.ErrNotReleasable), errors.Is(err, quarantine.ErrNotSent):
		kind = control.Conflict
	default:
		return err
	}
	return control.Because(kind, err)
}

func (p Parts) count(ctx context.Context, c Count) (Counted, error) {
	q, err := search.Parse(c.Text, p.Now())
	if err != nil {
		return Counted{}, control.Because(control.Invalid, err)
	}
	limit := c.Limit
	if limit <= 0 || limit > MaxCount {
		limit = MaxCount
	}
	n, err := p.Quarantine.Count(ctx, q, limit+1)
	return Counted{N: min(n, limit), More: n > limit}, err
}

// copy goes to an address of the caller's own, so that nobody sends held mail to others.
func (p Parts) copy(ctx context.Context, c Copy) (Copied, error) {
	if who, ok := people.From(ctx); ok {
		if c.To != "" && c.To != who.Email {
			return Copied{}, control.Refuse(control.Invalid, "hold.a-copy-goes-to-your-own-address", "a copy goes to your own address alone")
		}
		if c.To = who.Email; c.To == "" {
			return Copied{}, control.Refuse(control.Conflict, "hold.no-address-is-known-for-a-postmaster", "no address is known for %s: a postmaster can set it", "name", who.Name)
		}
	}
	if !p.Routed(c.To) {
		return Copied{}, control.Refuse(control.Conflict, "hold.mail-for-is-not-handed-to-a", "mail for %q is not handed to a server behind this gateway", "to", c.To)
	}
	reply, err := p.Quarantine.Copy(ctx, c.ID, c.To, control.Actor(ctx))
	return Copied{To: c.To, Reply: reply}, known(err)
}
