package backend

import (
	"context"
	"time"
)

// RunEvery is Run with a tick of the test's choosing.
func (p *Pools) RunEvery(ctx context.Context, every time.Duration) { p.run(ctx, every) }
