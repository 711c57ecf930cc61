package local_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/internal/store/local"
	"postern/internal/store/local/bodies"
	"postern/internal/store/local/guard"
	"postern/internal/store/local/sqlite"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

// badDisk is the real file system with one operation that fails from a chosen moment on.
type badDisk struct {
	bodies.OS
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

func (d *badDisk) CreateTemp(dir, pattern string) (bodies.File, error) {
	if err := d.at("create"); err != nil {
		return nil, err
	}
	f, err := d.OS.CreateTemp(dir, pattern)
	return &badFile{f, d}, err
}

func (d *badDisk) Rename(from, to string) error {
	if err := d.at("rename"); err != nil {
		return err
	}
	return d.OS.Rename(from, to)
}

func (d *badDisk) SyncDir(dir string) error {
	if err := d.at("sync dir"); err != nil {
		return err
	}
	return d.OS.SyncDir(dir)
}

func (d *badDisk) Remove(name string) error {
	if err := d.at("remove"); err != nil {
		return err
	}
	return d.OS.Remove(name)
}

type badFile struct {
	bodies.File
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

func (f *badFile) Close() error {
	if err := f.disk.at("close"); err != nil {
		f.File.Close()
		return err
	}
	return f.File.Close()
}

// TestOrder: a row is committed after its file was synced, named, and the name synced.
func TestOrder(t *testing.T) {
	disk := &badDisk{}
	h, err := local.Open(t.Context(), local.Options{Dir: filepath.Join(t.TempDir(), "s"), Disk: disk})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if d := cmp.Diff(slices.Repeat([]string{"sync dir"}, 3+6), disk.log); d != "" { // those of the blobs last
		t.Errorf("what is synced at the start: %s", d)
	}
	disk.breakAt("", nil)
	keepOne(t, h)
	if d := cmp.Diff([]string{"sync dir", "create", "write", "sync", "close", "rename", "sync dir"}, disk.log); d != "" {
		t.Errorf("the order of a write: %s", d)
	}
	for i, op := range disk.log {
		disk.breakAt(op, syscall.ENOSPC)
		_, err := h.Holds().Put(t.Context(), storetest.Hold(10+i, "y"), strings.NewReader("y"))
		if err == nil {
			t.Errorf("Put returned nil though %q failed", op)
		}
		disk.breakAt("", nil)
		if _, err := h.Holds().Get(t.Context(), storetest.Hold(10+i, "").ID); !errors.Is(err, quarantine.ErrNotFound) {
			t.Errorf("a row is there though %q failed: %v", op, err)
		}
	}
}

// TestBrokenWrites: what fails while a body is written is a clear error and leaves nothing;
// a failed sync makes the home read-only, since nothing written later can be trusted.
func TestBrokenWrites(t *testing.T) {
	for _, c := range []struct {
		op       string
		err      error
		want     error
		readOnly bool
	}{
		{"create", syscall.ENOSPC, quarantine.ErrFull, false},
		{"create", syscall.EMFILE, syscall.EMFILE, false},
		{"write", syscall.ENOSPC, quarantine.ErrFull, false},
		{"write", syscall.EDQUOT, quarantine.ErrFull, false},
		{"write", syscall.EIO, syscall.EIO, false},
		{"close", syscall.EDQUOT, quarantine.ErrFull, false},
		{"rename", syscall.ENOSPC, quarantine.ErrFull, false},
		{"sync", syscall.ENOSPC, quarantine.ErrFull, false},
		{"sync", syscall.EIO, quarantine.ErrReadOnly, true},
		{"sync dir", syscall.EIO, quarantine.ErrReadOnly, true},
	} {
		t.Run(fmt.Sprintf("%s %v", c.op, c.err), func(t *testing.T) {
			brokenWrite(t, c.op, c.err, c.want, c.readOnly)
		})
	}
}

func brokenWrite(t *testing.T, op string, fault, want error, readOnly bool) {
	dir := filepath.Join(t.TempDir(), "s")
	disk := &badDisk{}
	h, err := local.Open(t.Context(), local.Options{Dir: dir, Disk: disk})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	before := keepOne(t, h)
	warm, err := h.Holds().Put(t.Context(), storetest.Hold(4, "two"), strings.NewReader("two")) // its folder is there
	if err == nil {
		err = h.Holds().Drop(t.Context(), []string{warm.ID})
	}
	if err != nil {
		t.Fatal(err)
	}
	disk.breakAt(op, &fs.PathError{Op: op, Path: "x", Err: fault})
	put := func() error {
		_, err := h.Holds().Put(t.Context(), storetest.Hold(2, "two"), strings.NewReader("two"))
		return err
	}
	if err := put(); !errors.Is(err, want) || !errors.Is(err, fault) {
		t.Errorf("Put: %v, want %v because of %v", err, want, fault)
	}
	if got := files(t, dir); len(got) != 1 {
		t.Errorf("files after the fault: %v", got)
	}
	disk.breakAt("", nil)
	if (h.Degraded() != nil) != readOnly {
		t.Errorf("Degraded: %v", h.Degraded())
	}
	if err := put(); errors.Is(err, quarantine.ErrReadOnly) != readOnly || !readOnly && err != nil {
		t.Errorf("Put when the disk works again: %v", err)
	}
	if readOnly {
		if err := h.Holds().SetClock(t.Context(), before.At); !errors.Is(err, quarantine.ErrReadOnly) {
			t.Errorf("another write: %v", err)
		}
		if err := h.Lists().RemoveListEntry(t.Context(), "x"); !errors.Is(err, quarantine.ErrReadOnly) {
			t.Errorf("a list: %v", err)
		}
	}
	r, err := h.Holds().Body(t.Context(), before.ID)
	if err != nil {
		t.Fatalf("what was there before cannot be read: %v", err)
	}
	r.Close()
	h.Close()
	h = reopen(t, dir)
	if _, err := h.Holds().Put(t.Context(), storetest.Hold(3, "three"), strings.NewReader("three")); err != nil {
		t.Errorf("Put after a restart: %v", err)
	}
}

// files lists all bodies and temp files.
func files(t testing.TB, dir string) []string {
	t.Helper()
	var out []string
	for _, glob := range []string{"bodies/??/*.zst", "bodies/tmp/*"} {
		found, err := filepath.Glob(filepath.Join(dir, glob))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, found...)
	}
	return out
}

// TestOrphanStays: a body that cannot be removed is no failure, and the next start removes it.
func TestOrphanStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	disk := &badDisk{}
	h, err := local.Open(t.Context(), local.Options{Dir: dir, Disk: disk})
	if err != nil {
		t.Fatal(err)
	}
	got, err := h.Holds().Put(t.Context(), storetest.Hold(2, "two"), strings.NewReader("two"))
	if err != nil {
		t.Fatal(err)
	}
	disk.breakAt("remove", syscall.EIO)
	if err := h.Holds().Drop(t.Context(), []string{got.ID}); err != nil || len(files(t, dir)) != 1 {
		t.Errorf("Drop: %v, files %v", err, files(t, dir))
	}
	h.Close()
	reopen(t, dir)
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("after a restart: %v", got)
	}
}

func TestNetworkRefused(t *testing.T) {
	_, err := local.Open(t.Context(), local.Options{Dir: t.TempDir(), Statfs: func(string) (guard.FS, error) { return guard.FS{Magic: 0x6969}, nil }})
	var ne *guard.NetworkError
	if !errors.As(err, &ne) || !strings.Contains(err.Error(), "NFS") {
		t.Errorf("NFS: %v", err)
	}
}

func TestSecondOpener(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	reopen(t, dir)
	_, err := local.Open(t.Context(), local.Options{Dir: dir})
	var locked *guard.LockedError
	if !errors.As(err, &locked) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("the second opener: %v", err)
	}
}

func TestDamagedFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	h := reopen(t, dir)
	keepOne(t, h)
	h.Close()
	spoil(t, filepath.Join(dir, "traffic.db"))
	h = reopen(t, dir)
	if aside, _ := filepath.Glob(filepath.Join(dir, "traffic.db.damaged-*")); len(aside) != 1 {
		t.Errorf("set aside: %v", aside)
	}
	h.Close()
	spoil(t, filepath.Join(dir, "postern.db"))
	_, err := local.Open(context.Background(), local.Options{Dir: dir})
	var damaged *sqlite.DamageError
	if !errors.As(err, &damaged) || !strings.Contains(err.Error(), "postern.db") {
		t.Errorf("a damaged postern.db: %v", err)
	}
	if got := files(t, dir); len(got) != 1 {
		t.Errorf("bodies beside a damaged database: %v", got)
	}
}

func spoil(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestMissingBody: a body that went lost is an error of its hold alone, and a new copy of the
// same mail brings it back.
func TestMissingBody(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	h := reopen(t, dir)
	a, err := h.Holds().Put(t.Context(), storetest.Hold(2, "two"), strings.NewReader("two"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(files(t, dir)[0]); err != nil {
		t.Fatal(err)
	}
	h.Close()
	h = reopen(t, dir)
	if _, err := h.Holds().Body(t.Context(), a.ID); !errors.Is(err, quarantine.ErrCorrupt) {
		t.Errorf("Body: %v", err)
	}
	if _, err := h.Holds().Put(t.Context(), storetest.Hold(3, "two"), strings.NewReader("two")); err != nil {
		t.Fatal(err)
	}
	r, err := h.Holds().Body(t.Context(), a.ID)
	if err != nil {
		t.Fatalf("after a new copy: %v", err)
	}
	r.Close()
}

// TestReindex: the database is lost, the bodies and their notes are not.
func TestReindex(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	h := reopen(t, dir)
	held := keepOne(t, h)
	for n, body := range []string{"shared", "shared", "damaged", "no note", "half a note"} {
		if _, err := h.Holds().Put(t.Context(), storetest.Hold(10+n, body), strings.NewReader(body)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Outbox().Add(t.Context(), storetest.Entry(1, "shared"), strings.NewReader("shared")); err != nil {
		t.Fatal(err)
	}
	h.Close()
	file := func(body, kind string) string {
		sha := storetest.SHA(body)
		return filepath.Join(dir, "bodies", sha[:2], sha+kind)
	}
	for _, err := range []error{
		os.Truncate(file("damaged", ".zst"), 10), os.Remove(file("no note", ".jsonl")), os.Truncate(file("half a note", ".jsonl"), 100), os.Remove(filepath.Join(dir, "postern.db")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := local.Open(t.Context(), local.Options{Dir: dir})
	var missing *local.MissingError
	if !errors.As(err, &missing) || len(files(t, dir)) != 5 {
		t.Fatalf("a home without its database: %v, %d bodies", err, len(files(t, dir)))
	}
	got, err := local.Reindex(t.Context(), local.Options{Dir: dir})
	if err != nil || got.Holds != 3 || got.Outbox != 1 || len(got.Lost) != 3 {
		t.Fatalf("Reindex: %+v, %v", got, err)
	}
	h = reopen(t, dir)
	back, err := h.Holds().Get(t.Context(), held.ID)
	if err != nil || back.State != quarantine.Held || back.Subject != held.Subject || back.Key != held.Key {
		t.Errorf("the hold: %+v, %v", back, err)
	}
	for _, n := range []int{1, 10, 11} {
		readWhole(t, h, storetest.Hold(n, "").ID)
	}
	if e, err := h.Outbox().Get(t.Context(), storetest.Entry(1, "").ID); err != nil || !e.Ambiguous {
		t.Errorf("the outbox entry: %+v, %v", e, err)
	}
	if st, err := h.Holds().Stats(t.Context()); err != nil || st.Bodies != 2 || st.States[quarantine.Held] != 3 {
		t.Errorf("Stats: %+v, %v", st, err)
	}
	if aside, _ := filepath.Glob(filepath.Join(dir, "lost", "*.zst")); len(aside) != 3 {
		t.Errorf("set aside: %v", aside)
	}
}

// TestReindexDamaged sets a damaged database aside and keeps it.
func TestReindexDamaged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	h := reopen(t, dir)
	held := keepOne(t, h)
	if _, err := local.Reindex(t.Context(), local.Options{Dir: dir}); err == nil {
		t.Error("an open home was reindexed")
	}
	h.Close()
	spoil(t, filepath.Join(dir, "postern.db"))
	if got, err := local.Reindex(t.Context(), local.Options{Dir: dir}); err != nil || got.Holds != 1 {
		t.Fatalf("Reindex: %+v, %v", got, err)
	}
	readWhole(t, reopen(t, dir), held.ID)
	if aside, _ := filepath.Glob(filepath.Join(dir, "postern.db.old-*")); len(aside) != 1 {
		t.Errorf("set aside: %v", aside)
	}
}

// TestRowFails: the body is written and its row cannot be. Nothing stays.
func TestRowFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	h := reopen(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := h.Holds().Put(ctx, storetest.Hold(1, "body"), &lastWords{strings.NewReader("body"), cancel})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v", err)
	}
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("a body without a row: %v", got)
	}
}

// lastWords calls end when all was read.
type lastWords struct {
	*strings.Reader
	end func()
}

func (l *lastWords) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if err != nil {
		l.end()
	}
	return n, err
}
