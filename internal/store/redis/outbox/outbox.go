// Package outbox keeps what several gateways still owe in Redis.
//
// An entry is one hash under P:{o:ID}:e, with its body beside it in the same slot. What was
// added never changes (r); what a try changes is written anew (s); both are sealed. Plain fields
// are for the scripts: v counts changes and is the fencing token of a claim, l is the end of the
// claim by the claimant's clock, u the same by the server's, n who claimed, t which claim, c that
// a claim was taken away. The indexes are written after the entry and are believed only as far as
// the entry says the same.
package outbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/filter"
	relayoutbox "postern/internal/relay/outbox"
	"postern/internal/spool"
	"postern/internal/store/redis/chunks"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/sealed"
	"postern/quarantine"
)

// Options are what a Store is made of. Conn, Ring, Node and Spool are needed.
type Options struct {
	Conn  *conn.Conn
	Ring  *sealed.Ring
	Node  string // who claims; no two running processes have the same
	Now   func() time.Time
	Log   *slog.Logger
	Write func() int   // the format to write, 1 or 2; nil: 1
	Cap   int64        // bytes of all entries; 0: no cap
	Spool *spool.Spool // bodies are unpacked into it
	// Shared is the clock by which leases end for all nodes; nil: that of the server.
	Shared func() time.Time
}

// Store implements outbox.Store for several nodes. Leases are honoured until they have run out by
// the server's clock and by that of the node that wants the entry: a clock that is ahead takes
// nothing away from anybody.
type Store struct {
	Options
	bodies *chunks.Chunks
	self   string // the node, and which life of it: a claim of an earlier one is nobody's

	mu       sync.Mutex
	bad      map[string]bool // entries that do not verify, and were said
	said     time.Time
	unlisted map[string]bool // entries that are written and may be missing in the indexes
}

// New makes a store.
func New(o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Write == nil {
		o.Write = func() int { return 1 }
	}
	return &Store{Options: o, bodies: chunks.New(o.Conn), self: o.Node + " " + rand.Text(), bad: map[string]bool{}, unlisted: map[string]bool{}}
}

// wellFormed are the IDs that can be part of a key.
var wellFormed = regexp.MustCompile(`^[0-9A-Za-z._-]{1,64}$`)

func (s *Store) entity(id string) string         { return s.Conn.Key("{o:"+id+"}", "e") }
func (s *Store) bodyKey(id, nonce string) string { return s.Conn.Key("{o:"+id+"}", "b", nonce) }

// shared is the argument of scripts that says what time it is for leases; "": ask the server.
func (s *Store) shared() any {
	if s.Shared == nil {
		return ""
	}
	return s.Shared().UnixMilli()
}

// Add implements outbox.Store. The error is quarantine.ErrFull when the cap is reached.
func (s *Store) Add(ctx context.Context, e relayoutbox.Entry, body io.Reader) (string, error) {
	if e.ID == "" {
		id, err := filter.NewID(s.Now(), rand.Reader)
		if err != nil {
			return "", err
		}
		e.ID = id
	}
	if !wellFormed.MatchString(e.ID) {
		return "", fmt.Errorf("outbox entry: %.70q is no ID", e.ID)
	}
	if err := s.room(ctx, e.Size); err != nil {
		return "", err
	}
	e.Version = 1
	if err := s.put(ctx, e, "", body); err != nil {
		return "", err
	}
	return e.ID, nil
}

// room returns an error when size more bytes would not fit under the cap.
func (s *Store) room(ctx context.Context, size int64) error {
	if s.Cap <= 0 {
		return nil
	}
	_, used, err := s.Estimate(ctx)
	if err == nil && used+size > s.Cap {
		err = fmt.Errorf("%w: the outbox has %d of %d bytes", quarantine.ErrFull, used, s.Cap)
	}
	return err
}

// put writes an entry as it is, and its body. Seen is the version that may be written over
// although it is not lower.
func (s *Store) put(ctx context.Context, e relayoutbox.Entry, seen string, body io.Reader) error {
	nonce := rand.Text()
	base := s.bodyKey(e.ID, nonce)
	first, err := s.sealState(e, nil)
	if err != nil {
		return err
	}
	var record []byte
	var rerr error
	done := &redis.Cmd{}
	b, err := s.bodies.Write(ctx, base, e.SHA256, body, func(p redis.Pipeliner, b chunks.Body) {
		if record, rerr = s.sealFixed(e, nonce, b); rerr == nil {
			done = commit.Run(ctx, p, append([]string{s.entity(e.ID)}, b.Keys(base)...), e.Version, record, first, seen)
		}
	})
	if err == nil && rerr == nil && conn.Refused(done.Err()) == "" {
		err = wasDone(done)
	}
	if err = errors.Join(err, rerr); err != nil {
		if record != nil { // it may have been written all the same
			s.listLater(e.ID)
		}
		return fmt.Errorf("outbox entry %s: %w", e.ID, err)
	}
	switch conn.Refused(done.Err()) {
	case "":
		s.list(ctx, e.ID, e.Next, b.Stored+int64(len(record)+len(first)))
		return nil
	case "taken":
		err = errTaken
	default:
		err = errVanished
	}
	s.bodies.Drop(ctx, base, b)
	return fmt.Errorf("outbox entry %s: %w", e.ID, err)
}

// wasDone is nil when a script said that it did what it is for.
func wasDone(cmd *redis.Cmd) error {
	if n, err := cmd.Int64(); err != nil || n != 1 {
		return fmt.Errorf("%w: it answered something else", conn.ErrAway)
	}
	return nil
}

var (
	errTaken    = errors.New("the ID is taken")
	errVanished = errors.New("the body went away while it was written")
)

// Push writes an entry as it is where nothing, nothing that verifies or a lower version is
// stored. A claim on what it replaces is void.
func (s *Store) Push(ctx context.Context, e relayoutbox.Entry, body func() (io.ReadCloser, error)) error {
	if !wellFormed.MatchString(e.ID) || e.Version < 1 {
		return fmt.Errorf("outbox entry: version %d of %.70q cannot be written", e.Version, e.ID)
	}
	found, err := s.read(ctx, []string{e.ID})
	if err != nil {
		return err
	}
	old, seen := found[0], ""
	switch {
	case old.ok && old.entry.Version >= e.Version:
		return nil
	case !old.ok:
		seen = old.version
	}
	r, err := body()
	if err != nil {
		return fmt.Errorf("outbox entry %s: %w", e.ID, err)
	}
	defer r.Close()
	err = s.put(ctx, e, seen, r)
	if errors.Is(err, errTaken) {
		return nil // somebody else pushed it meanwhile
	}
	if err != nil {
		return err
	}
	s.forgive(e.ID)
	if old.ok {
		s.bodies.Drop(ctx, s.bodyKey(e.ID, old.fixed.Nonce), old.fixed.Body)
	}
	return nil
}

// Void ends the claims that earlier processes of a node left behind, so that nobody waits until
// their leases have run out; those of this one stand. It is for the start of the node, when no
// such process runs any more. Their entries are claimed as crashed. It returns how many there were.
func (s *Store) Void(ctx context.Context, node string) (n int, err error) {
	err = s.each(ctx, func(page []stored) error {
		for _, it := range page {
			if name, _, _ := strings.Cut(it.node, " "); !it.ok || it.lease == 0 || name != node || it.node == s.self {
				continue
			}
			_, err := s.change(ctx, void, it, it.node)
			if errors.Is(err, relayoutbox.ErrLost) {
				continue // given back or taken by somebody else meanwhile
			}
			if err != nil {
				return err
			}
			n++
			s.move(ctx, it.id, it.entry.Next.UnixMilli())
		}
		return nil
	})
	return n, err
}
