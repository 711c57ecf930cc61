package gateway

import (
	"context"

	"postern/cmd/postern/gateway/desk"
	"postern/cmd/postern/sources"
)

// buildDesk makes the abuse desk.
func (g *Gateway) buildDesk(ctx context.Context) (err error) {
	g.desk, err = desk.New(ctx, desk.Parts{
		Config: &g.cfg, Entities: g.home.Entities, Sent: g.home.Sent, Accounts: g.checks.Accounts, Keys: g.keys, Ring: g.outbound.Ring(), Key: g.key,
		Held:   &desk.Held{Quarantine: g.quarantine, Pipeline: g.pipeline.Load, Spool: g.spool, Store: g.home.Entities},
		Submit: g.submitter(), Now: g.now, Log: g.log, Audit: g.audit.Write, Looks: g.door.Looks, Entries: g.audit.Store.Entries, Alerts: g.alerts, Event: g.event, Alone: g.alone, OptedOut: g.checks.OptedOut, Rules: &g.rules, Service: g.service,
		Sources: sources.Parts{Lists: g.home.Lists, Own: g.checks.Own, Observer: g.checks.Sources, DNS: g.resolver, Traffic: g.home.Traffic, Sent: g.home.Sent, Version: g.opt.Version, Right: g.clockRight},
	})
	if err == nil {
		g.service.Second = g.desk.Second
		g.desk.Intake.Reported = g.checks.Reported
		g.relay.Desk, g.outbox.Ended = g.desk.Relay(), g.desk.Ended(g.outbox.Ended)
	}
	return err
}

// forDesk reports whether mail to an address is the abuse desk's.
func (g *Gateway) forDesk(addr string) bool { return g.desk.Takes(addr) }
