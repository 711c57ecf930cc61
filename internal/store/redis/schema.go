package redis

import (
	"context"
	"errors"
	"time"

	"postern/internal/store/redis/nodes"
)

// Oldest is the oldest schema this program reads.
const Oldest = 1

// write is the schema that records are written in: one that every node reads. Until the store
// was asked it is the oldest.
func (h *Home) write() int { return max(h.nodes.Write(), Oldest) }

// joinTime is how long a command line waits for the store.
const joinTime = 3 * time.Second

// openNodes tells the others who this node is, and asks in which schema to write. A store that
// cannot be reached is asked later, but not by a command line, which has nothing to do without
// it; one that this program cannot read is an error.
func (h *Home) openNodes(ctx context.Context) error {
	started := h.o.Now().UTC()
	h.nodes = nodes.New(nodes.Options{Conn: h.conn, Now: h.o.Now, Log: h.o.Log, Self: func() nodes.Info {
		return nodes.Info{Name: h.o.Node, Version: h.o.Version, Schema: Speaks, Rules: h.o.Rules(), Started: started}
	}})
	if h.o.Passive {
		soon, cancel := context.WithTimeout(ctx, joinTime)
		defer cancel()
		return h.nodes.Join(soon, Speaks, Oldest)
	}
	if _, err := h.nodes.Schema(ctx, Speaks, Oldest); errors.Is(err, nodes.ErrSchema) {
		return err
	}
	return nil
}
