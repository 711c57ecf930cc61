package filemark_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/internal/filemark"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Each way to change a file gives it another mark; looking at it, or changing and restoring its
// mode, gives none.
func TestMarks(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if filemark.Of(path) != (filemark.Mark{}) || filemark.Of("") != (filemark.Mark{}) {
		t.Error("a file that is not there has a mark")
	}
	at := time.Date(2030, 1, 7, 10, 0, 0, 123456789, time.UTC)
	write := func(name, text string, at time.Time) {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		must(t, os.Chtimes(filepath.Join(dir, name), at, at))
	}
	write("f", "one", at)
	before := filemark.Of(path)
	for name, change := range map[string]func(){
		"another time": func() { write("f", "one", at.Add(time.Millisecond)) },
		"another size": func() { write("f", "three", at) },
		"a rename": func() {
			write("g", "two", at)
			must(t, os.Rename(filepath.Join(dir, "g"), path))
		},
		"gone": func() { must(t, os.Remove(path)) },
	} {
		write("f", "one", at)
		was := filemark.Of(path)
		_, err := os.ReadFile(path)
		must(t, err)
		must(t, os.Chmod(path, 0o644))
		if filemark.Of(path) != was {
			t.Errorf("%s: reading it was a change", name)
		}
		if change(); filemark.Of(path) == was {
			t.Errorf("%s is not seen", name)
		}
	}
	info, err := os.Stat(dir)
	must(t, err)
	if filemark.From(info) != filemark.Of(dir) || before == (filemark.Mark{}) {
		t.Error("two marks of the same version")
	}
}

// The time of a file may lie a little behind the clock; a file that is not there is not young.
func TestSince(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	at := time.Date(2030, 1, 7, 10, 0, 0, 0, time.UTC)
	must(t, os.WriteFile(path, nil, 0o600))
	must(t, os.Chtimes(path, at, at))
	m := filemark.Of(path)
	if !m.Since(at.Add(-time.Second)) || !m.Since(at) || m.Since(at.Add(filemark.Grain)) || m.Since(at.Add(time.Hour)) {
		t.Error("before and after are not told apart")
	}
	if (filemark.Mark{}).Since(time.Time{}) {
		t.Error("what is not there is young")
	}
}

func TestFollow(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	looks := 0
	if err := filemark.Follow(ctx, time.Millisecond, func() {
		if looks++; looks == 3 {
			cancel()
		}
	}); err != nil || looks < 3 {
		t.Errorf("%d looks, %v", looks, err)
	}
	if err := filemark.Follow(ctx, time.Hour, func() { t.Error("looked after its end") }); err != nil {
		t.Error(err)
	}
}
