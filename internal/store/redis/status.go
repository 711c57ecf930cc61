package redis

import (
	"context"
	"errors"

	"postern/internal/entity"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/durable"
	"postern/internal/store/redis/entities"
	"postern/internal/store/redis/holds/upkeep"
	"postern/internal/store/redis/nodes"
	"postern/internal/store/redis/traffic"
)

// Status is how the home does, in one look.
type Status struct {
	Conn    conn.Status
	Lax     []string        // settings of the server under which it may forget
	Journal *durable.Status // nil without one
	Nodes   []nodes.Info
	Drift   []string
	Schema  int   // that records are written in
	Dropped int64 // traffic rows that found no room
}

// Status looks at all parts. It asks the store who else is there, and does not wait long.
func (h *Home) Status(ctx context.Context) Status {
	s := Status{Conn: h.conn.Status(), Lax: h.lax.get(), Schema: h.write(), Dropped: h.rows.Dropped()}
	if h.journal != nil {
		all := h.held.Status()
		for _, more := range []durable.Status{h.owed.Status(), h.kept.Status()} {
			all.Live += more.Live
			all.Tombstones += more.Tombstones
			all.Pushed += more.Pushed
			if all.OldestUnpushed.IsZero() || !more.OldestUnpushed.IsZero() && more.OldestUnpushed.Before(all.OldestUnpushed) {
				all.OldestUnpushed = more.OldestUnpushed
			}
		}
		s.Journal = &all
	}
	if all, err := h.nodes.List(ctx); err == nil {
		s.Nodes = all
	}
	s.Drift = nodes.Drift(s.Nodes)
	return s
}

// Degraded returns why the home does not do all of its work, or nil.
func (h *Home) Degraded() error {
	var errs []error
	if st := h.conn.Status(); !st.Up {
		errs = append(errs, errors.New("redis is away: "+st.Reason))
	}
	if h.journal != nil {
		errs = append(errs, h.journal.Degraded())
	}
	return errors.Join(append(append(errs, h.Decisions.Degraded(), h.trail.Degraded()), h.nodes.Problems()...)...)
}

// Sizes are what the parts take in the store.
type Sizes struct {
	Holds   upkeep.Estimate
	Owed    int
	OwedIn  int64 // bytes of the outbox
	Traffic traffic.Estimate
	Journal int64 // bytes on this node
	Records Size  // of the rooms
	Blobs   map[entity.Class]Size
}

// Size is how many there are of something, and the bytes they take.
type Size struct{ Items, Bytes int64 }

// Sizes weighs what is stored.
func (h *Home) Sizes(ctx context.Context) (out Sizes, err error) {
	if out.Holds, err = h.far.Estimate(ctx); err != nil {
		return out, err
	}
	if out.Owed, out.OwedIn, err = h.owes.Estimate(ctx); err != nil {
		return out, err
	}
	if h.journal != nil {
		out.Journal = h.journal.Stats().Bytes
	}
	if out.Records.Items, out.Records.Bytes, err = h.things.Size(ctx); err != nil {
		return out, err
	}
	out.Blobs = map[entity.Class]Size{}
	for _, class := range entity.Classes() {
		n, err := h.things.CountBlobs(ctx, class)
		if err != nil {
			return out, err
		}
		used, _, err := h.things.BlobBytes(ctx, class)
		if err != nil {
			return out, err
		}
		out.Blobs[class] = Size{n, used}
	}
	out.Traffic, err = h.rows.Estimate(ctx)
	return out, err
}

// Reindexed counts what Reindex made anew.
type Reindexed struct {
	Holds    upkeep.Reindexed
	Outbox   int
	Entities entities.Reindexed
}

// Reindex makes all indexes again from the records, while mail flows.
func (h *Home) Reindex(ctx context.Context, step func(holds int)) (out Reindexed, err error) {
	if out.Holds, err = h.far.Reindex(ctx, step); err != nil {
		return out, err
	}
	if out.Outbox, err = h.owes.Reindex(ctx); err != nil {
		return out, err
	}
	if out.Entities, err = h.things.Reindex(ctx); err != nil {
		return out, err
	}
	return out, h.rows.Reindex(ctx)
}
