package journal_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/store/redis/journal"
	"postern/internal/store/redis/journal/segment"
)

func TestLife(t *testing.T) {
	o := journal.Options{Dir: folder(t)}
	j := open(t, o)
	body := strings.Repeat("line\r\n", 5000) + "\x00\xff"
	put(t, j, "a", "one", body)
	put(t, j, "b", "two", "")
	want(t, j, "a", "one", body)
	want(t, j, "b", "two", "")
	wantErr(t, "Put of what is there", putErr(t, j, "a", "x", "y"), journal.ErrExists)
	set(t, j, item("a", "longer than before"), item("claim", "no body"))
	until := time.Now().Add(time.Hour)
	set(t, j, tombstone("b", "ended", until), tombstone("foreign", "ended too", until))
	for range 2 {
		want(t, j, "a", "longer than before", body)
		e, err := j.Get(kind, "b")
		if err != nil || e.State != journal.Ended || string(e.Record) != "ended" || e.Body {
			t.Errorf("tombstone: %+v, %v", e, err)
		}
		_, err = read(j, "b")
		wantErr(t, "Body of a tombstone", err, journal.ErrNotFound)
		_, err = read(j, "claim")
		wantErr(t, "Body of none", err, journal.ErrNotFound)
		living, tombs := j.IDs(kind)
		slices.Sort(living)
		slices.Sort(tombs)
		if !slices.Equal(living, []string{"a", "claim"}) || !slices.Equal(tombs, []string{"b", "foreign"}) {
			t.Errorf("IDs: %v, %v", living, tombs)
		}
		if st := j.Stats(); st.Live != 2 || st.Tombstones != 2 {
			t.Errorf("Stats: %+v", st)
		}
		wantErr(t, "life after the end", j.Set(t.Context(), item("b", "again")), journal.ErrEnded)
		wantErr(t, "Put after the end", putErr(t, j, "b", "again", "x"), journal.ErrExists)
		j = reopen(t, j, o)
	}
	set(t, j, gone("a"), gone("claim"), gone("never there"))
	_, err := j.Get(kind, "a")
	wantErr(t, "Get of what is gone", err, journal.ErrNotFound)
	put(t, j, "a", "a new life", "new")
	j = reopen(t, j, o)
	want(t, j, "a", "a new life", "new")
}

func TestRefusals(t *testing.T) {
	o := journal.Options{Dir: folder(t)}
	j := open(t, o)
	ctx := t.Context()
	wantErr(t, "wrong digest", j.Put(ctx, item("a", ""), digest("x"), strings.NewReader("y")), journal.ErrCorrupt)
	wantErr(t, "no digest", j.Put(ctx, item("a", ""), "zz", strings.NewReader("y")), journal.ErrCorrupt)
	broken := io.MultiReader(strings.NewReader("x"), failing{})
	wantErr(t, "broken reader", j.Put(ctx, item("a", ""), digest("x"), broken), io.ErrUnexpectedEOF)
	put(t, j, "b", "", "same")
	wantErr(t, "wrong digest of a known body", j.Put(ctx, item("a", ""), digest("same"), strings.NewReader("y")), journal.ErrCorrupt)
	for _, it := range []journal.Item{{Kind: kind}, {Kind: strings.Repeat("k", 17), ID: "a"}, {Kind: kind, ID: strings.Repeat("i", 256)}, {Kind: kind, ID: "a", Record: make([]byte, 9<<20)}} {
		if j.Set(ctx, it) == nil {
			t.Errorf("taken: kind %q, ID of %d, record of %d", it.Kind, len(it.ID), len(it.Record))
		}
	}
	put(t, j, "a", "", "x")
	if _, err := journal.Open(o); err == nil {
		t.Error("two have the journal open")
	}
	j.Close()
	if err := j.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if err := putErr(t, j, "c", "", ""); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	st, err := os.Stat(o.Dir)
	if err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v", st.Mode(), err)
	}
	for _, f := range segments(t, o.Dir, "*") {
		if st, err := os.Stat(f); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, st.Mode(), err)
		}
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// A body is stored once for all recipients, and goes with the last.
func TestSameBody(t *testing.T) {
	o := journal.Options{Dir: folder(t)}
	j := open(t, o)
	body := noise(100_000)
	for n := range 10 {
		put(t, j, name(n), "r", body)
	}
	if st := j.Stats(); st.Bytes > 120_000 {
		t.Errorf("ten entries of one body take %d bytes", st.Bytes)
	}
	for n := range 9 {
		set(t, j, gone(name(n)))
	}
	j = reopen(t, j, o)
	want(t, j, name(9), "r", body)
	set(t, j, gone(name(9)))
	put(t, j, "new", "r", body)
	want(t, j, "new", "r", body)
}

// An end and a new entry of the same body that share a sync do not lose the body.
func TestSameBodyAtOnce(t *testing.T) {
	j := open(t, journal.Options{Dir: folder(t)})
	body := noise(2000)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 20 {
				id := fmt.Sprintf("%d-%d", w, i)
				if err := putErr(t, j, id, "r", body); err != nil {
					t.Error(err)
					return
				}
				want(t, j, id, "r", body)
				if err := j.Set(t.Context(), gone(id)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// A large body passes through in little memory.
func TestLargeBody(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 64 MB")
	}
	o := journal.Options{Dir: folder(t)}
	j := open(t, o)
	body := noise(64 << 20)
	sha := digest(body)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := j.Put(t.Context(), item("big", "r"), sha, strings.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 24<<20 {
		t.Errorf("%d bytes were allocated for a body of 64 MB", n)
	}
	put(t, j, "small", "r", "small")
	if got := segments(t, o.Dir, "*.wal"); len(got) != 2 {
		t.Errorf("segments: %v", got)
	}
	if got := segments(t, o.Dir, "body-*"); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
	j = reopen(t, j, o)
	want(t, j, "big", "r", body)
}

// Writers side by side share syncs.
func TestGroupCommit(t *testing.T) {
	o := journal.Options{Dir: folder(t)}
	j := open(t, o)
	const writers, each = 16, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := putErr(t, j, name(w*each+i), "r", name(w*each+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d writes, %d syncs", writers*each, j.Stats().Syncs)
	j = reopen(t, j, o)
	for n := range writers * each {
		want(t, j, name(n), "r", name(n))
	}
}

func TestFull(t *testing.T) {
	o := journal.Options{Dir: folder(t), Max: 100_000}
	j := open(t, o)
	n := 0
	var err error
	for ; err == nil && n < 20; n++ {
		err = putErr(t, j, name(n), "r", noise(10_000))
	}
	wantErr(t, fmt.Sprintf("the Put of number %d", n), err, journal.ErrFull)
	if n < 9 || j.Stats().Bytes > o.Max {
		t.Errorf("full at %d with %d bytes", n, j.Stats().Bytes)
	}
	for i := range n - 1 {
		set(t, j, tombstone(name(i), "t", time.Now().Add(time.Hour)))
	}
	j = reopen(t, j, o) // a new segment: the old one can be moved
	if err := j.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	put(t, j, "again", "r", noise(10_000))
	if got := len(segments(t, o.Dir, "*.wal")); got != 1 {
		t.Errorf("%d segments", got)
	}
	if _, tombs := j.IDs(kind); len(tombs) != n-1 {
		t.Errorf("%d tombstones of %d", len(tombs), n-1)
	}
}

// TestOrder: a new segment is synced with its name, and an answer comes after the sync.
func TestOrder(t *testing.T) {
	disk := &badDisk{}
	j := open(t, journal.Options{Dir: folder(t), Disk: disk})
	disk.breakAt("", nil)
	put(t, j, "a", "r", "x")
	if got := strings.Join(disk.log, ", "); got != "create, write, sync dir, write, write, sync" {
		t.Errorf("the order of a first write: %s", got)
	}
	disk.breakAt("", nil)
	set(t, j, item("a", "r2"))
	if got := strings.Join(disk.log, ", "); got != "write, sync" {
		t.Errorf("the order of a change: %s", got)
	}
}

// A full disk costs the write; the journal goes on when there is room.
func TestDiskFull(t *testing.T) {
	disk := &badDisk{}
	o := journal.Options{Dir: folder(t), Disk: disk}
	j := open(t, o)
	disk.breakAt("create", os.ErrPermission)
	wantErr(t, "no segment", putErr(t, j, "a", "r", "x"), os.ErrPermission)
	for _, op := range []string{"create", "write"} {
		disk.breakAt(op, errFull)
		wantErr(t, "full at "+op, putErr(t, j, "b", "r", "x"), journal.ErrFull)
	}
	disk.breakAt("", nil)
	put(t, j, "a", "r", "x")
	disk.breakAt("write", errFull)
	wantErr(t, "full", putErr(t, j, "b", "r", noise(5000)), journal.ErrFull)
	wantErr(t, "a large body and a full disk", putErr(t, j, "b", "r", noise(3<<20)), journal.ErrFull)
	wantErr(t, "full", j.Set(t.Context(), item("a", "r2")), journal.ErrFull)
	disk.breakAt("", nil)
	put(t, j, "b", "r", "y")
	for range 2 {
		want(t, j, "a", "r", "x")
		want(t, j, "b", "r", "y")
		j = reopen(t, j, o)
	}
	if got := segments(t, o.Dir, "body-*"); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
}

// After a sync that failed nothing is trusted any more, though later ones would succeed.
func TestReadOnly(t *testing.T) {
	for _, op := range []string{"sync", "write", "sync dir"} {
		disk := &badDisk{}
		o := journal.Options{Dir: folder(t), Disk: disk, Segment: 3000}
		j := open(t, o)
		put(t, j, "a", "r", "x")
		disk.breakAt(op, errIO)
		wantErr(t, op, putErr(t, j, "b", "r", noise(3000)), journal.ErrReadOnly)
		disk.breakAt("", nil)
		wantErr(t, "after "+op, putErr(t, j, "c", "r", "x"), journal.ErrReadOnly)
		wantErr(t, "Degraded after "+op, j.Degraded(), journal.ErrReadOnly)
		wantErr(t, "Tend after "+op, j.Tend(t.Context()), journal.ErrReadOnly)
		if len(disk.log) != 0 {
			t.Errorf("after a failed %s: %v", op, disk.log)
		}
		want(t, j, "a", "r", "x")
		j = reopen(t, j, journal.Options{Dir: o.Dir})
		want(t, j, "a", "r", "x")
		put(t, j, "d", "r", "y")
	}
}

// A half-written frame that cannot be cut off makes the journal read-only.
func TestNotCut(t *testing.T) {
	disk := &badDisk{}
	j := open(t, journal.Options{Dir: folder(t), Disk: disk})
	put(t, j, "a", "r", "x")
	disk.breakAt("write", errFull)
	wantErr(t, "full", putErr(t, j, "b", "r", "y"), journal.ErrFull)
	j2 := open(t, journal.Options{Dir: folder(t), Disk: &cutless{disk}})
	disk.breakAt("", nil)
	put(t, j2, "a", "r", "x")
	disk.breakAt("write", errFull)
	wantErr(t, "full and not cut", putErr(t, j2, "b", "r", "y"), journal.ErrReadOnly)
}

// cutless is a disk on which nothing can be cut.
type cutless struct{ *badDisk }

func (d *cutless) Create(name string) (segment.File, error) {
	f, err := d.badDisk.Create(name)
	return uncut{f}, err
}

type uncut struct{ segment.File }

func (uncut) Truncate(int64) error { return errIO }

func TestTornEnd(t *testing.T) {
	for _, c := range []struct {
		name string
		tear func(b []byte) []byte
	}{
		{"cut in the record", func(b []byte) []byte { return b[:len(b)-1] }},
		{"cut in the head", func(b []byte) []byte { return b[:len(b)-60] }},
		{"zeros instead of the end", func(b []byte) []byte { clear(b[len(b)-5:]); return b }},
		{"zeros after the end of the body", func(b []byte) []byte { clear(b[len(b)-1500:]); return b }},
		{"zeros after the end", func(b []byte) []byte { return append(b, make([]byte, 100_000)...) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := journal.Options{Dir: folder(t)}
			j := open(t, o)
			put(t, j, "a", "r", "x")
			put(t, j, "b", "the last record", noise(3000))
			j.Close()
			path := segments(t, o.Dir, "*.wal")[0]
			b, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, c.tear(b), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				j = open(t, o)
				want(t, j, "a", "r", "x")
				if _, err := j.Get(kind, "b"); err == nil && c.name != "zeros after the end" {
					t.Error("half an entry is there")
				}
				put(t, j, "c", "r", "z")
				set(t, j, gone("c"))
				j.Close()
			}
			if got := segments(t, o.Dir, "*.damaged"); len(got) != 0 {
				t.Errorf("a torn end is taken for damage: %v", got)
			}
		})
	}
}

// Damage in the middle costs what it hits, is said, and is set aside.
func TestDamage(t *testing.T) {
	var log strings.Builder
	o := journal.Options{Dir: folder(t), Log: logTo(&log)}
	j := open(t, o)
	for n := range 5 {
		put(t, j, name(n), fmt.Sprintf("record %d", n), noise(500))
	}
	j.Close()
	path := segments(t, o.Dir, "*.wal")[0]
	spoil(t, path, "record 1") // a record
	spoil(t, path, name(3))    // a head
	j = open(t, o)
	for n := range 5 {
		_, err := j.Get(kind, name(n))
		if lost := n == 1 || n == 3; lost != (err != nil) {
			t.Errorf("%d: %v", n, err)
		}
	}
	if !strings.Contains(log.String(), filepath.Base(path)) || strings.Count(log.String(), "is damaged") != 2 {
		t.Errorf("said: %s", log.String())
	}
	if err := j.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := segments(t, o.Dir, "*.damaged"); len(got) != 1 {
		t.Errorf("set aside: %v", got)
	}
	j = reopen(t, j, o)
	if _, err := read(j, name(4)); err != nil {
		t.Error(err)
	}
	if living, _ := j.IDs(kind); len(living) != 3 {
		t.Errorf("%d left", len(living))
	}
}

// A damaged body is found when it is read, and set aside when its segment is moved. The same
// body that comes again is a new one.
func TestDamagedBody(t *testing.T) {
	o := journal.Options{Dir: folder(t)}
	j := open(t, o)
	body := "begin " + noise(9000)
	put(t, j, "a", "r", body)
	put(t, j, "b", "r", "good")
	j = reopen(t, j, o)
	put(t, j, "z", "r", "in a later segment")
	j.Close()
	spoil(t, segments(t, o.Dir, "*.wal")[0], body[50:70])
	j = open(t, o)
	_, err := read(j, "a")
	wantErr(t, "Body", err, journal.ErrCorrupt)
	set(t, j, gone("z"))
	for range 3 {
		set(t, j, gone("none"))
	}
	if err := j.Set(t.Context(), tombstone("b", "t", time.Now().Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := j.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	put(t, j, "c", "r", body)
	want(t, j, "a", "r", body) // written again, it is there for both
	set(t, j, gone("a"))
	want(t, j, "c", "r", body)
}

// A damaged body is not moved.
func TestDamagedBodyIsNotMoved(t *testing.T) {
	o := journal.Options{Dir: folder(t)}
	j := open(t, o)
	body := noise(9000)
	put(t, j, "a", "r", body)
	put(t, j, "b", "r", noise(50_000))
	j = reopen(t, j, o)
	put(t, j, "z", "r", "in a later segment")
	j.Close()
	spoil(t, segments(t, o.Dir, "*.wal")[0], body[50:70])
	j = open(t, o)
	set(t, j, gone("b"))
	for range 3 {
		if err := j.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if e, err := j.Get(kind, "a"); err != nil || string(e.Record) != "r" || e.Body {
		t.Errorf("the record: %+v, %v", e, err)
	}
	_, err := read(j, "a")
	wantErr(t, "Body", err, journal.ErrNotFound)
	put(t, j, "c", "r", body)
	set(t, j, gone("a"))
	want(t, j, "c", "r", body)
	if got := segments(t, o.Dir, "*.damaged"); len(got) != 1 {
		t.Errorf("set aside: %v", got)
	}
}

func TestForeignFiles(t *testing.T) {
	o := journal.Options{Dir: folder(t)}
	open(t, o).Close()
	for name, text := range map[string]string{
		"00000000000000a0.wal": "this is no segment at all, but longer than a head", "00000000000000a1.wal": "PJ", "notes.txt": "mine", "body-123": "half",
		"00000000000000a2.wal": "PJRNL\x00\x00\x02later...and what it has in it",
	} {
		if err := os.WriteFile(filepath.Join(o.Dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	j := open(t, o)
	put(t, j, "a", "r", "x")
	files, err := os.ReadDir(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(got, f.Name())
	}
	if s := strings.Join(got, " "); s != "00000000000000a0.wal.damaged 00000000000000a2.wal.damaged 00000000000000a3.wal lock notes.txt" {
		t.Error(s)
	}
}
