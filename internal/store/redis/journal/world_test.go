package journal_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/internal/store/redis/journal"
	"postern/internal/store/redis/journal/segment"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const kind = "hold"

func digest(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

// noise is a body that does not compress.
func noise(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return string(b)
}

func open(t testing.TB, o journal.Options) *journal.Journal {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	j, err := journal.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func reopen(t testing.TB, j *journal.Journal, o journal.Options) *journal.Journal {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, o)
}

func folder(t testing.TB) string { return filepath.Join(t.TempDir(), "journal") }

func item(id, record string) journal.Item {
	return journal.Item{Kind: kind, ID: id, Record: []byte(record)}
}

func putErr(t testing.TB, j *journal.Journal, id, record, body string) error {
	t.Helper()
	return j.Put(context.WithoutCancel(t.Context()), item(id, record), digest(body), strings.NewReader(body))
}

func put(t testing.TB, j *journal.Journal, id, record, body string) {
	t.Helper()
	if err := putErr(t, j, id, record, body); err != nil {
		t.Fatalf("Put %s: %v", id, err)
	}
}

func set(t testing.TB, j *journal.Journal, items ...journal.Item) {
	t.Helper()
	if err := j.Set(t.Context(), items...); err != nil {
		t.Fatalf("Set: %v", err)
	}
}

func gone(id string) journal.Item {
	return journal.Item{Kind: kind, ID: id, State: journal.Gone}
}

func tombstone(id, record string, until time.Time) journal.Item {
	return journal.Item{Kind: kind, ID: id, Record: []byte(record), State: journal.Ended, Until: until}
}

func want(t testing.TB, j *journal.Journal, id, record, body string) {
	t.Helper()
	e, err := j.Get(kind, id)
	if err != nil || string(e.Record) != record || e.State != journal.Live {
		t.Errorf("%s: %q, state %d, %v; want %q", id, e.Record, e.State, err, record)
		return
	}
	if got, err := read(j, id); err != nil || got != body {
		t.Errorf("%s: body of %d bytes, %v; want %d", id, len(got), err, len(body))
	}
}

func read(j *journal.Journal, id string) (string, error) {
	r, err := j.Body(kind, id)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(r)
	return string(b), errors.Join(err, r.Close())
}

func wantErr(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

// badDisk is the real disk with one operation that fails while op is set.
type badDisk struct {
	segment.OS
	mu  sync.Mutex
	op  string
	err error
	log []string
}

func (d *badDisk) at(op string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log = append(d.log, op)
	if op == d.op {
		return d.err
	}
	return nil
}

func (d *badDisk) breakAt(op string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.op, d.err, d.log = op, err, nil
}

func (d *badDisk) Create(name string) (segment.File, error) {
	if err := d.at("create"); err != nil {
		return nil, err
	}
	f, err := d.OS.Create(name)
	return &badFile{f, d}, err
}

func (d *badDisk) CreateTemp(dir, pattern string) (segment.File, error) {
	f, err := d.OS.CreateTemp(dir, pattern)
	return &badFile{f, d}, err
}

func (d *badDisk) SyncDir(dir string) error {
	if err := d.at("sync dir"); err != nil {
		return err
	}
	return d.OS.SyncDir(dir)
}

type badFile struct {
	segment.File
	disk *badDisk
}

func (f *badFile) Write(p []byte) (int, error) {
	if err := f.disk.at("write"); err != nil {
		n, _ := f.File.Write(p[:len(p)/2]) // a full disk takes a part
		return n, err
	}
	return f.File.Write(p)
}

func (f *badFile) Sync() error {
	if err := f.disk.at("sync"); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *badFile) Truncate(n int64) error {
	if err := f.disk.at("truncate"); err != nil {
		return err
	}
	return f.File.Truncate(n)
}

// segments lists the files of the journal, oldest first.
func segments(t testing.TB, dir, ending string) []string {
	t.Helper()
	out, err := filepath.Glob(filepath.Join(dir, "*"+ending))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// spoil changes bytes of a file where it first has text.
func spoil(t testing.TB, path, text string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	i := bytes.Index(b, []byte(text))
	if i < 0 {
		t.Fatalf("%s has no %q", path, text)
	}
	b[i] ^= 0xff
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func name(n int) string { return fmt.Sprintf("01jd9x%020d-00", n) }
