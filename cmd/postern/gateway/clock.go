package gateway

import (
	"context"
	"time"
)

// clockStep is how far the clock may have moved since the quarantine last believed it.
const clockStep = 12 * time.Hour

// clockRight reports whether the quarantine believes the clock: while it does not, nothing is
// dropped for its age.
func (g *Gateway) clockRight(ctx context.Context) bool {
	last, err := g.home.Holds.Clock(ctx)
	return err == nil && (last.IsZero() || g.now().Sub(last) <= clockStep)
}

// hurryMost bounds how many entries of the outbox one round looks at.
const hurryMost = 1000

// hurryOutbox makes entries due whose next try is further away than any wait between tries: a
// clock that was ahead wrote them, and they would wait until it is right again.
func (g *Gateway) hurryOutbox(ctx context.Context) error {
	all, err := g.home.Outbox.List(ctx, "", hurryMost)
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.Next.Sub(g.now()) <= clockStep {
			continue
		}
		g.log.Warn("an outbox entry from the future is tried now", "entry", e.ID, "next", e.Next)
		if err := g.outbox.Retry(ctx, e.ID); err != nil {
			return err
		}
	}
	return nil
}
