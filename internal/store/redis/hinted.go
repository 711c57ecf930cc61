package redis

import (
	"context"

	"postern/internal/store/redis/durable"
	"postern/quarantine"
)

// hinted tells other nodes of changes of holds: the one that keeps a hold in its journal is to
// know of its end before the store could forget it.
type hinted struct {
	*durable.HoldStore
	tell func(kind string)
}

// Change implements quarantine.Store.
func (s hinted) Change(ctx context.Context, h quarantine.Hold) (quarantine.Hold, error) {
	h, err := s.HoldStore.Change(ctx, h)
	if err == nil && h.State.Ended() {
		s.tell(hintHold)
	}
	return h, err
}
