package segment

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"hash/crc32"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

const (
	// Temp is in front of the names of files that no longer mean anything after a crash.
	Temp = "body-"
	// InMemory is how much of a compressed body is kept in memory until it is written.
	InMemory = 1 << 20
	// maxWindow bounds what decoding one body may allocate.
	maxWindow = 64 << 20
)

// Coders are compressors and their opposite, used again.
type Coders struct{ encs, decs sync.Pool }

func (c *Coders) encoder() (*zstd.Encoder, error) {
	if e, ok := c.encs.Get().(*zstd.Encoder); ok {
		return e, nil
	}
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true), zstd.WithZeroFrames(true))
}

func (c *Coders) decoder() (*zstd.Decoder, error) {
	if d, ok := c.decs.Get().(*zstd.Decoder); ok {
		return d, nil
	}
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
}

// Packed is a compressed body on its way into a segment: in memory, or in a file that has no
// name a crash would leave for long.
type Packed struct {
	mem  bytes.Buffer
	file File
	n    int64
	sum  uint32
	disk Disk
	dir  string
}

// Write implements io.Writer.
func (p *Packed) Write(b []byte) (int, error) {
	if p.file == nil && p.n+int64(len(b)) > InMemory {
		f, err := p.disk.CreateTemp(p.dir, Temp+"*")
		if err != nil {
			return 0, err
		}
		p.file = f
		if _, err := f.Write(p.mem.Bytes()); err != nil {
			return 0, err
		}
		p.mem = bytes.Buffer{}
	}
	var n int
	var err error
	if p.file != nil {
		n, err = p.file.Write(b)
	} else {
		n, err = p.mem.Write(b)
	}
	p.n += int64(n)
	p.sum = crc32.Update(p.sum, table(), b[:n])
	return n, err
}

// Size counts the compressed bytes.
func (p *Packed) Size() int64 { return p.n }

// Sum is the sum of the compressed bytes.
func (p *Packed) Sum() uint32 { return p.sum }

// Reader reads the compressed bytes.
func (p *Packed) Reader() io.Reader {
	if p.file != nil {
		return io.NewSectionReader(p.file, 0, p.n)
	}
	return bytes.NewReader(p.mem.Bytes())
}

// Discard gives memory and file back. Of nil it does nothing.
func (p *Packed) Discard() error {
	if p == nil || p.file == nil {
		return nil
	}
	return errors.Join(p.file.Close(), p.disk.Remove(p.file.Name()))
}

// Pack compresses what r gives, which must hash to sha: ErrCorrupt. What is too much for memory
// goes to a file in dir.
func (c *Coders) Pack(disk Disk, dir, sha string, r io.Reader) (*Packed, error) {
	enc, err := c.encoder()
	if err != nil {
		return nil, err
	}
	defer c.encs.Put(enc)
	p := &Packed{disk: disk, dir: dir}
	enc.Reset(p)
	h := sha256.New()
	_, err = io.Copy(enc, io.TeeReader(r, h))
	if cerr := enc.Close(); err == nil {
		err = cerr
	}
	if err == nil && string(h.Sum(nil)) != sha {
		err = ErrCorrupt
	}
	if err != nil {
		return nil, errors.Join(err, p.Discard())
	}
	return p, nil
}

// unpacker decompresses a body and verifies it at its end.
type unpacker struct {
	coders *Coders
	file   io.Closer
	dec    *zstd.Decoder
	sum    interface {
		io.Writer
		Sum(b []byte) []byte
	}
	sha string
	err error
}

// Unpack reads the frame of a body at off of f, which takes n bytes, and closes f at the end.
func (c *Coders) Unpack(f Reader, off, n int64, sha string) (io.ReadCloser, error) {
	dec, err := c.decoder()
	if err == nil {
		skip := (&Head{SHA: sha}).Len()
		err = dec.Reset(io.NewSectionReader(f, off+skip, n-skip))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &unpacker{coders: c, file: f, dec: dec, sum: sha256.New(), sha: sha}, nil
}

// Read implements io.Reader: ErrCorrupt in place of io.EOF when what was read is not what was
// stored.
func (u *unpacker) Read(b []byte) (int, error) {
	if u.err != nil {
		return 0, u.err
	}
	if u.dec == nil {
		return 0, io.ErrClosedPipe
	}
	n, err := u.dec.Read(b)
	_, _ = u.sum.Write(b[:n]) // a hash takes everything
	switch {
	case err == nil:
	case !errors.Is(err, io.EOF):
		u.err = errors.Join(ErrCorrupt, err)
	case string(u.sum.Sum(nil)) != u.sha:
		u.err = ErrCorrupt
	default:
		u.err = io.EOF
	}
	return n, u.err
}

// Close gives the decoder back. A second call does nothing.
func (u *unpacker) Close() error {
	if u.dec == nil {
		return nil
	}
	if err := u.dec.Reset(nil); err == nil {
		u.coders.decs.Put(u.dec)
	}
	u.dec = nil
	return u.file.Close()
}

// Matches reads a body that is stored already: ErrCorrupt when it does not hash to sha.
func Matches(r io.Reader, sha string) error {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return err
	}
	if string(h.Sum(nil)) != sha {
		return ErrCorrupt
	}
	return nil
}
