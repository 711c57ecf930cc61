// Package service keeps the figures of the service guarantee of a running gateway: it looks at
// its doors, watches mail, faults and ages, and makes the report of a month.
package service

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"postern/abuse/calendar"
	"postern/abuse/cases/figures"
	"postern/abuse/second"
	"postern/abuse/service/book"
	"postern/abuse/service/credit"
	"postern/abuse/service/exclusion"
	"postern/abuse/service/month"
	"postern/abuse/service/probe"
	"postern/filter"
	"postern/internal/address"
	"postern/internal/alert"
	"postern/internal/config"
	"postern/internal/entity"
	"postern/internal/relay/outbox"
)

// Parts are what a Desk works with. Those marked so may be nil.
type Parts struct {
	Config    func() *config.Config
	Entities  entity.Home
	Now       func() time.Time
	Log       *slog.Logger
	Audit     func(ctx context.Context, actor, action, object string, before, after any, note string) error
	Calendars func() *calendar.Set // nil result: not yet
	Cases     func() figures.Source
	Up        func(backend string) bool
	NotReady  func() []string
	AV        func() (version string, age time.Duration, ok bool)
	Backups   func(ctx context.Context) (Ages, error) // nil: none are made here
	Lists     func(ctx context.Context, from, to time.Time) ([]month.List, error)
	Proofs    func(ctx context.Context, from, to time.Time) ([]month.Proof, error)
	Event     func(key, text string, over bool)
	// Alone runs f where no other node does the same just now.
	Alone func(ctx context.Context, job string, f func(ctx context.Context) error) error
}

// Ages are those of the backups; a negative one is unknown.
type Ages struct{ Last, Full, Oldest time.Duration }

// Desk keeps the figures.
type Desk struct {
	Book       *book.Book
	Exclusions *exclusion.Desk
	Credits    *credit.Desk
	Second     *second.Book // where what waives a fee waits for another person; set before calls are made

	p       Parts
	doors   atomic.Pointer[[]probe.Door]
	reasons map[string]bool // why the node was not ready when it was last asked
	sampled time.Time
	purged  time.Time
}

// New makes a Desk. Nothing runs yet.
func New(p Parts) *Desk {
	d := &Desk{p: p, reasons: map[string]bool{}}
	d.Book = &book.Book{Store: p.Entities, Node: p.Config().Hostname, Zone: d.zone, Now: p.Now, Log: p.Log}
	d.Exclusions = &exclusion.Desk{Store: p.Entities, Now: p.Now, Audit: p.Audit}
	d.Credits = &credit.Desk{Store: p.Entities, Now: p.Now, Audit: p.Audit, Alert: p.Event, Over: d.over}
	return d
}

// zone is that of the first team of the calendar: the guarantee's months are months there.
func (d *Desk) zone() *time.Location {
	if set := d.p.Calendars(); set != nil {
		return set.Team("").Team().Zone.Location
	}
	return time.UTC
}

// Done implements filter.Observer: it notes the delays of a message that went through.
func (d *Desk) Done(_ context.Context, m *filter.Message, o filter.Outcome) error {
	if o.Times.Received.IsZero() || o.Times.Handed.IsZero() && o.Times.Relayed.IsZero() {
		return nil
	}
	if m.Direction == filter.Outbound {
		d.sent(m, o)
		return nil
	}
	for _, f := range o.Fates {
		switch f.State {
		case filter.Delivered:
			d.Book.Delayed(book.Receive, domain(f.Recipient), m.ID, o.Times.Relayed, o.Times.Relayed.Sub(o.Times.Received))
		case filter.Held:
			d.Book.Held(book.Receive, domain(f.Recipient), o.Times.Received)
		}
	}
	return nil
}

// sent notes the start of a transfer: once for a message.
func (d *Desk) sent(m *filter.Message, o filter.Outcome) {
	who := domain(m.Account)
	if who == "" {
		who = domain(m.From)
	}
	var begun, held bool
	for _, f := range o.Fates {
		begun = begun || f.State == filter.Delivered || f.State == filter.InOutbox
		held = held || f.State == filter.Held
	}
	switch {
	case begun && !o.Times.Handed.IsZero():
		d.Book.Delayed(book.Send, who, m.ID, o.Times.Handed, o.Times.Handed.Sub(o.Times.Received))
	case held:
		d.Book.Held(book.Send, who, o.Times.Received)
	}
}

// Ended notes the end of what had waited in the outbox. The time of an outbound message is
// noted already: its transfer began before.
func (d *Desk) Ended(_ context.Context, e outbox.Entry, f filter.Fate) {
	if e.Direction == filter.Inbound && e.Origin == outbox.OriginRelay && f.State == filter.Delivered && !e.Received.IsZero() {
		now := d.p.Now()
		d.Book.Delayed(book.Receive, domain(f.Recipient), e.MessageID, now, now.Sub(e.Received))
	}
}

func domain(addr string) string {
	p, err := address.Parse(addr, false)
	if err != nil {
		return ""
	}
	return p.Domain
}

// faults are the alerts that say that the service does not do its work; a name that ends in a
// colon stands for all that begin with it.
var faults = []string{"store", "quarantine-full", "send-log", "clamav:", "certificate:"}

// Send implements alert.Sender: of what is said aloud it keeps the faults.
func (d *Desk) Send(_ context.Context, a alert.Alert) error {
	for _, f := range faults {
		if a.Key == f || strings.HasSuffix(f, ":") && strings.HasPrefix(a.Key, f) {
			at := a.Since
			if a.Over {
				at = a.At
			}
			d.Book.Fault(a.Key, a.Summary, at, a.Over)
		}
	}
	return nil
}

// Doors are what is looked at: what this node listens on.
func (d *Desk) Doors(addrs map[string]net.Addr) {
	c := d.p.Config()
	var out []probe.Door
	for _, l := range c.Listeners {
		if at := addrs[l.Name]; at != nil {
			out = append(out, probe.Door{Group: group(l.Kind), Name: "listener " + l.Name, Addr: at.String(), TLS: l.TLS.Implicit, Proxy: prefixes(l.ProxyFrom)})
		}
	}
	for name, w := range map[string]config.Web{"public": c.Public.Web(), "api": c.API} {
		if at := addrs[name]; at != nil {
			out = append(out, probe.Door{Group: "web", Name: name, Addr: at.String(), TLS: w.TLS.Cert != "", Web: true, Knock: name == "api"})
		}
	}
	d.doors.Store(&out)
}

// Loop looks at the doors once a minute, from the next one on, and writes down what was seen.
func (d *Desk) Loop(ctx context.Context) error {
	settled := false
	for {
		every := time.Duration(d.p.Config().Abuse.Service.Probe)
		wait := every - time.Duration(d.p.Now().UnixNano())%every
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := d.Book.Flush(last); err != nil {
				d.p.Log.Error("the last figures were not written", "err", err)
			}
			return nil
		case <-time.After(wait):
		}
		if !settled {
			settled = d.said("faults of before", d.Book.Settle(ctx))
		}
		d.Look(ctx)
	}
}

func (d *Desk) said(what string, err error) bool {
	if err != nil && !errors.Is(err, context.Canceled) {
		d.p.Log.Error("figures of the service: "+what, "err", err)
	}
	return err == nil
}
