package trend_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"postern/internal/mailtest/entities"
	"postern/internal/record/trend"
)

// TestLoop has each minute written when it is over, and what was counted last written at the
// end.
func TestLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		samples := 0
		b := &trend.Book{
			Store: &entities.Memory{}, Node: "mx1", Now: time.Now, Log: slog.New(slog.DiscardHandler),
			Sample: func(context.Context) (map[string]float64, map[string]trend.List) {
				samples++
				return map[string]float64{"sessions": float64(samples)}, nil
			},
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.Loop(ctx) }()
		total := func() trend.Span {
			t.Helper()
			got, err := b.Look(t.Context(), "hour", "mx1")
			if err != nil {
				t.Fatal(err)
			}
			return got.Total
		}
		for i := range 3 {
			b.Count(message("inbound", "accept", 5, "delivered"))
			time.Sleep(time.Minute)
			synctest.Wait()
			if got := total(); got.Fates["in:delivered"] != int64(i+1) || got.Gauges["sessions"] != float64(i+1) {
				t.Errorf("after %d minutes: %+v", i+1, got)
			}
		}
		b.Count(message("outbound", "accept", 5, "delivered"))
		time.Sleep(10 * time.Second)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := total(); got.Fates["out:delivered"] != 1 || got.Fates["in:delivered"] != 3 {
			t.Errorf("at the end: %+v", got)
		}
	})
}
