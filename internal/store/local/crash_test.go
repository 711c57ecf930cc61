package local_test

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"postern/internal/store/local"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

// childEnv names the folder a helper process works in; it is this test binary, run again.
const childEnv = "POSTERN_TEST_HOME"

// child is the command that runs one test of this binary as a helper process on dir.
func child(t *testing.T, test, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$", "-test.count=1")
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	return cmd
}

// randomBody is text that hardly compresses.
func randomBody(size int) string {
	b := make([]byte, size/2)
	if _, err := rand.Read(b); err != nil {
		return ""
	}
	return fmt.Sprintf("%x", b)
}

// TestCrashWriter writes holds until it is killed, and prints each one it may answer for.
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
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				if err := crashWrite(t, h, &mu); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func crashWrite(t *testing.T, h *local.Home, mu *sync.Mutex) error {
	body := randomBody(mrand.IntN(60_000) + 2)
	hold := storetest.Hold(int(mrand.Int64()), body)
	got, err := h.Holds().Put(t.Context(), hold, strings.NewReader(body))
	if err != nil {
		return err
	}
	if mrand.IntN(4) == 0 {
		return h.Holds().Drop(t.Context(), []string{got.ID})
	}
	if err := h.Holds().Confirm(t.Context(), []string{got.ID}); err != nil {
		return err
	}
	end := mrand.IntN(4) == 0
	if end {
		got.Version++
		got.State, got.Ended = quarantine.Deleted, &quarantine.Ended{At: hold.At}
		if _, err := h.Holds().Change(t.Context(), got); err != nil {
			return err
		}
	}
	mu.Lock()
	defer mu.Unlock()
	_, err = fmt.Printf("acked %s %s %v\n", got.ID, got.SHA256, end)
	return err
}

// TestCrash kills a process that writes holds, again and again: every hold it answered for is
// whole, and nothing half is left.
func TestCrash(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	acked := map[string][2]string{}
	for range 12 {
		cmd := child(t, "TestCrashWriter", dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = t.Output()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		left := mrand.IntN(40) + 1
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			var id, sha, ended string
			if _, err := fmt.Sscanf(lines.Text(), "acked %s %s %s", &id, &sha, &ended); err != nil {
				t.Fatalf("%q: %v", lines.Text(), err)
			}
			acked[id] = [2]string{sha, ended}
			if left--; left == 0 {
				// What is still in the pipe was answered for as well: read on.
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); left > 0 {
			t.Fatalf("the writer ended by itself: %v", err)
		}
		checkCrash(t, dir, acked)
	}
	t.Logf("%d holds were answered for in 12 lives", len(acked))
}

func checkCrash(t *testing.T, dir string, acked map[string][2]string) {
	t.Helper()
	h, err := local.Open(t.Context(), local.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for id, want := range acked {
		got, err := h.Holds().Get(t.Context(), id)
		switch {
		case err != nil:
			t.Errorf("%s is lost: %v", id, err)
		case (got.State == quarantine.Deleted) != (want[1] == "true"):
			t.Errorf("%s is %s, ended %s", id, got.State, want[1])
		case got.State == quarantine.Held:
			readWhole(t, h, id)
		}
	}
	st, err := h.Holds().Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := files(t, dir); len(got) != st.Bodies {
		t.Errorf("%d files, %d bodies in the database", len(got), st.Bodies)
	}
	for _, f := range files(t, dir) {
		if strings.Contains(f, "/bodies/tmp/") {
			t.Errorf("a half file stayed: %s", f)
		}
	}
}

// readWhole reads a body to its end, which verifies it.
func readWhole(t *testing.T, h *local.Home, id string) {
	t.Helper()
	r, err := h.Holds().Body(t.Context(), id)
	if err == nil {
		_, err = io.Copy(io.Discard, r)
		err = errors.Join(err, r.Close())
	}
	if err != nil {
		t.Errorf("%s: body: %v", id, err)
	}
}
