package gateway

import (
	"context"

	"postern/cmd/postern/auditcalls"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/changes"
	"postern/cmd/postern/holdcalls"
	"postern/cmd/postern/tracecalls"
	"postern/internal/control"
)

// Calls are the calls of the control socket.
func (g *Gateway) Calls() *control.Server {
	s := calls.Parts{
		Now: g.now, Quarantine: g.quarantine, Outbox: g.home.Outbox, Worker: g.outbox,
		Lists: g.checks.Lists, Own: g.checks.Own, Greylist: g.checks.Greylist, Accounts: g.checks.Accounts, Records: g.home.Accounts,
		Audit: g.audit, Heads: g.heads, Reports: g.home.Reports,
		Status: func(ctx context.Context) any { return g.Status(ctx) },
		Reload: g.ruling.ReloadNow,
	}.Server()
	g.dkim().Handle(s)
	calls.Outbound{Desk: g.outbound, Config: g.cfg.Load, Audit: g.audit, Now: g.now}.Handle(s)
	g.care = &calls.Store{Home: g.home, Now: g.now, Audit: func(ctx context.Context, actor, action, note string) error {
		return g.audit.Write(ctx, actor, action, g.home.Name, nil, nil, note)
	}}
	g.care.Handle(s)
	g.backups.Handle(s)
	holdcalls.New(g.now, g.quarantine, g.home.Entities, g.audit, &g.cfg).Handle(s)
	g.door.Handle(s)
	g.desk.Handle(s)
	g.handleClock(s)
	g.service.Handle(s)
	tracecalls.Of(g.home, g.outbound, g.desk.Cases.Cases, g.rules.Load, g.now).Handle(s)
	g.figures.Handle(s, g.sizes.Get)
	changes.Parts{Holds: g.home.Holds, Entities: g.home.Entities}.Handle(s)
	g.ruling.Handle(s)
	auditcalls.Handle(s, g.home.Audit)
	g.inbox.Handle(s)
	g.checks.Handle(s, g.quarantine)
	return s
}

func (g *Gateway) dkim() calls.DKIM { return calls.DKIM{Keys: g.keys, DNS: g.resolver, Audit: g.audit} }
