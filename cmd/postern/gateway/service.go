package gateway

import (
	"context"
	"time"

	"postern/abuse/calendar"
	"postern/abuse/cases/figures"
	"postern/abuse/service/month"
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
		Backups: g.backupAges, Event: g.event, Alone: g.alone,
		Lists: func(ctx context.Context, from, to time.Time) ([]month.List, error) {
			return service.ListsOf(ctx, g.desk.Sources.Published, from, to)
		},
		Proofs: func(ctx context.Context, from, to time.Time) (out []month.Proof, err error) {
			all, err := g.backups.Proofs(ctx, from, to)
			for _, p := range all {
				out = append(out, month.Proof{ID: p.ID, Run: p.Run, At: p.At, OK: p.OK, Records: p.Records, Error: p.Error})
			}
			return out, err
		},
	})
	return nil
}

func (g *Gateway) backupAges(context.Context) (service.Ages, error) {
	last, full, oldest, _, err := g.backups.Ages()
	return service.Ages{Last: last, Full: full, Oldest: oldest}, err
}
