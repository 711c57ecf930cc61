package glue

import (
	"context"

	"postern/internal/relay"
	"postern/quarantine"
)

// Holds lets the relay keep mail in the quarantine.
type Holds struct{ *quarantine.Quarantine }

// Provisional implements relay.Holds.
func (h Holds) Provisional(ctx context.Context, r relay.HoldRequest) (string, error) {
	return h.Quarantine.Provisional(ctx, quarantine.Request{
		Message: r.Message, Recipient: r.Recipient, Verdict: r.Verdict, Class: r.Class, Key: r.Key, Reply: r.Reply,
	})
}
