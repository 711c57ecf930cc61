package tracecalls

import (
	"context"
	"time"

	"postern/abuse/cases"
	"postern/cmd/postern/home"
	"postern/cmd/postern/outbound"
	"postern/rules"
)

// latest is how many cases of an account are shown with a message of it.
const latest = 5

// Of are the calls over a home.
func Of(h *home.Home, out *outbound.Desk, desk *cases.Desk, set func() *rules.Set, now func() time.Time) Parts {
	return Parts{
		Now: now, Traffic: h.Traffic, Holds: h.Holds, Outbox: h.Outbox, Sent: h.Sent, Rules: set,
		Token: func(ctx context.Context, text string) (string, bool) {
			t, err := out.Tell(ctx, text)
			return t.Serial, err == nil
		},
		Cases: func(ctx context.Context, account string) (all []Case, err error) {
			found, _, err := desk.Find(ctx, cases.Search{Account: account, Limit: latest})
			for _, c := range found {
				all = append(all, Case{ID: c.ID, State: string(c.State), Opened: c.Opened})
			}
			return all, err
		},
	}
}
