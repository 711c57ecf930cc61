// Package calls are the named calls of the control socket over the parts of a gateway.
package calls

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"postern/abuse"
	"postern/blocklist"
	"postern/cmd/postern/listcalls"
	"postern/filter/greylist"
	"postern/internal/address"
	"postern/internal/control"
	"postern/internal/record"
	"postern/internal/record/head"
	"postern/internal/relay/outbox"
	"postern/internal/report"
	"postern/internal/store/redis/audit"
	"postern/quarantine"
	"postern/quarantine/search"
)

// ID names one thing.
type ID struct {
	ID   string `json:"id"`
	Note string `json:"note,omitempty"`
}

// Search is a page of a search over holds.
type Search struct {
	Text   string `json:"text"`             // see search.Parse
	Sort   string `json:"sort,omitempty"`   // newest (as ""), oldest, highest or lowest; the last two by score
	Oldest bool   `json:"oldest,omitempty"` // the same as sort oldest
	Limit  int    `json:"limit,omitempty"`
	After  string `json:"after,omitempty"`
}

// order is how the list is sorted.
func (p Search) order() (o quarantine.Order, err error) {
	if o = quarantine.Order(p.Sort); p.Oldest && o == "" {
		o = quarantine.Oldest
	}
	if !o.Valid() || p.Oldest && o != quarantine.Oldest {
		return "", control.Refuse(control.Invalid, "hold.sort-is-none-of-newest-oldest-highest", "sort: %.20q is none of newest, oldest, highest, lowest, or not what oldest says", "sort", p.Sort)
	}
	return o, nil
}

// Piece asks for the bytes of a held message, or for some of them.
type Piece struct {
	ID     string `json:"id"`
	Offset int64  `json:"offset,omitempty"`
	Limit  int64  `json:"limit,omitempty"` // 0 = all
	Note   string `json:"note,omitempty"`  // why, of what a virus was found in
}

// Raw is the bytes of a held message.
type Raw struct {
	Hold quarantine.Hold `json:"hold"`
	Body []byte          `json:"body"`
	More bool            `json:"more,omitempty"` // there are more behind these
}

// Seen is what may be looked at of a held message: its beginning; where a virus was found in it,
// its headers and texts alone.
type Seen struct {
	Hold  quarantine.Hold `json:"hold"`
	Body  []byte          `json:"body"`
	More  bool            `json:"more,omitempty"`  // there is more of the message
	Texts bool            `json:"texts,omitempty"` // its files are left out
}

// Paging asks for a page.
type Paging struct {
	After string `json:"after,omitempty"`
	Limit int    `json:"limit,omitempty"`
}

// Parts are what the calls work with.
type Parts struct {
	Now        func() time.Time
	Quarantine *quarantine.Quarantine
	Outbox     outbox.Store
	Worker     *outbox.Worker
	Lists      *blocklist.Lists
	Own        *blocklist.Own
	Accounts   *abuse.Accounts
	Records    abuse.Store
	Audit      *record.Auditor
	Heads      *head.Heads
	Greylist   *greylist.Greylist
	Reports    report.Store
	Status     func(ctx context.Context) any
	Reload     func(ctx context.Context) (Reloaded, error)
}

// Reloaded is what a reload took.
type Reloaded struct {
	Rules   string   `json:"rules"`             // revision
	Changed []string `json:"changed,omitempty"` // what of the configuration took effect
	Restart []string `json:"restart,omitempty"` // what of the configuration takes effect after a restart
}

// Server are the calls.
func (g Parts) Server() *control.Server {
	s := control.NewServer()
	g.quarantineCalls(s)
	g.outboxCalls(s)
	g.listCalls(s)
	g.accountCalls(s)
	g.recordCalls(s)
	if g.Greylist != nil {
		g.greylistCalls(s)
	}
	g.reportCalls(s)
	control.Handle(s, "status", func(ctx context.Context, _ struct{}) (any, error) { return g.Status(ctx), nil })
	control.Handle(s, "reload", func(ctx context.Context, _ struct{}) (Reloaded, error) {
		took, err := g.Reload(ctx)
		if err != nil {
			return took, control.Because(control.Invalid, err)
		}
		return took, nil
	})
	return s
}

// some makes an empty list of none, so that JSON says [] and not null.
func some[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

// known turns the errors of the rooms into refusals that say what they mean.
func known(err error) error {
	var kind control.Kind
	switch {
	case err == nil:
		return nil
	case errors.Is(err, quarantine.ErrNotFound), errors.Is(err, outbox.ErrNotFound), errors.Is(err, blocklist.ErrNotFound), errors.Is(err, abuse.ErrNotFound):
		kind = control.NotFound
	case errors.Is(err, quarantine.ErrCursor):
		kind = control.Invalid
	case errors.Is(err, quarantine.ErrConflict), errors.Is(err, quarantine.ErrEnded), errors.Is(err, quarantine.ErrBusy),
		errors.Is(err, quarantine.ErrNotReleasable), errors.Is(err, abuse.ErrConflict), errors.Is(err, outbox.ErrLost):
		kind = control.Conflict
	default:
		return err
	}
	return control.Because(kind, err)
}

func (g Parts) quarantineCalls(s *control.Server) {
	control.Handle(s, "quarantine.list", func(ctx context.Context, p Search) (quarantine.Page, error) {
		q, err := search.Parse(p.Text, g.Now())
		if err != nil {
			return quarantine.Page{}, control.Because(control.Invalid, err)
		}
		if q.Order, err = p.order(); err != nil {
			return quarantine.Page{}, err
		}
		q.Limit, q.After = p.Limit, p.After
		page, err := g.Quarantine.List(ctx, q)
		for err == nil && len(page.Holds) == 0 && page.Next != "" { // a bounded look found none yet
			q.After = page.Next
			page, err = g.Quarantine.List(ctx, q)
		}
		page.Holds = some(page.Holds)
		return page, known(err)
	})
	control.Handle(s, "quarantine.show", func(ctx context.Context, p ID) (quarantine.Hold, error) {
		h, err := g.Quarantine.Show(ctx, p.ID)
		return h, known(err)
	})
	control.Handle(s, "quarantine.release", func(ctx context.Context, p ID) (quarantine.Hold, error) {
		h, err := g.Quarantine.Release(ctx, p.ID, control.Actor(ctx))
		return h, known(err)
	})
	control.Handle(s, "quarantine.delete", func(ctx context.Context, p ID) (quarantine.Hold, error) {
		h, err := g.Quarantine.Delete(ctx, p.ID, control.Actor(ctx), p.Note)
		return h, known(err)
	})
}

func (g Parts) outboxCalls(s *control.Server) {
	control.Handle(s, "outbox.list", func(ctx context.Context, p Paging) ([]outbox.Entry, error) {
		all, err := g.Outbox.List(ctx, p.After, p.Limit)
		return some(all), err
	})
	control.Handle(s, "outbox.show", func(ctx context.Context, p ID) (outbox.Entry, error) {
		e, err := g.Outbox.Get(ctx, p.ID)
		return e, known(err)
	})
	control.Handle(s, "outbox.retry", func(ctx context.Context, p ID) (string, error) {
		return "tried now", known(g.Worker.Retry(ctx, p.ID))
	})
	control.Handle(s, "outbox.hold", func(ctx context.Context, p ID) (string, error) {
		if err := g.Worker.Hold(ctx, p.ID); err != nil {
			return "", known(err)
		}
		return "now in the quarantine", g.Audit.Write(ctx, control.Actor(ctx), "outbox-hold", p.ID, nil, nil, "")
	})
}

// Listing asks what all lists say of an address, a domain or an IP.
type Listing struct {
	Of string `json:"of"`
}

func (g Parts) listCalls(s *control.Server) {
	control.Handle(s, "blocklist.list", func(ctx context.Context, p listcalls.Search) (listcalls.Entries, error) {
		return listcalls.List(ctx, g.Own, p)
	})
	control.Handle(s, "blocklist.add", func(ctx context.Context, e blocklist.Entry) (listcalls.Entry, error) {
		e.Author, e.Created = control.Actor(ctx), g.Now().UTC()
		out, err := g.Own.Add(ctx, e)
		if err != nil {
			return listcalls.Entry{}, control.Because(control.Invalid, err)
		}
		return listcalls.Of(out), g.Audit.Write(ctx, e.Author, "list-add", out.Key(), nil, out, out.Reason)
	})
	control.Handle(s, "blocklist.remove", func(ctx context.Context, p ID) (string, error) {
		if err := g.Own.Remove(ctx, p.ID); err != nil {
			return "", known(err)
		}
		return p.ID, g.Audit.Write(ctx, control.Actor(ctx), "list-remove", p.ID, nil, nil, p.Note)
	})
	control.Handle(s, "blocklist.why", func(ctx context.Context, p Listing) ([]blocklist.Answer, error) {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		return g.why(ctx, p.Of)
	})
	control.Handle(s, "blocklist.test", func(ctx context.Context, _ struct{}) ([]blocklist.ListHealth, error) {
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		return g.Lists.Test(ctx), nil
	})
}

// why tells what every list says of an address, a domain or an IP; of a network, whether it
// stands in the own lists.
func (g Parts) why(ctx context.Context, of string) ([]blocklist.Answer, error) {
	if network, err := netip.ParsePrefix(of); err == nil {
		all, err := g.Own.About(ctx, []string{network.String()})
		var out []blocklist.Answer
		for _, e := range all {
			out = append(out, blocklist.Answer{List: "own", Of: "ip", Subject: of, Listed: true, Codes: []string{e.Key()}, Text: e.Reason})
		}
		return some(out), err
	}
	_, noIP := netip.ParseAddr(of)
	_, noAddress := address.Parse(of, true)
	if noIP != nil && noAddress != nil && !address.ValidDomain(of) {
		return nil, control.Refuse(control.Invalid, "hold.is-no-ip-network-domain-or-address", "%q is no IP, network, domain or address", "of", of)
	}
	return some(slices.Concat(g.Own.Why(of), g.Lists.Why(ctx, of), g.Lists.Unasked(of))), nil
}

// AccountChange names an account and why it is changed.
type AccountChange struct {
	Name   string `json:"name"`
	Reason string `json:"reason,omitempty"`
}

func (g Parts) accountCalls(s *control.Server) {
	control.Handle(s, "account.list", func(ctx context.Context, _ struct{}) ([]abuse.Account, error) {
		all, _, err := g.Records.Accounts(ctx)
		return some(all), err
	})
	control.Handle(s, "account.show", func(ctx context.Context, p AccountChange) (abuse.Account, error) {
		a, err := g.Records.Account(ctx, p.Name)
		return a, known(err)
	})
	control.Handle(s, "account.suspend", func(ctx context.Context, p AccountChange) (abuse.Account, error) {
		a, err := g.Accounts.Suspend(ctx, p.Name, p.Reason, control.Actor(ctx))
		return a, known(err)
	})
	control.Handle(s, "account.restore", func(ctx context.Context, p AccountChange) (abuse.Account, error) {
		a, err := g.Accounts.Restore(ctx, p.Name, p.Reason, control.Actor(ctx))
		return a, known(err)
	})
}

// AuditPage asks for audit entries after a number.
type AuditPage struct {
	After int64 `json:"after"`
	Limit int   `json:"limit"`
}

func (g Parts) recordCalls(s *control.Server) {
	control.Handle(s, "audit.list", func(ctx context.Context, p AuditPage) ([]record.Entry, error) {
		all, err := g.Audit.Store.Entries(ctx, p.After, p.Limit)
		return some(all), err
	})
	control.Handle(s, "audit.verify", func(ctx context.Context, _ struct{}) (string, error) {
		found, err := g.Heads.Verify(ctx)
		if err != nil {
			return "", control.Refuse(control.Conflict, "hold.the-audit-trail-is-broken", "the audit trail is broken: %v", "why", err)
		}
		lost, err := audit.Losses(ctx, g.Audit.Store)
		if err != nil {
			return "", err
		}
		whole := found.Said()
		if len(lost) > 0 {
			return "", control.Refuse(control.Conflict, "audit.lost", "%s; but the store lost entries before number %d: %s", "whole", whole, "seq", lost[0].Seq, "note", lost[0].Note)
		}
		return whole.English, nil
	})
}
