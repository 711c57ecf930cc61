// Package spool keeps one message body while its transaction runs: in memory up to a
// threshold, else in a temporary file.
package spool

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// prefix marks the files that Clean may remove.
const prefix = "postern-body-"

// ErrClosed is returned when a body is read after Close.
var ErrClosed = errors.New("spool: body is closed")

// Spool says where bodies live. Bodies up to Memory bytes stay in memory, larger ones go to
// a temporary file in Dir ("" = the system's).
type Spool struct {
	Dir    string
	Memory int64
}

// Writer takes one body in.
type Writer struct {
	spool *Spool
	mem   bytes.Buffer
	file  *os.File
	hash  hash.Hash
	size  int64
	err   error
}

// New starts a body. Finish or Discard ends it.
func (s *Spool) New() *Writer { return &Writer{spool: s, hash: sha256.New()} }

// Write appends p. After an error every further call returns the same error.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if err := w.store(p); err != nil {
		w.err = err
		return 0, err
	}
	w.hash.Write(p)
	w.size += int64(len(p))
	return len(p), nil
}

func (w *Writer) store(p []byte) error {
	if w.file == nil && w.size+int64(len(p)) <= w.spool.Memory {
		w.mem.Write(p)
		return nil
	}
	if w.file == nil {
		f, err := os.CreateTemp(w.spool.Dir, prefix+"*")
		if err != nil {
			return fmt.Errorf("spool: %w", err)
		}
		w.file = f
		if _, err := f.Write(w.mem.Bytes()); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
		w.mem = bytes.Buffer{}
	}
	if _, err := w.file.Write(p); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}

// Size is how many bytes were written.
func (w *Writer) Size() int64 { return w.size }

// Finish ends the body. After an error nothing is left on disk.
func (w *Writer) Finish() (*Body, error) {
	if w.err != nil {
		w.Discard()
		return nil, w.err
	}
	b := &Body{size: w.size, sum: hex.EncodeToString(w.hash.Sum(nil)), mem: w.mem.Bytes(), file: w.file}
	w.file, w.err = nil, ErrClosed
	return b, nil
}

// Discard removes what was written. It is safe after Finish and then does nothing.
func (w *Writer) Discard() {
	if w.file != nil {
		_ = w.file.Close()
		_ = os.Remove(w.file.Name())
		w.file = nil
	}
	w.mem = bytes.Buffer{}
	if w.err == nil {
		w.err = ErrClosed
	}
}

// Body is a finished body. It may be read from several goroutines at once.
type Body struct {
	size int64
	sum  string
	mu   sync.RWMutex // guards mem and file against Close
	mem  []byte
	file *os.File
	gone bool
}

// ReadAt reads as io.ReaderAt says; after Close it returns ErrClosed.
func (b *Body) ReadAt(p []byte, off int64) (int, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	switch {
	case b.gone:
		return 0, ErrClosed
	case off < 0:
		return 0, errors.New("spool: negative offset")
	case b.file != nil:
		return b.file.ReadAt(p, off)
	case off >= int64(len(b.mem)):
		return 0, io.EOF
	}
	n := copy(p, b.mem[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Size is the length in bytes.
func (b *Body) Size() int64 { return b.size }

// SHA256 is the hex digest of all bytes.
func (b *Body) SHA256() string { return b.sum }

// InMemory reports whether no file is used.
func (b *Body) InMemory() bool { return b.file == nil }

// Close forgets the body and removes its file. It may be called more than once.
func (b *Body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone {
		return nil
	}
	b.gone, b.mem = true, nil
	if b.file == nil {
		return nil
	}
	return errors.Join(b.file.Close(), os.Remove(b.file.Name()))
}

func (s *Spool) dir() string {
	if s.Dir == "" {
		return os.TempDir()
	}
	return s.Dir
}

// Clean removes the files an earlier process left behind. Call it before the first New.
func (s *Spool) Clean() error {
	entries, err := os.ReadDir(s.dir())
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) && e.Type().IsRegular() {
			errs = append(errs, os.Remove(filepath.Join(s.dir(), e.Name())))
		}
	}
	return errors.Join(errs...)
}

// Free is the number of bytes an unprivileged process may still write to Dir.
func (s *Spool) Free() (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(s.dir(), &st); err != nil {
		return 0, fmt.Errorf("spool: %s: %w", s.dir(), err)
	}
	return st.Bavail * uint64(st.Bsize), nil
}
