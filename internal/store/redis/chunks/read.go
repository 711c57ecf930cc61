package chunks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"

	"github.com/klauspost/compress/zstd"
	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/quarantine"
)

// Open reads a body a batch of pieces at a time. In place of io.EOF the reader gives
// quarantine.ErrCorrupt when what was read is not what was stored, so nothing of it may be used
// before its end.
func (c *Chunks) Open(ctx context.Context, base string, b Body) (io.ReadCloser, error) {
	dec, ok := c.decs.Get().(*zstd.Decoder)
	if !ok {
		var err error
		dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
	}
	if err := dec.Reset(&source{ctx: ctx, conn: c.conn, base: base, chunks: b.Chunks}); err != nil {
		return nil, err
	}
	return &reader{chunks: c, dec: dec, body: b, hash: sha256.New()}, nil
}

// reader decompresses a body and verifies it at its end.
type reader struct {
	chunks *Chunks
	dec    *zstd.Decoder
	body   Body
	hash   hash.Hash
	n      int64
	err    error
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if r.dec == nil {
		return 0, fs.ErrClosed
	}
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.dec.Read(p)
	r.hash.Write(p[:n])
	r.n += int64(n)
	switch {
	case r.n > r.body.Size: // no stream, however well packed, fills more than was written
		n, r.err = 0, fmt.Errorf("%w: more than %d bytes", quarantine.ErrCorrupt, r.body.Size)
	case err == nil:
	case errors.Is(err, io.EOF):
		r.err = io.EOF
		if hex.EncodeToString(r.hash.Sum(nil)) != r.body.SHA256 {
			r.err = fmt.Errorf("%w: the body does not hash to %s", quarantine.ErrCorrupt, r.body.SHA256)
		}
	case errors.Is(err, conn.ErrAway), errors.Is(err, quarantine.ErrCorrupt), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		r.err = err
	default:
		r.err = fmt.Errorf("%w: %w", quarantine.ErrCorrupt, err)
	}
	return n, r.err
}

// Close gives the decoder back. A second call does nothing.
func (r *reader) Close() error {
	if r.dec == nil {
		return nil
	}
	if err := r.dec.Reset(nil); err == nil {
		r.chunks.decs.Put(r.dec)
	}
	r.dec = nil
	return nil
}

// source is the compressed stream.
type source struct {
	ctx    context.Context //nolint:containedctx // of one call of Open
	conn   *conn.Conn
	base   string
	chunks int
	next   int
	got    bytes.Buffer
}

func (s *source) Read(p []byte) (int, error) {
	if s.got.Len() == 0 {
		if s.next >= s.chunks {
			return 0, io.EOF
		}
		if err := s.fetch(); err != nil {
			return 0, err
		}
	}
	return s.got.Read(p)
}

// fetch reads the next batch.
func (s *source) fetch() error {
	n := min(batch, s.chunks-s.next)
	cmds := make([]*redis.StringCmd, n)
	if _, err := s.conn.Pipe(s.ctx, conn.Write, func(p redis.Pipeliner) {
		for i := range cmds {
			cmds[i] = p.Get(s.ctx, key(s.base, s.next+i))
		}
	}); err != nil {
		return err
	}
	s.got.Reset()
	for i, cmd := range cmds {
		piece, err := cmd.Bytes()
		if err != nil || len(piece) == 0 || len(piece) > Size {
			return fmt.Errorf("%w: piece %d of %d is not there", quarantine.ErrCorrupt, s.next+i, s.chunks)
		}
		s.got.Write(piece)
	}
	s.next += n
	return nil
}
