package upkeep

import (
	"bytes"
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/ground"
	"postern/internal/store/redis/holds/index"
	"postern/internal/store/redis/holds/record"
	"postern/quarantine"
)

// Full is a hold and its whole body.
type Full struct {
	Hold quarantine.Hold
	Body []byte
}

// full is a hold as it is written.
type full struct {
	id           record.ID
	hold         quarantine.Hold
	fixed, state []byte
}

// Bulk writes many new holds in one round trip, each with a body of its own, as they are. It
// looks at nothing that is there: for filling an empty store, of which nobody expects a promise
// until it is full.
func (s Keeper) Bulk(ctx context.Context, all []Full) error {
	defer s.g.Counts.Changed()
	ups := make([]ground.Upload, len(all))
	ws := make([]full, len(all))
	for i, f := range all {
		id, ok := record.ParseID(f.Hold.ID)
		if !ok || !ground.ValidSHA(f.Hold.SHA256) {
			return fmt.Errorf("bulk: %.100q is no hold", f.Hold.ID)
		}
		ws[i] = full{id: id, hold: f.Hold}
		if !f.Hold.State.Ended() {
			var err error
			if ups[i], err = s.g.Receive(ctx, id, f.Hold, nil, bytes.NewReader(f.Body)); err != nil {
				return err
			}
		}
		var err error
		if ws[i].fixed, ws[i].state, err = s.g.Seal(f.Hold, ""); err != nil {
			return err
		}
	}
	entries, words := map[string][]redis.Z{}, map[string]bool{}
	for _, w := range ws {
		for _, e := range index.Entries(w.hold) {
			entries[e.Key] = append(entries[e.Key], redis.Z{Score: float64(e.Score), Member: e.Member})
		}
		for _, word := range index.Words(w.hold) {
			words[word] = true
		}
	}
	for word := range words {
		entries[index.Vocabulary] = append(entries[index.Vocabulary], redis.Z{Member: word})
	}
	return s.g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for i, w := range ws {
			s.queueFull(ctx, p, w, ups[i])
		}
		for key, members := range entries {
			p.ZAdd(ctx, s.g.IndexKey(key), members...)
		}
	})
}

// queueFull writes one hold without asking.
func (s Keeper) queueFull(ctx context.Context, p redis.Pipeliner, w full, up ground.Upload) {
	fields := []any{"r", w.fixed, "s", w.state, "o", 1}
	if !w.hold.State.Ended() {
		ref := up.Ref
		s.g.QueueChunks(ctx, p, w.id.Message, ref, ref.Chunks-len(up.Rest), up.Rest)
		for n := range ref.Chunks {
			p.Persist(ctx, s.g.ChunkKey(w.id.Message, ref, n))
		}
		p.HSet(ctx, s.g.BodyKey(w.id.Message, ref), "g", ref.Gen, "n", ref.Chunks, "z", ref.Stored, "c", 1)
		fields = append(fields, "b", ref.String())
		s.g.Counts.Add(ref.Family, 1, ref.Stored)
	}
	p.HSet(ctx, s.g.HoldKey(w.id), fields...)
	if w.hold.Key != "" {
		p.Set(ctx, s.g.KeyKey(w.hold.Key), record.Pack(w.hold.ID), 0)
	}
}
