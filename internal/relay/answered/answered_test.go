package answered_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"postern/filter"
	"postern/internal/relay/answered"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func open(t *testing.T, dir string, c *clock) *answered.Journal {
	t.Helper()
	j, err := answered.Open(dir, c.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func add(t *testing.T, j *answered.Journal, key string) answered.Answer {
	t.Helper()
	a := answered.Answer{Reply: "250 2.0.0 " + key, Fates: []filter.Fate{{Recipient: "a@b.example", State: filter.Held, Hold: "h"}}}
	if err := j.Add(t.Context(), key, a); err != nil {
		t.Fatal(err)
	}
	return a
}

func found(j *answered.Journal, key string) bool {
	_, ok := j.Find(key)
	return ok
}

func TestSettling(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	j := open(t, t.TempDir(), c)
	want := add(t, j, "k")
	if found(j, "k") {
		t.Error("an answer nobody knows about stands for a retry")
	}
	j.Settle("k", false)
	got, ok := j.Find("k")
	if d := cmp.Diff(want, got); d != "" || !ok {
		t.Error(d)
	}
	j.Settle("k", true)
	j.Settle("k", false)
	j.Settle("unknown", false)
	if found(j, "k") || found(j, "unknown") {
		t.Error("a read answer stands for a retry")
	}
	add(t, j, "old")
	j.Settle("old", false)
	c.t = c.t.Add(answered.Window + time.Second)
	if found(j, "old") {
		t.Error("found after the window")
	}
}

// What was not settled when the process ended was not read; what was read is forgotten; a
// last line cut off at any byte harms nothing before it.
func TestReopen(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	dir := t.TempDir()
	j := open(t, dir, c)
	add(t, j, "pending")
	add(t, j, "unread")
	add(t, j, "read")
	j.Settle("unread", false)
	j.Settle("read", true)
	j.Close()
	name := filepath.Join(dir, "answered.jsonl")
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v %v", info.Mode(), err)
	}
	last := strings.LastIndex(strings.TrimSuffix(string(whole), "\n"), "\n") + 1
	for cut := last; cut <= len(whole); cut += 7 {
		if err := os.WriteFile(name, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		j := open(t, dir, c)
		if !found(j, "pending") || !found(j, "unread") || cut == len(whole) && found(j, "read") {
			t.Errorf("cut at %d of %d", cut, len(whole))
		}
		add(t, j, "after")
		j.Close()
		if j = open(t, dir, c); !found(j, "after") || !found(j, "pending") {
			t.Errorf("cut at %d: what was added after is lost", cut)
		}
		j.Close()
	}
	c.t = c.t.Add(answered.Window + time.Second)
	j = open(t, dir, c)
	if found(j, "pending") {
		t.Error("found after the window")
	}
	if text, err := os.ReadFile(name); err != nil || len(text) != 0 {
		t.Errorf("the file keeps what is over: %s %v", text, err)
	}
}

// TestNote: what is written without a sync answers a retry, also after the process has ended, and
// a file that is closed loses no more than that.
func TestNote(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	dir := t.TempDir()
	j := open(t, dir, c)
	for _, key := range []string{"unread", "read", "pending"} {
		if err := j.Note(key, answered.Answer{Reply: "250 2.0.0 " + key}); err != nil {
			t.Fatal(err)
		}
		if found(j, key) {
			t.Errorf("%s: the client may still read it", key)
		}
	}
	j.Settle("unread", false)
	j.Settle("read", true)
	if !found(j, "unread") || found(j, "read") {
		t.Error("a noted answer is not settled like others")
	}
	add(t, j, "synced after")
	j.Close()
	j = open(t, dir, c)
	for key, want := range map[string]bool{"unread": true, "pending": true, "read": false, "synced after": true} {
		if found(j, key) != want {
			t.Errorf("%s after a new start: %v", key, !want)
		}
	}
	j.Close()
	if err := j.Note("closed", answered.Answer{Reply: "250 2.0.0 closed"}); err == nil {
		t.Error("a closed file takes a note")
	}
	j.Settle("closed", false)
	if !found(j, "closed") {
		t.Error("in memory the answer does not stand")
	}
}

func TestSideBySide(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	dir := t.TempDir()
	j := open(t, dir, c)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			key := fmt.Sprint("k", i)
			if err := j.Add(context.Background(), key, answered.Answer{Reply: "250 ok"}); err != nil {
				t.Error(err)
			}
			j.Settle(key, i%2 == 0)
		})
	}
	wg.Wait()
	j.Close()
	j = open(t, dir, c)
	for i := range 100 {
		if found(j, fmt.Sprint("k", i)) != (i%2 == 1) {
			t.Errorf("k%d", i)
		}
	}
}

func TestAddAfterClose(t *testing.T) {
	j := open(t, t.TempDir(), &clock{time.Unix(1_800_000_000, 0)})
	j.Close()
	if err := j.Add(t.Context(), "k", answered.Answer{}); err == nil {
		t.Error("written to a closed file")
	}
}

func TestNoFolder(t *testing.T) {
	if _, err := answered.Open(filepath.Join(t.TempDir(), "none"), time.Now); err == nil {
		t.Error("opened in a folder that is not there")
	}
}

func BenchmarkAdd(b *testing.B) {
	j, err := answered.Open(b.TempDir(), time.Now)
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			key := fmt.Sprint("k", i)
			if err := j.Add(context.Background(), key, answered.Answer{Reply: "250 ok"}); err != nil {
				b.Fatal(err)
			}
			j.Settle(key, true)
		}
	})
}
