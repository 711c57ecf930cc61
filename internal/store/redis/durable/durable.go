// Package durable keeps what was promised in two places: in the node's own synced journal and in
// the shared store. What the shared store lost, in a failover, by a flush or with an old dump, is
// given back to it: first the ends, so that nothing that is over comes back, and after a grace,
// in which every node does that, what is still open.
package durable

import (
	"context"
	"errors"
	"io"

	"postern/internal/store/redis/durable/owed"
	"postern/internal/store/redis/durable/phase"
	"postern/internal/store/redis/journal"
	"postern/quarantine"
)

// ErrRestoring refuses what could happen twice while a store is given back what it lost.
var ErrRestoring = phase.ErrRestoring

// Options are the same for holds and outbox.
type Options = phase.Options

// Status says how the node's own copies stand.
type Status = phase.Status

// Outbox is the shared store of what is owed, Ends what it does not keep itself.
type (
	Outbox = owed.Outbox
	Ends   = owed.Ends
)

// NewOutbox joins the shared store of what is owed and the journal.
func NewOutbox(far Outbox, marks Ends, j *journal.Journal, o Options) *owed.Store {
	return owed.New(far, marks, j, o)
}

// Holds is the shared store of holds.
type Holds interface {
	quarantine.Store
	// Look returns holds in the order of their IDs, provisional ones too; a zero one for what is
	// missing or does not verify.
	Look(ctx context.Context, ids []string) ([]quarantine.Hold, error)
	// Push writes h as it is where nothing or a lower version is stored; at the same version an
	// end beats what is open. It returns what is stored then.
	Push(ctx context.Context, h quarantine.Hold, body func() (io.ReadCloser, error)) (quarantine.Hold, error)
	// Enlist writes the entries again by which holds that are there are found: another master
	// may have lost them.
	Enlist(ctx context.Context, holds []quarantine.Hold) error
}

func without() (io.ReadCloser, error) { return nil, errNoBody }

var errNoBody = errors.New("this node has no body of it")
