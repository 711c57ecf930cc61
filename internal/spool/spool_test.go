package spool

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
)

func files(t *testing.T, dir string) int {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestBody(t *testing.T) {
	for _, size := range []int{0, 1, 99, 100, 101, 5000} {
		s := &Spool{Dir: t.TempDir(), Memory: 100}
		want := bytes.Repeat([]byte{'x', 0, 0xff}, size)[:size]
		w := s.New()
		for chunk := want; len(chunk) > 0; {
			n := min(33, len(chunk))
			if _, err := w.Write(chunk[:n]); err != nil {
				t.Fatal(err)
			}
			chunk = chunk[n:]
		}
		if w.Size() != int64(size) {
			t.Errorf("%d: writer has %d", size, w.Size())
		}
		b, err := w.Finish()
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(want)
		if b.Size() != int64(size) || b.SHA256() != hex.EncodeToString(sum[:]) {
			t.Errorf("%d: size %d, hash %s", size, b.Size(), b.SHA256())
		}
		if b.InMemory() != (size <= 100) || files(t, s.Dir) != btoi(size > 100) {
			t.Errorf("%d: in memory %v, %d files", size, b.InMemory(), files(t, s.Dir))
		}
		if err := iotest.TestReader(io.NewSectionReader(b, 0, b.Size()), want); err != nil {
			t.Errorf("%d: %v", size, err)
		}
		if err := errors.Join(b.Close(), b.Close()); err != nil {
			t.Error(err)
		}
		if _, err := b.ReadAt(make([]byte, 1), 0); !errors.Is(err, ErrClosed) {
			t.Errorf("%d: read after close: %v", size, err)
		}
		if n := files(t, s.Dir); n != 0 {
			t.Errorf("%d: %d files left", size, n)
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestReadAtBounds(t *testing.T) {
	w := (&Spool{Memory: 10}).New()
	_, _ = w.Write([]byte("abc"))
	b, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 5)
	if n, err := b.ReadAt(p, 1); n != 2 || !errors.Is(err, io.EOF) {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := b.ReadAt(p, 3); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if _, err := b.ReadAt(p, -1); err == nil || errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func TestFaultLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	s := &Spool{Dir: dir, Memory: 4}
	w := s.New()
	if _, err := w.Write([]byte("12345")); !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("1")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the error is forgotten: %v", err)
	}
	if _, err := w.Finish(); !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

func TestDiscard(t *testing.T) {
	s := &Spool{Dir: t.TempDir(), Memory: 4}
	w := s.New()
	_, _ = w.Write([]byte("12345"))
	w.Discard()
	w.Discard()
	if files(t, s.Dir) != 0 {
		t.Error("file left")
	}
	if _, err := w.Write([]byte("x")); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	w = s.New()
	_, _ = w.Write([]byte("12345"))
	b, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	w.Discard()
	if _, err := w.Write([]byte("x")); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if _, err := b.ReadAt(make([]byte, 5), 0); err != nil {
		t.Errorf("Discard after Finish hurt the body: %v", err)
	}
	_ = b.Close()
}

func TestClean(t *testing.T) {
	s := &Spool{Dir: t.TempDir(), Memory: 0}
	w := s.New()
	_, _ = w.Write([]byte("left over"))
	if err := os.WriteFile(filepath.Join(s.Dir, "other"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(s.Dir, prefix+"dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Clean(); err != nil {
		t.Fatal(err)
	}
	if n := files(t, s.Dir); n != 2 {
		t.Errorf("%d files left, want those that are not ours", n)
	}
	if err := (&Spool{Dir: filepath.Join(s.Dir, "none")}).Clean(); err == nil {
		t.Error("a missing folder is fine?")
	}
}

func TestFree(t *testing.T) {
	if n, err := (&Spool{Dir: t.TempDir()}).Free(); err != nil || n == 0 {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := (&Spool{Dir: "/does/not/exist"}).Free(); err == nil {
		t.Error("no error for a missing folder")
	}
}

func TestFileIsPrivate(t *testing.T) {
	s := &Spool{Dir: t.TempDir()}
	w := s.New()
	_, _ = w.Write([]byte("x"))
	defer w.Discard()
	all, _ := os.ReadDir(s.Dir)
	info, err := all[0].Info()
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
