package desk

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"postern/abuse/intake"
	"postern/internal/relay"
)

// intoDesk lets the relay hand mail to the abuse desk.
type intoDesk struct{ Desk *intake.Desk }

// Provisional implements relay.Desk.
func (i intoDesk) Provisional(ctx context.Context, r relay.DeskRequest) (string, error) {
	id, err := i.Desk.Provisional(ctx, intake.Arrival{Message: r.Message, Report: r.Report, To: r.To, Key: r.Key, By: intake.ByMail, Alone: r.Alone})
	if errors.Is(err, intake.ErrFull) {
		return id, fmt.Errorf("%w: %w", relay.ErrDeskFull, err)
	}
	return id, err
}

// Confirm implements relay.Desk.
func (i intoDesk) Confirm(ctx context.Context, id string) error { return i.Desk.Confirm(ctx, id) }

// Drop implements relay.Desk.
func (i intoDesk) Drop(ctx context.Context, id string) error { return i.Desk.Drop(ctx, id) }

// forPostmaster reports whether an address is a postmaster's.
func forPostmaster(addr string) bool {
	local, _, _ := strings.Cut(addr, "@")
	local, _, _ = strings.Cut(strings.Trim(local, `"`), "+")
	return strings.EqualFold(local, "postmaster")
}
