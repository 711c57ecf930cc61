//go:build testclock

package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postern/abuse/intake"
	"postern/internal/control"
)

// handleClock adds the call that a test makes after it has moved the clock.
func (g *Gateway) handleClock(s *control.Server) {
	control.Handle(s, "clock.due", func(ctx context.Context, _ struct{}) (struct{}, error) { return struct{}{}, g.due(ctx) })
}

// due does once what the loops of this node do on their own clock, and returns when it is done.
func (g *Gateway) due(ctx context.Context) error {
	var errs []error
	for _, j := range []struct {
		name string
		work func(context.Context) error
	}{
		{intake.Job, func(ctx context.Context) error { _, err := g.desk.Intake.Round(ctx); return err }},
		{"measures", g.desk.Measures.Tend},
		{"tend", g.tendShared},
		{"sources", g.desk.Sources.Tend},
		{"measures", g.desk.Measures.Tend}, // what has just expired, and signals of new cases
	} {
		if err := g.inTurn(ctx, j.name, j.work); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", j.name, err))
		}
	}
	errs = append(errs, g.desk.Sources.Flush(ctx))
	_, err := g.quarantine.Resume(ctx)
	g.outbox.Wake()
	return errors.Join(append(errs, err)...)
}

// inTurn does a job when no loop and no other node is at it.
func (g *Gateway) inTurn(ctx context.Context, job string, f func(context.Context) error) error {
	for {
		ran, err := g.home.Jobs.Run(ctx, job, "", aloneFor, func(ctx context.Context, _ int64) error { return f(ctx) })
		if ran || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}
