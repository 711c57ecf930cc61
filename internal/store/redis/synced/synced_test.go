package synced

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func options(t *testing.T) Options {
	return Options{Path: filepath.Join(t.TempDir(), "file")}
}

func open(t *testing.T, o Options) *File {
	t.Helper()
	f, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func put(t *testing.T, f *File, pairs ...string) {
	t.Helper()
	var changes []Change
	for i := 0; i < len(pairs); i += 2 {
		changes = append(changes, Change{pairs[i], []byte(pairs[i+1])})
	}
	if err := f.Put(changes...); err != nil {
		t.Fatal(err)
	}
}

func texts(f *File) map[string]string {
	all := map[string]string{}
	for name, value := range f.All() {
		all[name] = string(value)
	}
	return all
}

func want(t *testing.T, f *File, want map[string]string) {
	t.Helper()
	if d := cmp.Diff(want, texts(f)); d != "" {
		t.Errorf("records:\n%s", d)
	}
}

func TestPutGetRemoveAndReadAgain(t *testing.T) {
	o := options(t)
	f := open(t, o)
	put(t, f, "a", "1", "b", "2")
	put(t, f, "a", "3", "empty", "")
	if err := f.Put(Change{Name: "b"}, Change{Name: "never there"}); err != nil {
		t.Fatal(err)
	}
	left := map[string]string{"a": "3", "empty": ""}
	want(t, f, left)
	if v, ok := f.Get("a"); string(v) != "3" || !ok || f.Len() != 2 {
		t.Errorf("Get: %q, %v; Len %d", v, ok, f.Len())
	}
	if _, ok := f.Get("b"); ok {
		t.Error("a removed record is there")
	}
	if err := f.Put(); err != nil {
		t.Error(err)
	}
	f.Close()
	if err := f.Put(Change{"a", []byte("4")}); err == nil {
		t.Error("a closed file took a record")
	}
	f = open(t, o)
	want(t, f, left)
	if f.Aside() != "" || f.Degraded() != nil {
		t.Errorf("aside %q, %v", f.Aside(), f.Degraded())
	}
	if info, err := os.Stat(o.Path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestBounds(t *testing.T) {
	o := options(t)
	o.MaxLive = 3 << 20
	f := open(t, o)
	big := strings.Repeat("x", MaxRecord-1)
	for _, c := range []Change{{"", []byte("x")}, {"ab", []byte(big)}} {
		if err := f.Put(c); !errors.Is(err, ErrRecord) {
			t.Errorf("%.5q: %v", c.Name, err)
		}
	}
	put(t, f, "a", big, "b", big)
	if err := f.Put(Change{"c", []byte(big)}); !errors.Is(err, ErrFull) {
		t.Errorf("one too many: %v", err)
	}
	put(t, f, "a", big[1:]) // no more than before
	if err := f.Put(Change{Name: "a"}, Change{"c", []byte(big)}); err != nil {
		t.Errorf("one in place of another: %v", err)
	}
	var many []Change
	for range 20 {
		many = append(many, Change{"c", []byte(big)})
	}
	f.o.MaxLive = 1 << 40
	if err := f.Put(many...); !errors.Is(err, ErrRecord) {
		t.Errorf("a frame too long: %v", err)
	}
	put(t, f, "small", "x")
}

// TestTornTail cuts the file at every byte: whole writes before the cut are there, the one that
// was cut is not, neither in part, and the file takes records again.
func TestTornTail(t *testing.T) {
	o := options(t)
	f := open(t, o)
	var ends []int64
	states := []map[string]string{{}}
	for i := range 6 {
		put(t, f, fmt.Sprint("k", i%4), fmt.Sprint("value ", i), "both", fmt.Sprint(i))
		ends = append(ends, f.size)
		states = append(states, texts(f))
	}
	f.Close()
	whole, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := headLen; cut <= len(whole); cut++ {
		for _, tail := range []string{"", strings.Repeat("\x00", 30)} {
			if err := os.WriteFile(o.Path, []byte(string(whole[:cut])+tail), 0o600); err != nil {
				t.Fatal(err)
			}
			f := open(t, o)
			n, _ := slices.BinarySearch(ends, int64(cut)+1)
			want(t, f, states[n])
			put(t, f, "after", "the crash")
			f.Close()
			f = open(t, o)
			if v, _ := f.Get("after"); string(v) != "the crash" || f.Aside() != "" {
				t.Fatalf("cut at %d: %q, aside %q", cut, v, f.Aside())
			}
			f.Close()
		}
	}
}

// TestDamage spoils each byte: no other record than the one hit is lost, what is wrong is never
// read, and the damaged file is kept for whoever wants to look.
func TestDamage(t *testing.T) {
	o := options(t)
	f := open(t, o)
	var ends []int
	for i := range 4 {
		put(t, f, fmt.Sprint("k", i), fmt.Sprint("value ", i))
		ends = append(ends, int(f.size))
	}
	f.Close()
	whole, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range whole {
		bad := slices.Clone(whole)
		bad[at] ^= 0x41
		if err := os.WriteFile(o.Path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		f := open(t, o)
		hit, _ := slices.BinarySearch(ends, at+1)
		left := map[string]string{}
		for i := range 4 {
			if i != hit && at >= headLen {
				left[fmt.Sprint("k", i)] = fmt.Sprint("value ", i)
			}
		}
		want(t, f, left)
		if last := hit == 3; (f.Aside() == "") != last {
			t.Errorf("byte %d: aside %q", at, f.Aside())
		}
		if f.Aside() != "" {
			if kept, err := os.ReadFile(f.Aside()); err != nil || !slices.Equal(kept, bad) {
				t.Errorf("byte %d: set aside: %v", at, err)
			}
			os.Remove(f.Aside())
		}
		f.Close()
	}
}

// TestARecordIsNoFrame puts what looks like a frame into a record and damages what is around it.
func TestARecordIsNoFrame(t *testing.T) {
	o := options(t)
	f := open(t, o)
	inner, err := frame(nil, salt([]byte("stranger")), []Change{{"evil", []byte("true")}})
	if err != nil {
		t.Fatal(err)
	}
	put(t, f, "text", string(inner))
	put(t, f, "next", "x")
	f.Close()
	whole, _ := os.ReadFile(o.Path)
	whole[headLen+13] ^= 1
	if err := os.WriteFile(o.Path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, open(t, o), map[string]string{"next": "x"})
}

func TestCompaction(t *testing.T) {
	o := options(t)
	o.Waste = 1000
	f := open(t, o)
	var largest int64
	for i := range 500 {
		put(t, f, fmt.Sprint(i%7), strings.Repeat("x", 50)+fmt.Sprint(i))
		info, err := os.Stat(o.Path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() != f.size {
			t.Fatalf("the file has %d bytes, not %d", info.Size(), f.size)
		}
		largest = max(largest, f.size)
	}
	if most := 2*f.live + 1000 + 200; largest > most {
		t.Errorf("the file grew to %d bytes, more than %d", largest, most)
	}
	before := texts(f)
	f.Close()
	f = open(t, o)
	want(t, f, before)
	if left, _ := filepath.Glob(o.Path + "*"); len(left) != 1 {
		t.Errorf("files left: %v", left)
	}
}

func TestCompactionThatFails(t *testing.T) {
	o := options(t)
	o.Waste = 200
	f := open(t, o)
	if err := os.Mkdir(o.Path+".new", 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		put(t, f, "a", fmt.Sprint(i))
	}
	if f.Degraded() != nil {
		t.Errorf("a compaction that failed stopped the file: %v", f.Degraded())
	}
	grown := f.size
	if err := os.Remove(o.Path + ".new"); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		put(t, f, "a", fmt.Sprint(i))
	}
	if f.size > grown {
		t.Errorf("%d bytes: not tried again", f.size)
	}
	f.Close()
	want(t, open(t, o), map[string]string{"a": "99"})
}

func TestFailedSync(t *testing.T) {
	o := options(t)
	f := open(t, o)
	put(t, f, "a", "1")
	cause := errors.New("input/output error")
	f.sync = func(*os.File) error { return cause }
	err := f.Put(Change{"a", []byte("2")})
	if !errors.Is(err, ErrReadOnly) || !errors.Is(err, cause) {
		t.Errorf("Put: %v", err)
	}
	f.sync = (*os.File).Sync
	if err := f.Put(Change{"b", []byte("2")}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("Put after it: %v", err)
	}
	if !errors.Is(f.Degraded(), ErrReadOnly) {
		t.Errorf("Degraded: %v", f.Degraded())
	}
	want(t, f, map[string]string{"a": "1"})
	f.Close()
	put(t, open(t, o), "b", "3")
}

func TestFailedSyncOfTheFolder(t *testing.T) {
	o := options(t)
	o.Waste = 100
	f := open(t, o)
	f.sync = func(file *os.File) error {
		if info, err := file.Stat(); err == nil && info.IsDir() {
			return errors.New("input/output error")
		}
		return file.Sync()
	}
	var err error
	for i := 0; i < 20 && err == nil; i++ {
		err = f.Put(Change{"a", []byte(fmt.Sprint(i))})
	}
	if !errors.Is(err, ErrReadOnly) {
		t.Errorf("after a rename that may be undone: %v", err)
	}
}

// TestFailedWrite closes the descriptor under the file: nothing can be taken back.
func TestFailedWrite(t *testing.T) {
	f := open(t, options(t))
	put(t, f, "a", "1")
	f.f.Close()
	if err := f.Put(Change{"a", []byte("2")}); err == nil {
		t.Error("a write that failed was reported as good")
	}
	if f.Degraded() == nil {
		t.Error("a write that could not be taken back did not stop the file")
	}
	want(t, f, map[string]string{"a": "1"})
}

func TestGroupCommit(t *testing.T) {
	o := options(t)
	o.Waste = 2000 // with compactions in between
	f := open(t, o)
	var syncs atomic.Int64
	gate := make(chan struct{})
	f.sync = func(file *os.File) error {
		syncs.Add(1)
		<-gate
		return file.Sync()
	}
	const writers, each = 16, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				name, value := fmt.Sprint(w, "-", i%3), fmt.Sprint(i)
				if err := f.Put(Change{name, []byte(value)}); err != nil {
					t.Error(err)
				}
				if got, _ := f.Get(name); string(got) != value {
					t.Errorf("%s is %q after Put of %q", name, got, value)
				}
			}
		})
	}
	for range writers { // the first sync lasts until the others queue up
		gate <- struct{}{}
	}
	close(gate)
	wg.Wait()
	if n := syncs.Load(); n > writers*each {
		t.Errorf("%d syncs for %d writes", n, writers*each)
	}
	before := texts(f)
	f.Close()
	want(t, open(t, o), before)
}

func TestOpenFails(t *testing.T) {
	o := options(t)
	for name, path := range map[string]string{"no folder": filepath.Join(o.Path, "x"), "a folder": filepath.Dir(o.Path)} {
		if f, err := Open(Options{Path: path}); err == nil {
			f.Close()
			t.Errorf("%s: opened", name)
		}
	}
	f, err := os.Create(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(4<<30), f.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a file of 4 GiB: %v", err)
	}
}

// TestModel runs random operations on a file and on a map side by side.
func TestModel(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		o := Options{Path: filepath.Join(dir, fmt.Sprint(n)), Waste: 300}
		f, err := Open(o)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { f.Close() }()
		model := map[string]string{}
		names := rapid.SampledFrom([]string{"a", "b", "c", "\x00", "ä"})
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				var changes []Change
				for name, value := range rapid.MapOf(names, rapid.SliceOfN(rapid.Byte(), 0, 60)).Draw(rt, "puts") {
					model[name] = string(value)
					changes = append(changes, Change{name, append([]byte{}, value...)})
				}
				if err := f.Put(changes...); err != nil {
					rt.Fatal(err)
				}
			},
			"remove": func(rt *rapid.T) {
				name := names.Draw(rt, "name")
				delete(model, name)
				if err := f.Put(Change{Name: name}); err != nil {
					rt.Fatal(err)
				}
			},
			"restart": func(rt *rapid.T) {
				f.Close()
				if f, err = Open(o); err != nil {
					rt.Fatal(err)
				}
			},
			"": func(rt *rapid.T) {
				if !maps.Equal(model, texts(f)) {
					rt.Fatalf("records: %v, want %v", texts(f), model)
				}
			},
		})
	})
}
