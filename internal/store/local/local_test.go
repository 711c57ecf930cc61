package local_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"postern/internal/store/local"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

// fresh opens a home in a new folder and closes it with the test.
func fresh(t testing.TB) *local.Home {
	t.Helper()
	return reopen(t, filepath.Join(t.TempDir(), "state"))
}

func reopen(t testing.TB, dir string) *local.Home {
	t.Helper()
	h, err := local.Open(t.Context(), local.Options{Dir: dir, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func TestHolds(t *testing.T) {
	storetest.Holds(t, func(t testing.TB) quarantine.Store { return fresh(t).Holds() })
}

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	h := reopen(t, dir)
	keepOne(t, h)
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := os.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
