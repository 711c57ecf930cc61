// Package holds keeps held mail in Redis. A hold lies under one key with its sealed record and
// state; all holds of a message share a hash slot, and with it the body. Indexes lie elsewhere:
// they are derived from the records, written beside them, and verified whenever they are read.
package holds

import (
	"context"
	"io"
	"log/slog"
	"time"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/find"
	"postern/internal/store/redis/holds/ground"
	"postern/internal/store/redis/holds/record"
	"postern/internal/store/redis/holds/upkeep"
	"postern/internal/store/redis/sealed"
	"postern/quarantine"
)

// Caps bound the stored bytes of bodies; 0 = none. Evidence copies count by themselves.
type Caps = ground.Caps

// Options are what a Store is made of. Conn and Ring are needed.
type Options struct {
	Conn  *conn.Conn
	Ring  *sealed.Ring
	Now   func() time.Time
	Log   *slog.Logger
	Write func() int // the schema of records to write, 1 or 2; nil = 2
	Caps  Caps
}

// Store implements quarantine.Store. It is safe for concurrent use.
type Store struct {
	finder
	keeper
	g      *ground.Ground
	recent recent
}

type (
	finder = find.Finder
	keeper = upkeep.Keeper
)

// New makes a Store. Nothing is asked of the server yet.
func New(o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	g := ground.New(o.Conn, record.NewScribe(o.Ring, o.Write), o.Now, o.Log, o.Caps)
	return &Store{finder: find.New(g), keeper: upkeep.New(g), g: g, recent: recent{rows: map[string]ground.Row{}}}
}

// Body implements quarantine.Store. The reader asks the store as it is read: ctx must live as
// long as it does.
func (s *Store) Body(ctx context.Context, id string) (io.ReadCloser, error) { return s.g.Body(ctx, id) }

// Stats implements quarantine.Store: at most a second old, and with all that this process did.
func (s *Store) Stats(ctx context.Context) (quarantine.Stats, error) { return s.g.Stats(ctx) }

// Get implements quarantine.Store.
func (s *Store) Get(ctx context.Context, id string) (quarantine.Hold, error) {
	r, err := s.g.Row(ctx, id)
	return r.Hold, err
}

// Look returns holds in the order asked, in any state: the zero hold for one that is missing
// or does not verify.
func (s *Store) Look(ctx context.Context, ids []string) ([]quarantine.Hold, error) {
	found, err := s.g.Rows(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]quarantine.Hold, len(found))
	for i, r := range found {
		out[i] = r.Hold
	}
	return out, nil
}
