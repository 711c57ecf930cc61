package journal_test

import (
	"bufio"
	"fmt"
	mrand "math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/store/redis/journal"
)

// childEnv names the folder a helper process works in; it is this test binary, run again.
const childEnv = "POSTERN_TEST_JOURNAL"

// TestCrashWriter writes until it is killed, and says what it was answered. It does so only as
// the helper process of TestCrash.
func TestCrashWriter(t *testing.T) {
	dir := os.Getenv(childEnv)
	if dir == "" {
		return
	}
	j := open(t, journal.Options{Dir: dir, Segment: 200_000})
	var wg sync.WaitGroup
	var mu sync.Mutex
	for w := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("%d-%d-%d", os.Getpid(), w, n)
				body := noise(mrand.IntN(30_000))
				if err := putErr(t, j, id, "r", body); err != nil {
					t.Error(err)
					return
				}
				end := n%3 == 0
				if end {
					set(t, j, tombstone(id, "t", time.Now().Add(time.Hour)))
				}
				mu.Lock()
				fmt.Printf("acked %s %s %v\n", id, digest(body), end)
				mu.Unlock()
			}
		})
	}
	wg.Go(func() {
		for {
			if err := j.Tend(t.Context()); err != nil {
				t.Error(err)
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	wg.Wait()
}

// TestCrash kills a process that writes and moves, again and again: all it was answered is
// there.
func TestCrash(t *testing.T) {
	dir := folder(t)
	acked := map[string][2]string{}
	for range 8 {
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
		left := mrand.IntN(60) + 1
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			var id, sha, end string
			if _, err := fmt.Sscanf(lines.Text(), "acked %s %s %s", &id, &sha, &end); err != nil {
				t.Fatalf("%q: %v", lines.Text(), err)
			}
			acked[id] = [2]string{sha, end}
			if left--; left == 0 {
				if err := cmd.Process.Kill(); err != nil { // what is in the pipe was answered too: read on
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); left > 0 {
			t.Fatalf("the writer ended by itself: %v", err)
		}
		checkCrash(t, dir, acked)
	}
	t.Logf("%d writes were answered in 8 lives", len(acked))
}

func checkCrash(t *testing.T, dir string, acked map[string][2]string) {
	t.Helper()
	var log strings.Builder
	j := open(t, journal.Options{Dir: dir, Segment: 200_000, Log: logTo(&log)})
	defer j.Close()
	for id, want := range acked {
		e, err := j.Get(kind, id)
		if err != nil || (e.State == journal.Ended) != (want[1] == "true") {
			t.Errorf("%s: state %d, %v; ended %s", id, e.State, err, want[1])
			continue
		}
		if e.State == journal.Live {
			if body, err := read(j, id); err != nil || digest(body) != want[0] {
				t.Errorf("%s: %v", id, err)
			}
		}
	}
	if strings.Contains(log.String(), "lost its body") {
		t.Error(log.String())
	}
}
