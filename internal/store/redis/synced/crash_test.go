package synced

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestWriter is no test: it is the process that TestCrash kills. Four writers count upwards,
// each under its own name, and say what is on the disk.
func TestWriter(t *testing.T) {
	path := os.Getenv("SYNCED_CRASH")
	if path == "" {
		t.Skip("only as the child of TestCrash")
	}
	f, err := Open(Options{Path: path, Waste: 4000})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			name := fmt.Sprint("w", w)
			have, _ := f.Get(name)
			n, _ := strconv.Atoi(string(have))
			for {
				n++
				value := []byte(fmt.Sprint(n))
				if err := f.Put(Change{name, value}, Change{name + " twin", value}); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				fmt.Fprintf(os.Stdout, "put %s %d\n", name, n)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// TestCrash kills a writing process again and again: what it said was written is there, both
// halves of each write, and nothing was set aside.
func TestCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	rounds := 8
	if testing.Short() {
		rounds = 2
	}
	for range rounds {
		said := killed(t, path)
		f, err := Open(Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		if f.Aside() != "" {
			t.Errorf("set aside: %s", f.Aside())
		}
		for name, n := range said {
			value, _ := f.Get(name)
			twin, _ := f.Get(name + " twin")
			if got, _ := strconv.Atoi(string(value)); got < n || string(twin) != string(value) {
				t.Errorf("%s is %q and %q, said %d", name, value, twin, n)
			}
		}
		f.Close()
	}
}

// killed runs a writer for a moment and kills it; what it said it had written.
func killed(t *testing.T, path string) map[string]int {
	cmd := exec.Command(os.Args[0], "-test.run", "^TestWriter$")
	cmd.Env = append(os.Environ(), "SYNCED_CRASH="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := map[string]int{}
	lines := bufio.NewScanner(out)
	for n, after := 0, 20+rand.IntN(300); lines.Scan(); n++ {
		var name string
		var value int
		if strings.HasPrefix(lines.Text(), "put ") {
			if _, err := fmt.Sscanf(lines.Text(), "put %s %d", &name, &value); err == nil {
				said[name] = value
			}
		}
		if n == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	if len(said) == 0 {
		t.Fatal("the writer wrote nothing")
	}
	return said
}

// FuzzRead: whatever the file holds, it opens, and what is read once is read again.
func FuzzRead(f *testing.F) {
	s := salt([]byte("saltsalt"))
	one, _ := frame(head(s), s, []Change{{"a", []byte("1")}, {"b", nil}})
	two, _ := frame(one, s, []Change{{"c", []byte("2")}})
	f.Add([]byte{})
	f.Add([]byte(magic))
	f.Add(one)
	f.Add(two)
	f.Add(two[:len(two)-3])
	f.Add(append(append([]byte{}, two[:20]...), two[21:]...))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		first, err := Open(Options{Path: path, Now: func() time.Time { return time.Unix(0, 0) }})
		if err != nil {
			t.Fatal(err)
		}
		before := texts(first)
		put(t, first, "more", "x")
		first.Close()
		second, err := Open(Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		defer second.Close()
		before["more"] = "x"
		want(t, second, before)
		if second.Aside() != "" {
			t.Error("a file that was made good is damaged")
		}
	})
}
