package bayes_test

import (
	"os"
	"path/filepath"
	"testing"

	"postern/filter/bayes"
	"postern/internal/mailtest/entities"
	home "postern/internal/store/local/bayes"
	"postern/internal/store/storetest/bayestest"
)

func open(t testing.TB, path string) *home.Store {
	t.Helper()
	script, err := os.ReadFile("../schema/bayes-1.sql")
	if err != nil {
		t.Fatal(err)
	}
	s, err := home.Open(t.Context(), path, []string{string(script)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestCounts(t *testing.T) {
	bayestest.Run(t, func(t testing.TB) bayes.Store { return open(t, filepath.Join(t.TempDir(), "bayes.db")) })
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bayes.db")
	s := open(t, path)
	c := bayes.Change{ID: bayestest.ID(1), Class: bayes.Spam, Tokens: []uint64{1, 1 << 63}}
	if err := s.Apply(t.Context(), []bayes.Change{c}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if err := s.Apply(t.Context(), []bayes.Change{c}); err != nil { // known from before
		t.Fatal(err)
	}
	got, err := s.Counts(t.Context(), c.Tokens)
	if err != nil || got[0] != (bayes.Count{Spam: 1}) || got[1] != got[0] {
		t.Errorf("after opening it again: %v, %v", got, err)
	}
}

// TestSideBySide learns on several sides of one node at once.
func TestSideBySide(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "bayes.db"))
	bayestest.Nodes(t, &entities.Memory{}, s, s)
}
