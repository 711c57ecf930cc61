package gateway

import (
	"context"

	"postern/cmd/postern/glue"
)

func (g *Gateway) buildReports(context.Context) error {
	g.reports = &glue.Reports{
		Config: &g.cfg, Store: g.home.Reports, Resolver: g.resolver, Submit: g.submitter().Report,
		Version: g.opt.Version, Now: g.now, ClockRight: g.clockRight, Log: g.log,
	}
	g.reports.Open()
	return nil
}
