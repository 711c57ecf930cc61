package glue

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"postern/filter"
	"postern/filter/auth/dmarc"
	"postern/internal/config"
	"postern/internal/dns"
	"postern/internal/report"
	"postern/internal/report/daily"
	"postern/internal/report/received"
)

// Reports counts for DMARC reports, sends them and reads those of others, as the
// configuration of the moment says.
type Reports struct {
	Config   *atomic.Pointer[config.Config]
	Store    report.Store
	Resolver *dns.Resolver
	Submit   func(ctx context.Context, to string, message []byte) error
	Version  string
	Now      func() time.Time
	// ClockRight reports whether Now can be believed enough to drop what it says is old.
	ClockRight func(ctx context.Context) bool
	// Alone runs f where no other node does the same just now, with a ctx that ends when one may.
	Alone func(ctx context.Context, f func(ctx context.Context) error) error
	Log   *slog.Logger

	collector *report.Collector
	reader    *received.Reader
}

// Open makes the parts; it is called once, before all else.
func (r *Reports) Open() {
	r.collector = &report.Collector{Store: r.Store, Now: r.Now, Log: r.Log, Own: r.own, SameOrg: r.sameOrg}
	r.reader = &received.Reader{Store: r.Store, Takes: r.own, Now: r.Now, Log: r.Log}
}

// own reports the addresses at which we receive reports.
func (r *Reports) own(address string) bool {
	for _, a := range r.Config.Load().Reports.Receive {
		if strings.EqualFold(a, address) {
			return true
		}
	}
	return false
}

// sameOrg asks the DNS as DMARC does; what it does not answer is not the same.
func (r *Reports) sameOrg(ctx context.Context, a, b string) bool {
	w := &dmarc.Walker{Resolver: r.Resolver}
	same, err := w.SameOrganization(ctx, a, b)
	return err == nil && same
}

// Done implements filter.Observer.
func (r *Reports) Done(ctx context.Context, m *filter.Message, o filter.Outcome) error {
	var errs []error
	c := r.Config.Load().Reports
	if c.Send {
		errs = append(errs, r.collector.Done(ctx, m, o))
	}
	if len(c.Receive) > 0 {
		errs = append(errs, r.reader.Done(ctx, m, o))
	}
	return errors.Join(errs...)
}

// Count writes what was counted until ctx ends.
func (r *Reports) Count(ctx context.Context) error { return r.collector.Run(ctx) }

// Send sends what is due every quarter of an hour, and drops what is too old to keep.
func (r *Reports) Send(ctx context.Context) error {
	tick := time.NewTicker(15 * time.Minute)
	defer tick.Stop()
	for {
		if err := r.Alone(ctx, r.round); err != nil && ctx.Err() == nil {
			r.Log.Error("reports", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// round sends what is due and drops what is old.
func (r *Reports) round(ctx context.Context) error {
	c := r.Config.Load().Reports
	var errs []error
	if c.Send {
		n, err := r.sender(c).Due(ctx)
		errs = append(errs, err)
		if n > 0 {
			r.Log.Info("DMARC reports", "sent", n)
		}
	}
	if r.ClockRight(ctx) {
		errs = append(errs, r.Store.Prune(ctx, r.Now().Add(-time.Duration(c.Keep))))
	}
	return errors.Join(errs...)
}

func (r *Reports) sender(c config.Reports) *daily.Sender {
	return &daily.Sender{
		Store: r.Store, Resolver: r.Resolver, SameOrg: r.sameOrg, Submit: r.Submit, Own: r.own,
		From: c.From, Org: c.Org, Contact: c.Contact, Generator: "postern " + r.Version,
		Size: int64(c.Size), PerDay: c.Day, Now: r.Now, Log: r.Log,
	}
}
