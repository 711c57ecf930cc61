package gateway

import (
	"context"

	"postern/cmd/postern/abusedesk"
)

// buildDesk makes the cases, and what belongs to them.
func (g *Gateway) buildDesk(context.Context) (err error) {
	g.desk, err = abusedesk.New(g.deskParts())
	return err
}

func (g *Gateway) deskParts() abusedesk.Parts {
	return abusedesk.Parts{
		Entities: g.home.Entities, Now: g.now, Log: g.log, Audit: g.audit.Write, Event: g.event,
		CalendarDir: g.cfg.Load().Abuse.Calendar.Dir,
	}
}
