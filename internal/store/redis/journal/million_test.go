package journal_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"postern/internal/store/redis/journal"
)

// TestMillion says what a million entries take in memory and on disk, and how long they take to
// be read at a start.
func TestMillion(t *testing.T) {
	if os.Getenv("POSTERN_CAMPAIGN") != "1" {
		t.Skip("only in the campaign")
	}
	const entries, together = 1_000_000, 2000
	o := journal.Options{Dir: filepath.Join(t.TempDir(), "j")}
	empty := heap()
	j, err := journal.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	record, until := bytes.Repeat([]byte("x"), 600), time.Now().Add(time.Hour)
	start := time.Now()
	for i := 0; i < entries; i += together {
		items := make([]journal.Item, together)
		for k := range items {
			items[k] = journal.Item{Kind: "hold", ID: fmt.Sprintf("01m81kdwnpdsh6qcjk%08d-02", i+k), Record: record, State: journal.Ended, Until: until}
		}
		if err := j.Set(t.Context(), items...); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("written in %v", time.Since(start).Round(time.Second))
	say := func(when string, j *journal.Journal) {
		t.Helper()
		st := j.Stats()
		used := heap() - empty
		t.Logf("%s: %d tombstones, %d MB on disk, %d MB of memory, %d bytes an entry", when, st.Tombstones, st.Bytes>>20, used>>20, used/entries)
		if st.Tombstones != entries {
			t.Errorf("%d entries", st.Tombstones)
		}
	}
	say("written", j)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	start = time.Now()
	if j, err = journal.Open(o); err != nil {
		t.Fatal(err)
	}
	t.Logf("opened in %v", time.Since(start).Round(100*time.Millisecond))
	say("opened", j)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// heap is what is in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
