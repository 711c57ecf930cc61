package gateway

import (
	"context"
	"time"

	"postern/abuse/calendar"
	"postern/abuse/cases/figures"
	"postern/cmd/postern/service"
)

// buildService makes the figures of the service. What they are made of is built later.
func (g *Gateway) buildService(context.Context) error {
	g.service = service.New(service.Parts{
		Config: g.cfg.Load, Entities: g.home.Entities, Now: g.now, Log: g.log, Audit: g.audit.Write,
		Calendars: func() *calendar.Set {
			if g.desk == nil {
				return nil
			}
			return g.desk.Cases.Calendars()
		},
		Cases: func() figures.Source { return g.desk.Cases.Cases },
		Up:    func(backend string) bool { return g.pools.Up(backend) }, NotReady: g.notReady,
		AV: func() (string, time.Duration, bool) {
			if g.scanner == nil {
				return "", 0, false
			}
			age, ok := g.scanner.Age()
			return g.scanner.Version(), age, ok
		},
	})
	return nil
}
