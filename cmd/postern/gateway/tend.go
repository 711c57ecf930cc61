package gateway

import (
	"context"
	"errors"
	"time"

	"postern/cmd/postern/gateway/hurry"
)

// tendEvery is how often a node looks after what is kept.
const tendEvery = 30 * time.Second

// tend looks after what is kept: of several nodes one does what needs doing once.
func (g *Gateway) tend(ctx context.Context) error {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for {
		if _, err := g.quarantine.Resume(ctx); err != nil && ctx.Err() == nil {
			g.log.Error("releases that an earlier process began", "err", err)
		}
		if err := g.alone(ctx, "tend", g.tendShared); err != nil && ctx.Err() == nil {
			g.log.Error("looking after what is kept", "err", err)
		}
		if _, err := g.quarantine.Usage(ctx); err != nil && ctx.Err() == nil {
			g.log.Error("reading the quarantine's size", "err", err)
		}
		if g.clockRight(ctx) {
			g.alerts.Clear("clock")
		}
		if err := g.home.Degraded(); err != nil {
			g.event("store", "the store does not do all of its work: "+err.Error(), false)
		} else {
			g.event("store", "", true)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// tendShared retries releases, expires holds, drops old rows of traffic and of the send log, and tries entries that a
// clock which was ahead has put off.
func (g *Gateway) tendShared(ctx context.Context) error {
	var errs []error
	_, err := g.quarantine.RetryDue(ctx)
	errs = append(errs, err)
	_, err = g.quarantine.ExpireDue(ctx)
	errs = append(errs, err)
	if g.clockRight(ctx) {
		_, err = g.home.Traffic.Prune(ctx, g.now().Add(-time.Duration(g.cfg.Load().Store.Traffic)))
		errs = append(errs, err, g.outbound.Purge(ctx), g.desk.Tend(ctx))
	}
	return errors.Join(append(errs, hurry.Outbox(ctx, g.home.Outbox, g.outbox.Retry, g.now(), clockStep, g.log))...)
}

// aloneFor is how long a node that does a job is taken for alive without saying so.
const aloneFor = 2 * time.Minute

// alone runs a job unless another node does just now.
func (g *Gateway) alone(ctx context.Context, job string, f func(context.Context) error) error {
	_, err := g.home.Jobs.Run(ctx, job, "", aloneFor, func(ctx context.Context, _ int64) error { return f(ctx) })
	return err
}
