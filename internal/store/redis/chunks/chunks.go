// Package chunks keeps message bodies in Redis: one zstd stream each, cut into pieces that stand
// under keys of one hash slot. The pieces are written with a time to live and made lasting by
// the script that commits the record they belong to, so that what a crash leaves half written
// goes away by itself.
package chunks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/chunks/press"
	"postern/internal/store/redis/conn"
	"postern/quarantine"
)

const (
	// Size is the length of every piece but the last.
	Size = press.Chunk
	// Unsettled is how long pieces live that nobody commits.
	Unsettled = time.Hour
)

// Keep is for the front of a committing script: keep(n) makes the pieces at KEYS[n] and after
// lasting. It returns false, and has done nothing, when one is not there.
const Keep = `
local function keep(first)
  for i = first, #KEYS do
    if redis.call('EXISTS', KEYS[i]) == 0 then return false end
  end
  for i = first, #KEYS do redis.call('PERSIST', KEYS[i]) end
  return true
end
`

// Body is what its owner must remember of a stored body.
type Body struct {
	SHA256 string `json:"sha256"` // hex
	Size   int64  `json:"size"`
	Chunks int    `json:"chunks"`
	Stored int64  `json:"stored"` // bytes in the store
}

// Keys are the keys of the pieces. The hash tag is the base's.
func (b Body) Keys(base string) []string {
	keys := make([]string, b.Chunks)
	for i := range keys {
		keys[i] = key(base, i)
	}
	return keys
}

func key(base string, i int) string { return base + ":" + strconv.Itoa(i) }

// Chunks reads and writes bodies. It is safe for concurrent use.
type Chunks struct {
	conn  *conn.Conn
	press press.Press
}

// New makes a room for bodies at a connection.
func New(c *conn.Conn) *Chunks { return &Chunks{conn: c} }

// Write stores a body, read once, under base, in memory that does not grow with it. Commit
// queues what makes it lasting: the last pieces go in the same pipeline in front of it, which
// for small bodies is all of them. A body that does not hash to sha is quarantine.ErrCorrupt
// and is not committed. Base is nobody else's: two writers under one base would mix.
func (c *Chunks) Write(ctx context.Context, base, sha string, body io.Reader, commit func(p redis.Pipeliner, b Body)) (Body, error) {
	sent := 0
	queue := func(p redis.Pipeliner, pieces [][]byte) {
		for i, piece := range pieces {
			p.Set(ctx, key(base, sent+i), piece, Unsettled)
		}
	}
	packed, err := c.press.Pack(body, sha, func(first int, pieces [][]byte) error {
		sent = first
		_, err := c.conn.Pipe(ctx, conn.Write, func(p redis.Pipeliner) { queue(p, pieces) })
		sent += len(pieces)
		return err
	})
	if err != nil {
		c.Drop(ctx, base, Body{Chunks: sent})
		return Body{}, corrupt(err)
	}
	out := Body{SHA256: sha, Size: packed.Size, Chunks: packed.Chunks, Stored: packed.Stored}
	_, err = c.conn.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		queue(p, packed.Rest)
		commit(p, out)
	})
	return out, err // nothing is dropped: a commit without an answer may have been done
}

// corrupt says quarantine.ErrCorrupt of bytes that are not what their digest names.
func corrupt(err error) error {
	if errors.Is(err, press.ErrDigest) {
		return fmt.Errorf("%w: %w", quarantine.ErrCorrupt, err)
	}
	return err
}

// Drop removes the pieces of a body that was not committed. What it cannot remove goes away by
// itself.
func (c *Chunks) Drop(ctx context.Context, base string, b Body) {
	if b.Chunks == 0 {
		return
	}
	_, _ = c.conn.Pipe(context.WithoutCancel(ctx), conn.Background, func(p redis.Pipeliner) { p.Unlink(ctx, b.Keys(base)...) })
}

// Open reads a body a batch of pieces at a time. In place of io.EOF the reader gives
// quarantine.ErrCorrupt when what was read is not what was stored, so nothing of it may be used
// before its end.
func (c *Chunks) Open(ctx context.Context, base string, b Body) (io.ReadCloser, error) {
	r, err := c.press.Open(press.Wanted{SHA: b.SHA256, Size: b.Size, Chunks: b.Chunks, Fetch: func(first, count int) ([][]byte, error) {
		return c.fetch(ctx, base, first, count)
	}})
	if err != nil {
		return nil, err
	}
	return &reader{r}, nil
}

// fetch reads pieces; one that is missing is empty.
func (c *Chunks) fetch(ctx context.Context, base string, first, count int) ([][]byte, error) {
	cmds := make([]*redis.StringCmd, count)
	if _, err := c.conn.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for i := range cmds {
			cmds[i] = p.Get(ctx, key(base, first+i))
		}
	}); err != nil {
		return nil, err
	}
	out := make([][]byte, count)
	for i, cmd := range cmds {
		out[i] = []byte(cmd.Val())
	}
	return out, nil
}

// reader says corrupt where a body is not what was stored.
type reader struct{ io.ReadCloser }

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	return n, corrupt(err)
}
