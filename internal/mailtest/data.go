// Package mailtest is the test kit: a scripted world around the gateway and the data that
// tests read.
package mailtest

import (
	"os"
	"path/filepath"
	"testing"
)

// Suites returns the folder name below the public test suites (SUITES, by default
// ../shared/suites beside the module). Without them the test fails under CI and is skipped,
// saying so, elsewhere.
func Suites(t testing.TB, name string) string { return data(t, "SUITES", "suites", name) }

// Corpora returns the folder name below the labelled mail (CORPORA, by default
// ../shared/corpora beside the module), as Suites does.
func Corpora(t testing.TB, name string) string { return data(t, "CORPORA", "corpora", name) }

func data(t testing.TB, env, folder, name string) string {
	t.Helper()
	root := os.Getenv(env)
	if root == "" {
		root = filepath.Join(ModuleRoot(t), "..", "shared", folder)
	}
	dir := filepath.Join(root, filepath.FromSlash(name))
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s: test data is missing: %v", env, err)
		}
		t.Skipf("conformance was not run: %s has no %s", env, name)
	}
	return dir
}

// ModuleRoot returns the folder of go.mod above the test's working folder.
func ModuleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the working folder")
		}
		dir = up
	}
}
