// Package hurry puts right what a clock that was ahead has put off.
package hurry

import (
	"context"
	"log/slog"
	"time"

	"postern/internal/relay/outbox"
)

// most bounds how many entries of the outbox one round looks at.
const most = 1000

// Outbox makes entries due whose next try is further away than any wait between tries: a clock
// that was ahead wrote them, and they would wait until it is right again.
func Outbox(ctx context.Context, store outbox.Store, retry func(ctx context.Context, id string) error, now time.Time, step time.Duration, log *slog.Logger) error {
	all, err := store.List(ctx, "", most)
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.Next.Sub(now) <= step {
			continue
		}
		log.Warn("an outbox entry from the future is tried now", "entry", e.ID, "next", e.Next)
		if err := retry(ctx, e.ID); err != nil {
			return err
		}
	}
	return nil
}
