// Package chunks keeps message bodies in Redis: one zstd stream each, cut into pieces that stand
// under keys of one hash slot. The pieces are written with a time to live and made lasting by
// the script that commits the record they belong to, so that what a crash leaves half written
// goes away by itself.
package chunks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/quarantine"
)

const (
	// Size is the length of every piece but the last.
	Size = 64 << 10
	// Unsettled is how long pieces live that nobody commits.
	Unsettled = time.Hour

	batch     = 8       // pieces in one round trip
	maxWindow = 8 << 20 // bounds what decoding one body may allocate
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
	conn *conn.Conn
	encs sync.Pool
	decs sync.Pool
}

// New makes a room for bodies at a connection.
func New(c *conn.Conn) *Chunks { return &Chunks{conn: c} }

// Write stores a body, read once, under base, in memory that does not grow with it. Commit
// queues what makes it lasting: the last pieces go in the same pipeline in front of it, which
// for small bodies is all of them. A body that does not hash to sha is quarantine.ErrCorrupt
// and is not committed. Base is nobody else's: two writers under one base would mix.
func (c *Chunks) Write(ctx context.Context, base, sha string, body io.Reader, commit func(p redis.Pipeliner, b Body)) (Body, error) {
	w := &writer{ctx: ctx, conn: c.conn, base: base}
	size, err := c.compress(w, sha, body)
	if err != nil {
		c.Drop(ctx, base, Body{Chunks: w.next})
		return Body{}, err
	}
	out := Body{SHA256: sha, Size: size, Chunks: w.count(), Stored: w.sent + int64(len(w.buf))}
	_, err = c.conn.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		w.queue(p, len(w.buf))
		commit(p, out)
	})
	return out, err // nothing is dropped: a commit without an answer may have been done
}

func (c *Chunks) compress(w io.Writer, sha string, body io.Reader) (int64, error) {
	enc, err := c.encoder()
	if err != nil {
		return 0, err
	}
	defer c.encs.Put(enc)
	enc.Reset(w)
	h := sha256.New()
	n, err := io.Copy(enc, io.TeeReader(body, h))
	if cerr := enc.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return 0, err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != sha {
		return 0, fmt.Errorf("%w: the body hashes to %s, not %.70q", quarantine.ErrCorrupt, got, sha)
	}
	return n, nil
}

// Drop removes the pieces of a body that was not committed. What it cannot remove goes away by
// itself.
func (c *Chunks) Drop(ctx context.Context, base string, b Body) {
	if b.Chunks == 0 {
		return
	}
	_, _ = c.conn.Pipe(context.WithoutCancel(ctx), conn.Background, func(p redis.Pipeliner) { p.Unlink(ctx, b.Keys(base)...) })
}

func (c *Chunks) encoder() (*zstd.Encoder, error) {
	if e, ok := c.encs.Get().(*zstd.Encoder); ok {
		return e, nil
	}
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
}

// writer cuts what it is given into pieces and sends them a batch at a time; what is left in
// buf is at most one batch.
type writer struct {
	ctx  context.Context //nolint:containedctx // of one call of Write
	conn *conn.Conn
	base string
	buf  []byte
	next int // number of the next piece
	sent int64
}

func (w *writer) Write(p []byte) (int, error) {
	w.buf = append(w.buf, p...)
	for len(w.buf) > batch*Size {
		if _, err := w.conn.Pipe(w.ctx, conn.Write, func(p redis.Pipeliner) { w.queue(p, batch*Size) }); err != nil {
			return 0, err
		}
		w.buf = append(w.buf[:0], w.buf[batch*Size:]...)
		w.sent += batch * Size
	}
	return len(p), nil
}

// queue queues the first n bytes of buf.
func (w *writer) queue(p redis.Pipeliner, n int) {
	for off := 0; off < n; off += Size {
		p.Set(w.ctx, key(w.base, w.next), w.buf[off:min(off+Size, n)], Unsettled)
		w.next++
	}
}

// count is the number of pieces with those in buf.
func (w *writer) count() int { return w.next + (len(w.buf)+Size-1)/Size }
