package access

import (
	"context"
	"encoding/json"
	"errors"

	"postern/internal/control"
	"postern/internal/people"
	"postern/internal/said"
)

// gate says as whom a call over the socket is made. A token makes it its user's, whoever runs
// the command; else the login does that a user is known by. Root and the gateway's own user
// have the machine: they make every call, as themselves where no user is known by their login.
type gate struct {
	people *people.Directory
	bound  map[string]boundedCall
}

func (g gate) enter(ctx context.Context, peer control.Peer, token, name string, raw json.RawMessage, next func(context.Context) (any, error)) (any, error) {
	p, known, err := g.who(ctx, peer, token)
	if err != nil {
		return nil, err
	}
	if known {
		ctx = people.With(control.WithActor(ctx, p.Actor()), p)
	}
	switch {
	case token == "" && peer.Operator():
		return next(ctx)
	case !known:
		return nil, control.Refuse(control.Conflict, "access.is-no-user-of-the-desk", "%s is no user of the desk", "peer", peer)
	}
	if lacks, ok := may(g.bound)(ctx, name); !ok {
		if lacks.Code == "" {
			lacks = said.Say("access.machine", "this call is made by whoever runs the machine")
		}
		return nil, control.Saying(control.Conflict, lacks)
	}
	if p.Role.Bounded() {
		return g.bound[name](ctx, p, raw)
	}
	return next(ctx)
}

func (g gate) who(ctx context.Context, peer control.Peer, token string) (p people.Principal, known bool, err error) {
	if token != "" {
		p, err = g.people.Authenticate(ctx, token)
		if errors.Is(err, people.ErrDenied) {
			err = control.Refuse(control.Conflict, "access.the-token-is-not-valid", "the token is not valid")
		}
		return p, err == nil, err
	}
	if peer.Name == "" {
		return p, false, nil
	}
	p, known, err = g.people.ByUnix(ctx, peer.Name)
	if err != nil && peer.Operator() { // the store is away: the machine's own people still act
		return people.Principal{}, false, nil
	}
	return p, known, err
}
