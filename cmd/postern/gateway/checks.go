package gateway

import (
	"context"
	"net/netip"
	"time"

	"postern/cmd/postern/checks"
	"postern/cmd/postern/gateway/desk"
	"postern/cmd/postern/glue"
	"postern/cmd/postern/steps"
)

func (g *Gateway) buildChecks(ctx context.Context) (err error) {
	g.checks, err = checks.New(ctx, checks.Parts{
		Config: &g.cfg, Home: g.home, Resolver: g.resolver, Scanner: g.scanner, Audit: g.audit, Key: g.key, Event: g.event, Self: g.opt.Self, Now: g.now, Log: g.log,
	})
	if err != nil {
		return err
	}
	g.steps = g.checks.Steps()
	g.steps.Bounce, g.steps.Taken = g.bounces, desk.Always
	g.pipeline.Store(steps.Pipeline(g.steps, g.rules.Load(), g.cfg.Load(), g.log))
	return nil
}

// reverseName is the confirmed reverse name of an address, "" where there is none or DNS
// does not say in time.
func (g *Gateway) reverseName(ctx context.Context, ip netip.Addr) string {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(g.cfg.Load().DNS.Timeout))
	defer cancel()
	return glue.ConfirmedName(ctx, g.resolver, ip)
}
