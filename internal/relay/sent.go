package relay

import (
	"context"

	"postern/filter"
	"postern/internal/relay/handing"
)

// writeDown has it written down, synced, what an outbound message is about to be handed over
// to: no final dot is sent without it.
func (c *course) writeDown(ctx context.Context) error {
	if c.Sent == nil || c.m.Direction != filter.Outbound || len(c.open()) == 0 {
		return nil
	}
	o := handing.Over{Message: c.m, Report: c.job.Report, Login: c.job.Login != nil}
	for _, p := range c.parts {
		h := handing.Copy{Recipient: p.To.Address, Verdict: p.verdict, Body: p.m}
		switch {
		case p.way == wayRefuse, p.way == wayDeliver && !p.Taken:
			h.State = filter.Rejected
		case p.way != wayDeliver:
			h.State = filter.Held
		}
		o.Copies = append(o.Copies, h)
	}
	return c.Sent.Begin(ctx, o)
}
