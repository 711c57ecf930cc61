package backup_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"postern/internal/backup"
)

var start = time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func options(dir string, kind backup.Kind, at time.Time) backup.Options {
	return backup.Options{Dir: dir, Kind: kind, Program: "test", Home: "local", Node: "mx", Now: func() time.Time { return at }}
}

// save writes things and lines as one run.
func save(t testing.TB, o backup.Options, things map[string]string, lines ...string) backup.Manifest {
	t.Helper()
	m, err := backup.Run(t.Context(), o, func(_ context.Context, w *backup.Writer) error {
		s := w.Section("things")
		for k, v := range things {
			tag := fmt.Sprintf("%x", sha256.Sum256([]byte(v)))
			if s.Has(k, tag) {
				continue
			}
			if err := s.Add(k, tag, strings.NewReader(v)); err != nil {
				return err
			}
		}
		for _, l := range lines {
			if err := w.Log("lines").Add("line", "", strings.NewReader(l)); err != nil {
				return err
			}
		}
		w.Note("last", w.Mark("last")+strings.Join(lines, ""))
		return nil
	})
	ok(t, err)
	return m
}

func load(t testing.TB, dir, run string) (things map[string]string, lines string) {
	t.Helper()
	c, err := backup.Open(dir, run)
	ok(t, err)
	defer c.Close()
	things = map[string]string{}
	ok(t, c.Each(t.Context(), "things", func(key string, r io.Reader) error {
		b, err := io.ReadAll(r)
		things[key] = string(b)
		again, gerr := c.Get("things", key)
		if gerr != nil {
			return gerr
		}
		if twice, err := io.ReadAll(again); err != nil || !bytes.Equal(twice, b) {
			t.Errorf("%s by its place: %d octets, %v", key, len(twice), err)
		}
		return err
	}))
	ok(t, c.Each(t.Context(), "lines", func(_ string, r io.Reader) error {
		b, err := io.ReadAll(r)
		lines += string(b)
		return err
	}))
	return things, lines
}

// TestChains: whatever changes between runs, each run gives back what there was when it was
// made, and an incremental one has only what changed.
func TestChains(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "b")
		ok(t, err)
		things, lines, at := map[string]string{}, "", start
		type saved struct {
			run    string
			things map[string]string
			lines  string
		}
		var all []saved
		for range rapid.IntRange(1, 4).Draw(r, "runs") {
			changed := map[string]bool{}
			for range rapid.IntRange(0, 5).Draw(r, "changes") {
				k := rapid.SampledFrom([]string{"a", "b", "c", "d:é", "e/f"}).Draw(r, "key")
				if rapid.Bool().Draw(r, "gone") {
					delete(things, k)
					delete(changed, k)
					continue
				}
				v := strings.Repeat(rapid.StringN(0, 9, 40).Draw(r, "value"), rapid.SampledFrom([]int{1, 1, 1, 1, 1, 1, 1, 1 << 16}).Draw(r, "times"))
				changed[k] = things[k] != v || changed[k]
				things[k] = v
			}
			line := rapid.StringN(1, 5, 20).Draw(r, "line")
			kind := rapid.SampledFrom([]backup.Kind{backup.Full, backup.Incremental, backup.Incremental}).Draw(r, "kind")
			if kind == backup.Full || len(all) == 0 {
				lines = ""
			}
			lines += line
			m := save(t, options(dir, kind, at), things, line)
			if m.Kind == backup.Incremental && m.Written["things"] > len(changed) {
				t.Errorf("%d records written, %d changed", m.Written["things"], len(changed))
			}
			all, at = append(all, saved{m.Run, maps.Clone(things), lines}), at.Add(time.Hour)
		}
		for _, s := range all {
			got, gotLines := load(t, dir, s.run)
			if d := cmp.Diff(s.things, got); d != "" || gotLines != s.lines {
				t.Fatalf("%s: -want +got\n%s\nlines %q, want %q", s.run, d, gotLines, s.lines)
			}
		}
	})
}

// TestOneByte flips every byte of every file, one at a time: it is named.
func TestOneByte(t *testing.T) {
	dir := t.TempDir()
	save(t, options(dir, backup.Full, start), map[string]string{"a": "alpha", "b": strings.Repeat("beta", 300)}, "one")
	last := save(t, options(dir, backup.Incremental, start.Add(time.Hour)), map[string]string{"a": "alpha", "b": "other"}, "two")
	files, flipped := 0, 0
	for _, run := range last.Chain {
		entries, err := os.ReadDir(filepath.Join(dir, run))
		ok(t, err)
		for _, e := range entries {
			path := filepath.Join(dir, run, e.Name())
			whole, err := os.ReadFile(path)
			ok(t, err)
			files++
			for i := range whole {
				bad := bytes.Clone(whole)
				bad[i] ^= 1 << (i % 8)
				ok(t, os.WriteFile(path, bad, 0o600))
				flipped++
				named(t, dir, last.Run, run, e.Name(), i)
			}
			ok(t, os.WriteFile(path, whole, 0o600))
		}
	}
	t.Logf("%d bytes of %d files, each flipped", flipped, files)
	if err := verify(t, dir, last.Run); err != nil {
		t.Error(err)
	}
}

func verify(t testing.TB, dir, run string) error {
	c, err := backup.Open(dir, run)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Verify(t.Context())
	return err
}

func named(t *testing.T, dir, last, run, file string, at int) {
	t.Helper()
	err := verify(t, dir, last)
	var d *backup.DamageError
	if !errors.As(err, &d) {
		t.Fatalf("byte %d of %s/%s: %v", at, run, file, err)
	}
	want := file
	if strings.HasPrefix(file, "manifest.") {
		want = "manifest.json"
	}
	if d.Run != run || d.File != want {
		t.Errorf("byte %d of %s/%s: named is %v", at, run, file, d)
	}
	if strings.HasSuffix(file, ".rec") && at >= 8 && d.Record == 0 {
		t.Errorf("byte %d of %s/%s: no record is named: %v", at, run, file, d)
	}
}

// TestMissingAndSwapped: a file that is gone, cut, or taken from another place is named too.
func TestMissingAndSwapped(t *testing.T) {
	for name, spoil := range map[string]func(path, other string) error{
		"gone":    func(path, _ string) error { return os.Remove(path) },
		"cut":     func(path, _ string) error { return os.Truncate(path, 40) },
		"empty":   func(path, _ string) error { return os.Truncate(path, 0) },
		"swapped": func(path, other string) error { return os.Rename(other, path) },
	} {
		dir := t.TempDir()
		a := save(t, options(dir, backup.Full, start), map[string]string{"a": "alpha"}, "one")
		b := save(t, options(dir, backup.Full, start.Add(time.Hour)), map[string]string{"a": "omega"}, "two")
		path := filepath.Join(dir, a.Run, "things-00001.rec")
		ok(t, spoil(path, filepath.Join(dir, b.Run, "things-00001.rec")))
		var d *backup.DamageError
		if err := verify(t, dir, a.Run); !errors.As(err, &d) || d.File != "things-00001.rec" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBrokenOff: a run that fails leaves nothing, and the next one stands on the last whole one.
func TestBrokenOff(t *testing.T) {
	dir := t.TempDir()
	full := save(t, options(dir, backup.Full, start), map[string]string{"a": "alpha"})
	broken := errors.New("no more")
	if _, err := backup.Run(t.Context(), options(dir, backup.Incremental, start.Add(time.Hour)), func(_ context.Context, w *backup.Writer) error {
		return errors.Join(w.Section("things").Add("b", "1", strings.NewReader("beta")), broken)
	}); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if runs, damaged, err := backup.List(dir); len(runs) != 1 || len(damaged) > 0 || err != nil {
		t.Errorf("%d runs, %v, %v", len(runs), damaged, err)
	}
	entries, err := os.ReadDir(dir)
	ok(t, err)
	if len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	next := save(t, options(dir, backup.Incremental, start.Add(2*time.Hour)), map[string]string{"a": "alpha"})
	if d := cmp.Diff([]string{full.Run, next.Run}, next.Chain); d != "" {
		t.Error(d)
	}
}

// TestKilled kills the process that writes a run: there is no half one.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("POSTERN_TEST_BACKUP_DIR"); dir != "" {
		_, err := backup.Run(t.Context(), options(dir, backup.Full, start.Add(time.Hour)), func(_ context.Context, w *backup.Writer) error {
			for n := 0; ; n++ {
				if err := w.Section("things").Add(fmt.Sprint(n), "1", strings.NewReader(strings.Repeat("x", 9999))); err != nil {
					return err
				}
				if n == 500 {
					fmt.Println("under way")
				}
			}
		})
		t.Fatal(err)
	}
	dir := t.TempDir()
	full := save(t, options(dir, backup.Full, start), map[string]string{"a": "alpha"})
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), "POSTERN_TEST_BACKUP_DIR="+dir)
	out, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	if _, err := io.ReadFull(out, make([]byte, len("under way"))); err != nil {
		t.Fatal(err)
	}
	ok(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	half, err := filepath.Glob(filepath.Join(dir, ".half-*"))
	ok(t, err)
	runs, damaged, err := backup.List(dir)
	if len(runs) != 1 || runs[0].Run != full.Run || len(damaged) > 0 || err != nil || len(half) != 1 {
		t.Errorf("%d runs, %v, %v, half ones %v", len(runs), damaged, err, half)
	}
	save(t, options(dir, backup.Incremental, start.Add(2*time.Hour)), map[string]string{"a": "alpha"})
	if half, err = filepath.Glob(filepath.Join(dir, ".half-*")); err != nil || len(half) > 0 {
		t.Errorf("left behind: %v %v", half, err)
	}
}

// TestNoBase: without a run that is whole to stand on, everything is written.
func TestNoBase(t *testing.T) {
	dir := t.TempDir()
	if m := save(t, options(dir, backup.Incremental, start), map[string]string{"a": "alpha"}); m.Kind != backup.Full {
		t.Errorf("the first run is %s", m.Kind)
	}
	m := save(t, options(dir, backup.Incremental, start.Add(time.Hour)), map[string]string{"a": "alpha"})
	if m.Kind != backup.Incremental || m.Written["things"] != 0 || m.Live["things"] != 1 {
		t.Errorf("the second: %+v", m)
	}
	ok(t, os.WriteFile(filepath.Join(dir, m.Run, "things.idx"), []byte("rubbish"), 0o600))
	if m := save(t, options(dir, backup.Incremental, start.Add(2*time.Hour)), map[string]string{"a": "alpha"}); m.Kind != backup.Full {
		t.Errorf("after damage: %s", m.Kind)
	}
	o := options(dir, backup.Incremental, start.Add(3*time.Hour))
	if o.Home = "redis"; save(t, o, nil).Kind != backup.Full {
		t.Error("a run of another home stands on those of this one")
	}
}

// TestPrune: what is old goes, unless what stays needs it.
func TestPrune(t *testing.T) {
	dir, day := t.TempDir(), 24*time.Hour
	for n := range 40 {
		kind := backup.Incremental
		if n%3 == 0 {
			kind = backup.Full
		}
		at := start.Add(time.Duration(n) * day)
		save(t, options(dir, kind, at), map[string]string{"a": fmt.Sprint(n)})
		_, err := backup.Prune(dir, at, 10*day)
		ok(t, err)
		runs, damaged, err := backup.List(dir)
		if err != nil || len(damaged) > 0 {
			t.Fatal(damaged, err)
		}
		if oldest := at.Sub(runs[0].Started); n >= 10 && oldest < 10*day || oldest > 12*day {
			t.Errorf("day %d: the oldest is %s old", n, oldest)
		}
		for _, r := range runs {
			if err := verify(t, dir, r.Run); err != nil {
				t.Fatalf("day %d: %v", n, err)
			}
		}
	}
	if gone, err := backup.Prune(dir, start.Add(400*day), 10*day); len(gone) == 0 || err != nil {
		t.Error(gone, err)
	}
	if runs, _, _ := backup.List(dir); len(runs) != 1 { // day 39 is a full one
		t.Errorf("%d runs stay", len(runs))
	}
}

// failing breaks off after some bytes.
type failing struct{ n int }

func (f *failing) Read(p []byte) (int, error) {
	if f.n <= 0 {
		return 0, errors.New("the disk says no")
	}
	n := min(len(p), f.n)
	f.n -= n
	return n, nil
}

// TestSourceFails: a record that cannot be read to its end is left out, and the rest is whole.
func TestSourceFails(t *testing.T) {
	dir := t.TempDir()
	m, err := backup.Run(t.Context(), options(dir, backup.Full, start), func(_ context.Context, w *backup.Writer) error {
		for n, size := range []int{0, 10, 3 << 20} {
			for _, s := range []*backup.Section{w.Section("things"), w.Log("lines")} {
				var bad *backup.SourceError
				if err := s.Add(fmt.Sprint("bad", n), "1", &failing{size}); !errors.As(err, &bad) {
					t.Errorf("%d: %v", size, err)
				}
			}
		}
		return errors.Join(w.Section("things").Put("good", "1", "value"), w.Log("lines").Put("good", "", "line"))
	})
	ok(t, err)
	ok(t, verify(t, dir, m.Run))
	c, err := backup.Open(dir, m.Run)
	ok(t, err)
	defer c.Close()
	var got []string
	for _, s := range []string{"things", "lines"} {
		ok(t, c.Each(t.Context(), s, func(key string, r io.Reader) error {
			b, err := io.ReadAll(r)
			if err == nil {
				got = append(got, key+string(b))
			}
			return err
		}))
	}
	if d := cmp.Diff([]string{`good"value"`, `good"line"`}, got); d != "" {
		t.Error(d)
	}
	if _, err := c.Get("things", "bad1"); !errors.Is(err, backup.ErrNoRecord) {
		t.Error(err)
	}
}

func TestNames(t *testing.T) {
	for _, run := range []string{"", "..", "../x", "20200203T040506Z-full/..", "x"} {
		if _, err := backup.Open(t.TempDir(), run); !errors.Is(err, backup.ErrNoRun) {
			t.Errorf("%q: %v", run, err)
		}
	}
}
