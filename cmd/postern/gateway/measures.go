package gateway

import (
	"context"
	"time"

	"postern/abuse/engine"
	"postern/cmd/postern/abusedesk"
)

// buildMeasures makes the measures against local accounts.
func (g *Gateway) buildMeasures(context.Context) error {
	g.measures = abusedesk.NewMeasures(g.deskParts(), g.desk, abusedesk.MeasureParts{
		Config: g.cfg.Load(), Accounts: g.checks.Accounts, Sent: g.home.Sent,
	})
	return nil
}

// tendMeasures acts on what accounts send; of several nodes one does.
func (g *Gateway) tendMeasures(ctx context.Context) error {
	tick := time.NewTicker(engine.Every)
	defer tick.Stop()
	for {
		if err := g.alone(ctx, "measures", g.measures.Tend); err != nil && ctx.Err() == nil {
			g.log.Error("measures", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
