package backup

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
)

// A record file is magic and then frames. A frame is the lengths of its head and of its data,
// the SHA-256 of all of it but itself, the head in JSON, and the data by zstd. A long record is
// cut into several frames, so that none need much memory, and each is verified before its bytes
// are used.
const (
	magic     = "postbak1"
	piece     = 1 << 20 // bytes of a record in one frame, before compression
	maxHead   = 8 << 10
	maxStored = piece + piece/8 + 1024
	prefixLen = 8 + sha256.Size
)

// head says what a frame is of.
type head struct {
	Key  string `json:"k"`
	N    int    `json:"n,omitempty"`    // number of the piece, from 0
	More bool   `json:"more,omitempty"` // another piece follows
	Void bool   `json:"void,omitempty"` // the record broke off here: it is to be passed over
}

// DamageError names what in a backup is not what was written.
type DamageError struct {
	Run    string `json:"run"`
	File   string `json:"file"`
	Record int    `json:"record,omitempty"` // from 1; 0: the file as a whole
	Key    string `json:"key,omitempty"`    // of the record, where it can still be read
	Why    string `json:"why"`
}

func (e *DamageError) Error() string {
	at := e.Run + "/" + e.File
	if e.Record > 0 {
		at += fmt.Sprintf(", record %d", e.Record)
	}
	if e.Key != "" {
		at += fmt.Sprintf(" (%q)", e.Key)
	}
	return at + ": " + e.Why
}

// frames writes one record file.
type frames struct {
	f    *os.File
	w    *bufio.Writer
	sum  hash.Hash
	size int64
	zip  *zstd.Encoder
	n    int
}

func newFrames(path string) (*frames, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	zip, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(piece), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	w := &frames{f: f, w: bufio.NewWriterSize(f, 256<<10), sum: sha256.New(), zip: zip}
	return w, w.raw([]byte(magic))
}

func (w *frames) raw(b []byte) error {
	n, err := w.w.Write(b)
	w.sum.Write(b[:n])
	w.size += int64(n)
	return err
}

func (w *frames) frame(h head, data []byte) error {
	meta, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if len(meta) > maxHead {
		return fmt.Errorf("a key of %d octets is too long for a backup", len(h.Key))
	}
	stored := w.zip.EncodeAll(data, nil)
	var lens [8]byte
	binary.BigEndian.PutUint32(lens[:4], uint32(len(meta)))
	binary.BigEndian.PutUint32(lens[4:], uint32(len(stored)))
	sum := frameSum(lens, meta, stored)
	for _, b := range [][]byte{lens[:], sum[:], meta, stored} {
		if err := w.raw(b); err != nil {
			return err
		}
	}
	w.n++
	return nil
}

func frameSum(lens [8]byte, meta, stored []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write(lens[:])
	h.Write(meta)
	h.Write(stored)
	return [sha256.Size]byte(h.Sum(nil))
}

// record writes one record. An error of r voids it and is returned as a *SourceError; the file
// is whole after that.
func (w *frames) record(key string, r io.Reader) error {
	buf, next := make([]byte, 0, 4096), 0
	for {
		var rerr error
		buf, rerr = readPiece(r, buf[:0])
		if rerr != nil && !errors.Is(rerr, io.EOF) {
			return errors.Join(&SourceError{key, rerr}, w.frame(head{Key: key, N: next, Void: true}, nil))
		}
		more := rerr == nil
		if err := w.frame(head{Key: key, N: next, More: more}, buf); err != nil || !more {
			return err
		}
		next++
	}
}

// readPiece fills up to piece bytes; io.EOF: r is at its end.
func readPiece(r io.Reader, buf []byte) ([]byte, error) {
	for len(buf) < piece {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):min(cap(buf), piece)])
		buf = buf[:len(buf)+n]
		if err != nil {
			return buf, err
		}
	}
	return buf, nil
}

// SourceError says that a record could not be read from the home.
type SourceError struct {
	Key   string
	Cause error
}

func (e *SourceError) Error() string { return fmt.Sprintf("%s cannot be read: %v", e.Key, e.Cause) }

// Unwrap returns Cause.
func (e *SourceError) Unwrap() error { return e.Cause }

func (w *frames) close() error {
	_ = w.zip.Close() // it writes nowhere
	return errors.Join(w.w.Flush(), w.f.Sync(), w.f.Close())
}

// scanner reads frames in order.
type scanner struct {
	r         *bufio.Reader
	run, file string
	n         int   // of the frame read last, from 1
	off       int64 // where the next frame begins
	zip       *zstd.Decoder
}

// newUnzip makes what one goroutine decompresses with.
func newUnzip() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(2*piece), zstd.WithDecoderLowmem(true))
}

func newScanner(r io.Reader, run, file string, off int64, zip *zstd.Decoder) (*scanner, error) {
	s := &scanner{r: bufio.NewReaderSize(r, 64<<10), run: run, file: file, zip: zip, off: off}
	if off > 0 {
		return s, nil
	}
	var start [len(magic)]byte
	if _, err := io.ReadFull(s.r, start[:]); err != nil || string(start[:]) != magic {
		return nil, &DamageError{Run: run, File: file, Why: "does not begin as a file of records does"}
	}
	s.off = int64(len(magic))
	return s, nil
}

func (s *scanner) damage(key, why string) error {
	return &DamageError{Run: s.run, File: s.file, Record: s.n, Key: key, Why: why}
}

// next reads one frame; io.EOF at the end of the file.
func (s *scanner) next() (h head, data []byte, err error) {
	var prefix [prefixLen]byte
	n, err := io.ReadFull(s.r, prefix[:])
	if errors.Is(err, io.EOF) && n == 0 {
		return h, nil, io.EOF
	}
	s.n++
	if err != nil {
		return h, nil, s.damage("", "the file ends within it: "+err.Error())
	}
	lens := [8]byte(prefix[:8])
	metaLen, storedLen := binary.BigEndian.Uint32(lens[:4]), binary.BigEndian.Uint32(lens[4:])
	if metaLen > maxHead || storedLen > maxStored {
		return h, nil, s.damage("", "its lengths are damaged")
	}
	b := make([]byte, int(metaLen)+int(storedLen))
	if _, err := io.ReadFull(s.r, b); err != nil {
		return h, nil, s.damage("", "the file ends within it: "+err.Error())
	}
	meta, stored := b[:metaLen], b[metaLen:]
	jerr := json.Unmarshal(meta, &h)
	if sum := frameSum(lens, meta, stored); string(sum[:]) != string(prefix[8:]) {
		return h, nil, s.damage(h.Key, "its digest is another one: bytes of it were changed")
	}
	if jerr != nil {
		return h, nil, s.damage("", jerr.Error())
	}
	if data, err = s.zip.DecodeAll(stored, nil); err != nil {
		return h, nil, s.damage(h.Key, err.Error())
	}
	s.off += int64(prefixLen) + int64(len(b))
	return h, data, nil
}

// body reads the pieces of one record after its first.
type body struct {
	s    *scanner
	h    head
	data []byte
	err  error
}

func (b *body) Read(p []byte) (int, error) {
	for len(b.data) == 0 {
		switch {
		case b.err != nil:
			return 0, b.err
		case !b.h.More:
			return 0, io.EOF
		}
		last := b.h
		if b.h, b.data, b.err = b.s.next(); errors.Is(b.err, io.EOF) {
			b.err = b.s.damage(last.Key, "the file ends before the record does")
		}
		if b.err == nil && (b.h.Key != last.Key || b.h.N != last.N+1) {
			b.err = b.s.damage(last.Key, "another record follows before it is at its end")
		}
		if b.err == nil && b.h.Void {
			b.err = errVoid
		}
	}
	n := copy(p, b.data)
	b.data = b.data[n:]
	return n, nil
}

// errVoid: the record could not be read when the backup was made.
var errVoid = errors.New("this record broke off when the backup was made")
