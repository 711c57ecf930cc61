package gateway

import (
	"context"

	"postern/cmd/postern/calls"
	"postern/internal/control"
)

// Calls are the calls of the control socket.
func (g *Gateway) Calls() *control.Server {
	return calls.Parts{
		Now: g.now, Quarantine: g.quarantine, Outbox: g.home.Outbox(), Worker: g.outbox,
		Lists: g.lists, OwnStore: g.home.Lists(), Own: g.own, Accounts: g.accounts, Records: g.home.Accounts(),
		Audit: g.audit, Traffic: g.home.Traffic(),
		Status: func(ctx context.Context) any { return g.Status(ctx) },
		Reload: func(ctx context.Context) (string, error) {
			err := g.Reload(ctx)
			return g.Revision(), err
		},
	}.Server()
}
