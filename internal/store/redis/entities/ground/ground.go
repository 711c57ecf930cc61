// Package ground is what records and blobs in Redis stand on: the connection, the seal of what
// was removed, counters, and the walk over all keys.
package ground

import (
	"context"
	"encoding/binary"
	"log/slog"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/sealed"
	"postern/internal/store/redis/seldom"
)

const (
	// Marked is how long a mark tells that something was removed.
	Marked = 8 * 24 * time.Hour
	// Tries bounds how often a write begins anew when somebody else was quicker.
	Tries = 8
	// Look is how many things are read at once.
	Look = 64
	// Foreign is what a key of another type than ours is taken for.
	Foreign = "?"
)

// sealMark is what marks are sealed as.
const sealMark = "entity-gone"

// Fate is what the store knows of a record or a blob of some birth.
type Fate struct {
	Born    int64 // of what is there; 0 = nothing is
	Version uint64
	Removed int64  // birth of what was removed last
	Print   uint64 // tells what is stored of a record from all else; 0: nothing verified is
}

// Ground is safe for concurrent use.
type Ground struct {
	Conn *conn.Conn
	Ring *sealed.Ring
	Now  func() time.Time
	Log  *slog.Logger

	said seldom.Line
}

// New makes a ground. Now and Log may be nil.
func New(c *conn.Conn, ring *sealed.Ring, now func() time.Time, log *slog.Logger) *Ground {
	if now == nil {
		now = time.Now
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Ground{Conn: c, Ring: ring, Now: now, Log: log, said: seldom.Line{Now: now}}
}

// Say says what should not be, once in a while.
func (g *Ground) Say(text string, args ...any) {
	if g.said.May() {
		g.Log.Error(text, args...)
	}
}

// Mark is what stays for a while of what was removed.
func (g *Ground) Mark(of string, born int64) []byte {
	return g.Ring.Seal(sealMark, of, binary.BigEndian.AppendUint64(nil, uint64(born)))
}

// ReadMark reads a mark; 0 for none and for one that does not verify.
func (g *Ground) ReadMark(of string, stored []byte) int64 {
	text, err := g.Ring.Open(sealMark, of, stored)
	if err != nil || len(text) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(text))
}

// SetMark writes a mark over an older one.
func (g *Ground) SetMark(ctx context.Context, key, of string, old, born int64) error {
	if old >= born {
		return nil
	}
	_, err := g.Conn.Each(ctx, conn.Write, func(p redis.Pipeliner) { p.Set(ctx, key, g.Mark(of, born), Marked) })
	return err
}

// Tally reads a counter of things and of their bytes.
func (g *Ground) Tally(ctx context.Context, key string) (n, bytes int64, err error) {
	var cmd *redis.SliceCmd
	if _, err := g.Conn.Each(ctx, conn.Write, func(p redis.Pipeliner) { cmd = p.HMGet(ctx, key, "n", "b") }); err != nil {
		return 0, 0, err
	}
	var out [2]int64
	for i, v := range cmd.Val() {
		text, _ := v.(string)
		if out[i], err = strconv.ParseInt(text, 10, 64); err != nil {
			out[i] = 0 // never counted, or not by us
		}
	}
	return max(out[0], 0), max(out[1], 0), nil
}

// Count sets a counter.
func (g *Ground) Count(ctx context.Context, key string, n, bytes int64) error {
	_, err := g.Conn.Each(ctx, conn.Background, func(p redis.Pipeliner) { p.HSet(ctx, key, "n", n, "b", bytes) })
	return err
}

// Scan gives all keys that match a pattern to f, many at a time.
func (g *Ground) Scan(ctx context.Context, pattern string, f func(keys []string) error) error {
	return g.Conn.Scan(ctx, pattern, f)
}
