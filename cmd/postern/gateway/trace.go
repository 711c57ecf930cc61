package gateway

import (
	"context"

	"postern/cmd/postern/glue"
	"postern/cmd/postern/outbound"
	"postern/filter"
	"postern/filter/bounce"
)

func (g *Gateway) buildTrace(context.Context) (err error) {
	g.outbound, err = outbound.New(outbound.Parts{
		Judge:  func() filter.Judge { return g.pipeline.Load().Judge },
		Config: &g.cfg, Store: g.home.Sent, Event: g.event, Now: g.now, Log: g.log,
		Hosted: func(domain string) bool {
			_, ok := glue.RouteFor(g.cfg.Load(), domain)
			return ok
		},
	})
	g.bounces = &bounce.Check{Sent: g.outbound}
	return err
}

// gatewayDomain is whose key signs beside that of the author.
func (g *Gateway) gatewayDomain() string { return g.cfg.Load().Abuse.Trace.SignAs }
