// Package ground is what all rooms of held mail in Redis stand on: where things lie, how they
// are read and verified, bodies, indexes and counts.
package ground

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/chunks/press"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/record"
	"postern/quarantine"
)

// Caps bound the stored bytes of bodies; 0 = none. Evidence copies count by themselves.
type Caps struct{ Holds, Evidence int64 }

// Ground is the store below. It is safe for concurrent use.
type Ground struct {
	Conn   *conn.Conn
	Now    func() time.Time
	Log    *slog.Logger
	Scribe *record.Scribe
	Counts counts
	caps   Caps
	press  press.Press

	mu   sync.Mutex
	said map[string]time.Time
}

// New makes a Ground. Nothing is asked of the server yet.
func New(c *conn.Conn, scribe *record.Scribe, now func() time.Time, log *slog.Logger, caps Caps) *Ground {
	return &Ground{Conn: c, Now: now, Log: log, Scribe: scribe, caps: caps, said: map[string]time.Time{}}
}

// Row is one hold as it lies in the store.
type Row struct {
	ID      record.ID
	Fixed   string // the sealed record, "" when missing
	State   string // the sealed state
	Body    string // reference to the body
	Good    bool   // both verify
	Hold    quarantine.Hold
	Invalid bool // something is there and is not a hold of ours
}

// Missing reports whether nothing at all is there.
func (r Row) Missing() bool { return !r.Good && !r.Invalid }

// HoldKey is the key of a hold.
func (g *Ground) HoldKey(id record.ID) string {
	return g.Conn.Key("{"+id.Message+"}", "h", id.Number)
}

// IndexKey is the key of an index.
func (g *Ground) IndexKey(name string) string { return g.Conn.Key("ix", name) }

// KeyKey is where the hold is named that a retry of the same mail is.
func (g *Ground) KeyKey(key string) string { return g.Conn.Key("k", conn.Hash(key)) }

// Pipe is conn.Each that says where a key is of the wrong type.
func (g *Ground) Pipe(ctx context.Context, kind conn.Kind, queue func(p redis.Pipeliner)) error {
	cmds, err := g.Conn.Each(ctx, kind, queue)
	for _, cmd := range cmds {
		if WrongType(cmd.Err()) {
			g.Say("a key of ours holds what we did not write", "key", keyOf(cmd))
		}
	}
	return err
}

// WrongType is conn.WrongType.
func WrongType(err error) bool { return conn.WrongType(err) }

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

// Say writes an alert, each at most once in a while.
func (g *Ground) Say(what string, args ...any) {
	now := g.Now()
	g.mu.Lock()
	last, ok := g.said[what]
	quiet := ok && now.Sub(last) < sayEvery && !now.Before(last)
	if !quiet {
		g.said[what] = now
	}
	g.mu.Unlock()
	if !quiet {
		g.Log.Error(what, args...)
	}
}

// QueueRow asks for a hold; readRow reads the answer.
func (g *Ground) QueueRow(ctx context.Context, p redis.Pipeliner, id record.ID) *redis.SliceCmd {
	return p.HMGet(ctx, g.HoldKey(id), "r", "s", "b")
}

func (g *Ground) ReadRow(id record.ID, cmd *redis.SliceCmd) Row {
	out := Row{ID: id}
	fields := cmd.Val()
	if cmd.Err() != nil || len(fields) != 3 {
		out.Invalid = cmd.Err() != nil
		return out
	}
	out.Fixed, _ = fields[0].(string)
	out.State, _ = fields[1].(string)
	out.Body, _ = fields[2].(string)
	if out.Fixed == "" && out.State == "" {
		out.Invalid = out.Body != ""
		return out
	}
	var err error
	if out.Hold, err = g.Scribe.Read(id.String(), []byte(out.Fixed), []byte(out.State)); err != nil {
		out.Invalid = true
		g.Say("a hold of the store does not verify and is left alone", "hold", id.String(), "error", err)
		return out
	}
	out.Good = true
	return out
}

// MaxRows is how many holds are read in one round trip.
const MaxRows = 1000

// Rows reads holds in the order asked. IDs that are none of ours are missing.
func (g *Ground) Rows(ctx context.Context, ids []string) ([]Row, error) {
	out := make([]Row, len(ids))
	for first := 0; first < len(ids); first += MaxRows {
		part := ids[first:min(first+MaxRows, len(ids))]
		cmds := make([]*redis.SliceCmd, len(part))
		err := g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
			for i, text := range part {
				if id, ok := record.ParseID(text); ok {
					out[first+i].ID = id
					cmds[i] = g.QueueRow(ctx, p, id)
				}
			}
		})
		if err != nil {
			return nil, err
		}
		for i, cmd := range cmds {
			if cmd != nil {
				out[first+i] = g.ReadRow(out[first+i].ID, cmd)
			}
		}
	}
	return out, nil
}

// Row reads a hold; ErrNotFound when it is missing or does not verify.
func (g *Ground) Row(ctx context.Context, id string) (Row, error) {
	found, err := g.Rows(ctx, []string{id})
	if err != nil {
		return Row{}, err
	}
	if !found[0].Good {
		return found[0], fmt.Errorf("%w: %.100q", quarantine.ErrNotFound, id)
	}
	return found[0], nil
}

// Tries bounds how often something is begun again because others changed it meanwhile.
const Tries = 5

// Seal writes both halves of a hold; before is the state it had, "" for none.
func (g *Ground) Seal(h quarantine.Hold, before string) (fixed, state []byte, err error) {
	if fixed, err = g.Scribe.Fixed(h); err == nil {
		state, err = g.Scribe.State(h, []byte(before))
	}
	return fixed, state, err
}

// Flag is a truth for a script.
func Flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
