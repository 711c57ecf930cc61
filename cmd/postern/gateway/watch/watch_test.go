package watch_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"postern/cmd/postern/gateway/watch"
)

func start(t *testing.T, dirs func() []string, read time.Time) <-chan struct{} {
	t.Helper()
	seen := make(chan struct{}, 10)
	w, err := watch.New(watch.Parts{
		Dirs: dirs, Read: read, Log: slog.New(slog.DiscardHandler),
		Reload: func(context.Context) { seen <- struct{}{} },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		w.Close()
	})
	return seen
}

func once(t *testing.T, seen <-chan struct{}) {
	t.Helper()
	select {
	case <-seen:
	case <-time.After(time.Minute):
		t.Fatal("the change was not seen")
	}
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("a: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestChanges(t *testing.T) {
	dir, other := t.TempDir(), filepath.Join(t.TempDir(), "later")
	seen := start(t, func() []string { return []string{dir, other} }, time.Time{})
	write(t, filepath.Join(dir, "notes.txt"))
	write(t, filepath.Join(dir, "a.yaml"))
	once(t, seen)
	if err := os.Mkdir(other, 0o700); err != nil { // a folder that was not there at the start
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	once(t, seen)
	write(t, filepath.Join(other, "b.yaml"))
	once(t, seen)
	tmp := filepath.Join(dir, "a.new")
	write(t, tmp)
	if err := os.Rename(tmp, filepath.Join(dir, "a.yaml")); err != nil { // as editors save
		t.Fatal(err)
	}
	once(t, seen)
}

func TestWhatChangedBeforeTheWatch(t *testing.T) {
	dir := t.TempDir()
	dirs := func() []string { return []string{dir} }
	write(t, filepath.Join(dir, "a.yaml"))
	once(t, start(t, dirs, time.Now().Add(-time.Hour)))

	quiet := start(t, dirs, time.Now().Add(time.Hour))
	write(t, filepath.Join(dir, "notes.txt"))
	select {
	case <-quiet:
		t.Error("reloaded for what is no configuration")
	case <-time.After(600 * time.Millisecond):
	}
}
