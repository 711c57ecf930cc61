package recipients

import (
	"context"
	"strings"

	"postern/internal/control"
	"postern/internal/people"
)

// As notes in ctx that whoever calls has shown that mail to an address reaches them:
// they see what is held for it, and nothing else.
func As(ctx context.Context, address string) context.Context {
	p := people.Principal{Name: "recipient " + address, Role: people.Recipient, Scopes: people.Recipient.Scopes(), Addresses: []string{strings.ToLower(address)}}
	return people.With(control.WithActor(ctx, p.Name), p)
}
