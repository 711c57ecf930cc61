// Package ends keeps in Redis which entries of the outbox have ended, for a while: the entries
// themselves are gone then, and a node that has a copy must be able to tell an end from a loss.
package ends

import (
	"context"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/sealed"
)

// Kept is how long a mark stays. It outlives the journal's own tombstones.
const Kept = 8 * 24 * time.Hour

// kind is what a mark is sealed as.
const kind = "outbox-end"

// Store keeps marks. All fields but Log are needed.
type Store struct {
	Conn *conn.Conn
	Ring *sealed.Ring
	Log  *slog.Logger
}

func (s *Store) key(id string) string { return s.Conn.Key("{o:"+conn.Hash(id)+"}", "end") }

// Mark says that these entries have ended.
func (s *Store) Mark(ctx context.Context, ids []string) error {
	_, err := s.Conn.Pipe(ctx, conn.Background, func(p redis.Pipeliner) {
		for _, id := range ids {
			p.Set(ctx, s.key(id), s.Ring.Seal(kind, id, []byte{1}), Kept)
		}
	})
	return err
}

// Ended says in the order of the IDs which have ended. A mark that does not verify is none.
func (s *Store) Ended(ctx context.Context, ids []string) ([]bool, error) {
	out := make([]bool, len(ids))
	cmds, err := s.Conn.Each(ctx, conn.Background, func(p redis.Pipeliner) {
		for _, id := range ids {
			p.Get(ctx, s.key(id))
		}
	})
	if err != nil {
		return nil, err
	}
	forged := 0
	for i, cmd := range cmds {
		get, ok := cmd.(*redis.StringCmd)
		if !ok || get.Err() != nil {
			continue
		}
		if _, err := s.Ring.Open(kind, ids[i], []byte(get.Val())); err != nil {
			forged++
			continue
		}
		out[i] = true
	}
	if forged > 0 && s.Log != nil {
		s.Log.Error("marks of ended outbox entries carry no valid seal: they count as none", "marks", forged)
	}
	return out, nil
}
