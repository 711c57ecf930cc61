package glue

import (
	"context"
	"slices"

	"postern/abuse"
	"postern/filter"
	"postern/internal/relay"
	"postern/quarantine"
)

// Holds lets the relay keep mail in the quarantine.
type Holds struct{ *quarantine.Quarantine }

// Provisional implements relay.Holds. What a measure holds has a class of its own.
func (h Holds) Provisional(ctx context.Context, r relay.HoldRequest) (string, error) {
	held := func(why filter.Reason) bool { return why.Symbol == abuse.SymbolHeld }
	if r.Class == relay.ClassQuarantine && slices.ContainsFunc(r.Verdict.Reasons, held) {
		r.Class = string(quarantine.ByMeasure)
	}
	return h.Quarantine.Provisional(ctx, quarantine.Request{
		Message: r.Message, Recipient: r.Recipient, Verdict: r.Verdict, Class: r.Class, Key: r.Key, Reply: r.Reply,
	})
}
