package relay

import (
	"context"

	"postern/internal/relay/backend"
	"postern/internal/relay/client"
)

// Pools are the pools of servers behind as Backends.
type Pools struct{ *backend.Pools }

// Begin implements Backends.
func (p Pools) Begin(ctx context.Context, pool string, e client.Envelope) (Conn, client.Begun, func(reuse bool), error) {
	c, begun, release, err := p.Pools.Begin(ctx, pool, e)
	if err != nil {
		return nil, begun, nil, err
	}
	return c, begun, release, nil
}
