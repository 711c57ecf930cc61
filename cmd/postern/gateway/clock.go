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
