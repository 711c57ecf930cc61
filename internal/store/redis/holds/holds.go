// Package holds keeps held mail in Redis. A hold lies under one key with its sealed record and
// state; all holds of a message share a hash slot, and with it the body. Indexes lie elsewhere:
// they are derived from the records, written beside them, and verified whenever they are read.
package holds

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/body"
	"postern/internal/store/redis/holds/record"
	"postern/internal/store/redis/sealed"
	"postern/quarantine"
)

// Caps bound the stored bytes of bodies; 0 = none. Evidence copies count by themselves.
type Caps struct{ Holds, Evidence int64 }

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
	conn   *conn.Conn
	now    func() time.Time
	log    *slog.Logger
	caps   Caps
	scribe *record.Scribe
	press  body.Press
	counts counts
	recent recent

	mu   sync.Mutex
	said map[string]time.Time
}

// New makes a Store. Nothing is asked of the server yet.
func New(o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Store{
		conn: o.Conn, now: o.Now, log: o.Log, caps: o.Caps, scribe: record.NewScribe(o.Ring, o.Write),
		recent: recent{rows: map[string]row{}}, said: map[string]time.Time{},
	}
}

// row is one hold as it lies in the store.
type row struct {
	id      record.ID
	fixed   string // the sealed record, "" when missing
	state   string // the sealed state
	body    string // reference to the body
	good    bool   // both verify
	hold    quarantine.Hold
	invalid bool // something is there and is not a hold of ours
}

// missing reports whether nothing at all is there.
func (r row) missing() bool { return !r.good && !r.invalid }

func (s *Store) holdKey(id record.ID) string {
	return s.conn.Key("{"+id.Message+"}", "h", id.Number)
}

func (s *Store) indexKey(name string) string { return s.conn.Key("ix", name) }

func (s *Store) keyKey(key string) string { return s.conn.Key("k", conn.Hash(key)) }

// pipe is conn.Pipe that leaves a key of the wrong type to who reads it: somebody else's data
// under one of our names must not keep us from all others.
func (s *Store) pipe(ctx context.Context, kind conn.Kind, queue func(p redis.Pipeliner)) error {
	var cmds []redis.Cmder
	err := s.conn.Do(ctx, kind, func(ctx context.Context, r redis.UniversalClient) error {
		p := r.Pipeline()
		queue(p)
		if p.Len() == 0 {
			return nil
		}
		var err error
		if cmds, err = p.Exec(ctx); err == nil {
			return nil
		}
		for _, cmd := range cmds {
			if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) && conn.Refused(err) == "" && !wrongType(err) {
				return err
			}
		}
		return nil
	})
	for _, cmd := range cmds {
		if wrongType(cmd.Err()) {
			s.say("a key of ours holds what we did not write", "key", keyOf(cmd))
		}
	}
	return err
}

func wrongType(err error) bool { return err != nil && strings.Contains(err.Error(), "WRONGTYPE") }

// keyOf is the first key of a command.
func keyOf(cmd redis.Cmder) string {
	at := 1
	if cmd.Name() == "eval" {
		at = 3
	}
	if args := cmd.Args(); len(args) > at {
		return fmt.Sprintf("%.200v", args[at])
	}
	return ""
}

// sayEvery is how often the same thing is said.
const sayEvery = time.Minute

// say writes an alert, each at most once in a while.
func (s *Store) say(what string, args ...any) {
	now := s.now()
	s.mu.Lock()
	last, ok := s.said[what]
	quiet := ok && now.Sub(last) < sayEvery && !now.Before(last)
	if !quiet {
		s.said[what] = now
	}
	s.mu.Unlock()
	if !quiet {
		s.log.Error(what, args...)
	}
}

// queueRow asks for a hold; readRow reads the answer.
func (s *Store) queueRow(ctx context.Context, p redis.Pipeliner, id record.ID) *redis.SliceCmd {
	return p.HMGet(ctx, s.holdKey(id), "r", "s", "b")
}

func (s *Store) readRow(id record.ID, cmd *redis.SliceCmd) row {
	out := row{id: id}
	fields := cmd.Val()
	if cmd.Err() != nil || len(fields) != 3 {
		out.invalid = cmd.Err() != nil
		return out
	}
	out.fixed, _ = fields[0].(string)
	out.state, _ = fields[1].(string)
	out.body, _ = fields[2].(string)
	if out.fixed == "" && out.state == "" {
		out.invalid = out.body != ""
		return out
	}
	var err error
	if out.hold, err = s.scribe.Read(id.String(), []byte(out.fixed), []byte(out.state)); err != nil {
		out.invalid = true
		s.say("a hold of the store does not verify and is left alone", "hold", id.String(), "error", err)
		return out
	}
	out.good = true
	return out
}

// maxRows is how many holds are read in one round trip.
const maxRows = 1000

// rows reads holds in the order asked. IDs that are none of ours are missing.
func (s *Store) rows(ctx context.Context, ids []string) ([]row, error) {
	out := make([]row, len(ids))
	for first := 0; first < len(ids); first += maxRows {
		part := ids[first:min(first+maxRows, len(ids))]
		cmds := make([]*redis.SliceCmd, len(part))
		err := s.pipe(ctx, conn.Write, func(p redis.Pipeliner) {
			for i, text := range part {
				if id, ok := record.ParseID(text); ok {
					out[first+i].id = id
					cmds[i] = s.queueRow(ctx, p, id)
				}
			}
		})
		if err != nil {
			return nil, err
		}
		for i, cmd := range cmds {
			if cmd != nil {
				out[first+i] = s.readRow(out[first+i].id, cmd)
			}
		}
	}
	return out, nil
}

func (s *Store) row(ctx context.Context, id string) (row, error) {
	found, err := s.rows(ctx, []string{id})
	if err != nil {
		return row{}, err
	}
	if !found[0].good {
		return found[0], fmt.Errorf("%w: %.100q", quarantine.ErrNotFound, id)
	}
	return found[0], nil
}

// Get implements quarantine.Store.
func (s *Store) Get(ctx context.Context, id string) (quarantine.Hold, error) {
	r, err := s.row(ctx, id)
	return r.hold, err
}

// Look returns holds in the order asked, in any state: the zero Hold for one that is missing
// or does not verify.
func (s *Store) Look(ctx context.Context, ids []string) ([]quarantine.Hold, error) {
	found, err := s.rows(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]quarantine.Hold, len(found))
	for i, r := range found {
		out[i] = r.hold
	}
	return out, nil
}
