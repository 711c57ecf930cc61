package history_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"postern/filter/history"
	"postern/internal/store/local"
)

// childEnv names the folder the helper process of TestCrash works in.
const childEnv = "POSTERN_TEST_HISTORY"

// TestCrashWriter marks until it is killed and says which marks are more than a second old.
// It does so only as the helper process of TestCrash.
func TestCrashWriter(t *testing.T) {
	dir := os.Getenv(childEnv)
	if dir == "" {
		return
	}
	h, err := local.Open(t.Context(), local.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	type sent struct {
		n  int
		at time.Time
	}
	var young []sent
	for n := 1; ; n++ {
		if err := h.History().Mark(t.Context(), []history.Mark{good(n, noon())}); err != nil {
			t.Fatal(err)
		}
		young = append(young, sent{n, time.Now()})
		for len(young) > 0 && time.Since(young[0].at) > 2*time.Second {
			fmt.Printf("old %d\n", young[0].n)
			young = young[1:]
		}
		time.Sleep(time.Millisecond)
	}
}

// TestCrash kills a process that marks: what was marked two seconds before is there, and the
// file is whole.
func TestCrash(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrashWriter$", "-test.count=1")
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last, left := 0, 200
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if _, err := fmt.Sscanf(lines.Text(), "old %d", &last); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		if left--; left == 0 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); left > 0 {
		t.Fatalf("the writer ended by itself: %v", err)
	}
	h, err := local.Open(t.Context(), local.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for n := 1; n <= last; n++ {
		if past(t, h.History(), noon(), n).Good != 1 {
			t.Fatalf("mark %d of %d is lost", n, last)
		}
	}
}
