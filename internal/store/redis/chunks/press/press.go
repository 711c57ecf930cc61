// Package press cuts a message into chunks of one zstd stream and puts it together again, in
// little memory whatever its size, and never believes what comes back.
package press

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// ErrDigest says that bytes are not those that their digest names.
var ErrDigest = errors.New("the bytes do not match their digest")

const (
	// Chunk is the size of every chunk but the last.
	Chunk = 64 << 10
	// Batch is how many chunks are sent or fetched at once.
	Batch = 16
	// MaxChunks bounds the chunks of one body: 256 MiB stored.
	MaxChunks = 4096
	window    = 1 << 20
	maxWindow = 8 << 20
)

// Press packs and unpacks bodies. The zero value is ready; it is safe for concurrent use.
type Press struct{ encs, decs sync.Pool }

// Packed is a body that is packed, and verified.
type Packed struct {
	Rest   [][]byte // the chunks that were not sent yet, at most Batch
	Chunks int      // all of them
	Stored int64    // bytes of all of them
	Size   int64    // bytes of the body
}

// Pack reads a body that must hash to sha. Whenever a batch of chunks is full and more comes,
// send gets it; the chunks are send's only until it returns.
func (p *Press) Pack(r io.Reader, sha string, send func(first int, chunks [][]byte) error) (Packed, error) {
	enc, ok := p.encs.Get().(*zstd.Encoder)
	if !ok {
		var err error
		if enc, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true)); err != nil {
			return Packed{}, err
		}
	}
	defer p.encs.Put(enc)
	out := &cutter{send: send}
	enc.Reset(out)
	sum := sha256.New()
	size, err := io.Copy(enc, io.TeeReader(r, sum))
	if err != nil {
		return out.packed(), errors.Join(err, enc.Close())
	}
	if err := enc.Close(); err != nil {
		return out.packed(), err
	}
	if hex.EncodeToString(sum.Sum(nil)) != sha {
		return out.packed(), ErrDigest
	}
	packed := out.packed()
	packed.Size = size
	return packed, nil
}

// Verify reads a body that must hash to sha.
func Verify(r io.Reader, sha string) error {
	sum := sha256.New()
	if _, err := io.Copy(sum, r); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != sha {
		return ErrDigest
	}
	return nil
}

// cutter cuts what is written to it into chunks.
type cutter struct {
	send   func(first int, chunks [][]byte) error
	full   [][]byte
	sent   int
	stored int64
}

func (c *cutter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if len(c.full) == 0 || len(c.full[len(c.full)-1]) == Chunk {
			if err := c.next(); err != nil {
				return 0, err
			}
		}
		last := &c.full[len(c.full)-1]
		part := p[:min(len(p), Chunk-len(*last))]
		*last = append(*last, part...)
		p = p[len(part):]
		c.stored += int64(len(part))
	}
	return n, nil
}

// next begins a chunk, and sends those before it when they are a batch.
func (c *cutter) next() error {
	if len(c.full) == Batch {
		if c.sent+2*Batch > MaxChunks {
			return fmt.Errorf("a body of more than %d chunks", MaxChunks-Batch)
		}
		if err := c.send(c.sent, c.full); err != nil {
			return err
		}
		c.sent += Batch
		c.full = c.full[:0]
	}
	if len(c.full) < cap(c.full) { // the memory of a chunk that was sent
		c.full = c.full[:len(c.full)+1]
		c.full[len(c.full)-1] = c.full[len(c.full)-1][:0]
		return nil
	}
	c.full = append(c.full, nil)
	return nil
}

func (c *cutter) packed() Packed {
	return Packed{Rest: c.full, Chunks: c.sent + len(c.full), Stored: c.stored}
}

// Wanted is a body to unpack.
type Wanted struct {
	SHA    string
	Size   int64 // what it unpacks to: more is not read
	Chunks int
	// Fetch returns count chunks from number first on; one that is missing is empty.
	Fetch func(first, count int) ([][]byte, error)
}

// Open unpacks a body. Reading gives ErrDigest, in place of io.EOF at the latest, for what is
// not the body; errors of Fetch are given as they are.
func (p *Press) Open(w Wanted) (io.ReadCloser, error) {
	dec, ok := p.decs.Get().(*zstd.Decoder)
	if !ok {
		var err error
		if dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true)); err != nil {
			return nil, err
		}
	}
	src := &chunks{Wanted: w}
	if err := dec.Reset(src); err != nil && src.err == nil {
		src.err = fmt.Errorf("%w: %w", ErrDigest, err)
	}
	return &reader{press: p, src: src, dec: dec, sum: sha256.New(), left: w.Size}, nil
}

// chunks reads the stored stream.
type chunks struct {
	Wanted
	buf  bytes.Reader
	have [][]byte
	next int
	err  error // of Fetch, or what is wrong with a chunk
}

func (c *chunks) Read(b []byte) (int, error) {
	for c.buf.Len() == 0 {
		if c.err != nil {
			return 0, c.err
		}
		if len(c.have) == 0 {
			if c.next >= c.Chunks || c.Chunks > MaxChunks {
				return 0, io.EOF
			}
			if c.err = c.fetch(); c.err != nil {
				return 0, c.err
			}
		}
		c.buf.Reset(c.have[0])
		c.have = c.have[1:]
	}
	return c.buf.Read(b)
}

func (c *chunks) fetch() error {
	count := min(Batch, c.Chunks-c.next)
	have, err := c.Fetch(c.next, count)
	if err != nil {
		return err
	}
	if len(have) != count {
		return fmt.Errorf("%w: %d of %d chunks", ErrDigest, len(have), count)
	}
	for i, chunk := range have {
		if n := c.next + i; len(chunk) == 0 || len(chunk) > Chunk || n < c.Chunks-1 && len(chunk) < Chunk {
			return fmt.Errorf("%w: chunk %d has %d bytes", ErrDigest, n, len(chunk))
		}
	}
	c.have, c.next = have, c.next+count
	return nil
}

// reader unpacks and verifies at the end.
type reader struct {
	press *Press
	src   *chunks
	dec   *zstd.Decoder
	sum   hash.Hash
	left  int64
	err   error
}

// Read implements io.Reader.
func (r *reader) Read(b []byte) (int, error) {
	if r.dec == nil {
		return 0, io.ErrClosedPipe
	}
	if r.err != nil {
		return 0, r.err
	}
	if int64(len(b)) > r.left+1 {
		b = b[:r.left+1] // one more than there should be, to see its end
	}
	n, err := r.dec.Read(b)
	r.sum.Write(b[:n])
	r.left -= int64(n)
	switch {
	case r.left < 0:
		n--
		r.err = fmt.Errorf("%w: it is larger than it was", ErrDigest)
	case err == nil:
	case r.src.err != nil:
		r.err = r.src.err
	case !errors.Is(err, io.EOF):
		r.err = fmt.Errorf("%w: %w", ErrDigest, err)
	case hex.EncodeToString(r.sum.Sum(nil)) != r.src.SHA:
		r.err = ErrDigest
	default:
		r.err = io.EOF
	}
	return n, r.err
}

// Close gives the memory back. A second call does nothing.
func (r *reader) Close() error {
	if r.dec == nil {
		return nil
	}
	if r.dec.Reset(nil) == nil {
		r.press.decs.Put(r.dec)
	}
	r.dec = nil
	return nil
}
