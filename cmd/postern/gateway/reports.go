package gateway

import (
	"context"

	"postern/cmd/postern/glue"
)

func (g *Gateway) buildReports(context.Context) error {
	g.reports = &glue.Reports{
		Config: &g.cfg, Store: g.home.Reports, Resolver: g.resolver, Submit: g.submitter().Report,
		Version: g.opt.Version, Now: g.now, ClockRight: g.clockRight, Log: g.log,
		Alone: func(ctx context.Context, f func(context.Context) error) error { return g.alone(ctx, "reports", f) },
	}
	g.reports.Open()
	return nil
}
