package local_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"postern/filter/bayes"
	"postern/internal/store/local"
	"postern/internal/store/storetest/bayestest"
)

// TestDamagedCounts: the counts of learning are derived, so a damaged file stops nothing.
func TestDamagedCounts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home")
	for _, damage := range []bool{false, true} {
		path := filepath.Join(dir, "bayes.db")
		if damage {
			if err := os.WriteFile(path, []byte("this is no database, however it is looked at, and never was one"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		h, err := local.Open(t.Context(), local.Options{Dir: dir, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		got, err := h.Bayes().Counts(t.Context(), []uint64{7})
		if err != nil || got[0] != (bayes.Count{}) {
			t.Errorf("%v, %v", got, err)
		}
		if err := h.Bayes().Apply(t.Context(), []bayes.Change{{ID: bayestest.ID(1), Class: bayes.Spam, Tokens: []uint64{7}}}); err != nil {
			t.Error(err)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path + ".damaged"); (err == nil) != damage {
			t.Errorf("set aside: %v", err)
		}
	}
}
