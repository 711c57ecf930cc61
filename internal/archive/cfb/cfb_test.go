package cfb_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"postern/internal/archive/cfb"
	"postern/internal/mailtest"
	"postern/internal/mailtest/samples"
)

func TestRead(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789abcdef"), 1000)
	f, err := cfb.Open(samples.Compound(nil, samples.Text("short", "hello"), samples.Member{Name: "VBA"}, samples.Member{Name: "длинный", Data: long}))
	if err != nil || len(f.Entries) != 4 || f.Cut {
		t.Fatalf("%+v, %v", f, err)
	}
	for i, want := range []string{"Root Entry", "short", "VBA", "длинный"} {
		if e := f.Entries[i]; e.Name != want || e.Storage != (i == 0 || i == 2) {
			t.Errorf("entry %d: %+v", i, e)
		}
	}
	if b := f.Read(f.Entries[1], 5); string(b) != "hello" {
		t.Errorf("%q", b)
	}
	if b := f.Read(f.Entries[3], 1<<20); !bytes.HasPrefix(b, long) {
		t.Errorf("%d bytes", len(b))
	}
	if b := f.Read(f.Entries[3], 100); len(b) != 100 {
		t.Errorf("%d bytes where 100 were asked for", len(b))
	}
	if f.Read(f.Entries[2], 100) != nil || f.Read(f.Entries[1], -1) != nil {
		t.Error("a storage has bytes")
	}
	if !f.Has("VBA", "x") || f.Has("x") {
		t.Error("Has")
	}
}

// The tree says what holds what; the list stays as it is stored.
func TestParents(t *testing.T) {
	f, err := cfb.Open(samples.Attachments(samples.Text("a.txt", "a"), samples.Member{Name: "inner"}, samples.Text("", "b")))
	if err != nil {
		t.Fatal(err)
	}
	want := []int{-1, 0, 0, 0, 3, 3, 3, 0, 7, 7, 7, 10, 11}
	if got := f.Parents(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	flat, err := cfb.Open(samples.Compound(nil, samples.Text("a", "b"), samples.Member{Name: "c"}))
	if err != nil || !slices.Equal(flat.Parents(), []int{-1, -1, -1}) {
		t.Errorf("%v, %v", flat.Parents(), err)
	}
}

func TestNotCompound(t *testing.T) {
	whole := samples.Compound(nil, samples.Text("a", "b"))
	for name, change := range map[string]func(b []byte) []byte{
		"empty":           func([]byte) []byte { return nil },
		"another file":    func(b []byte) []byte { b[0] = 0; return b },
		"header alone":    func(b []byte) []byte { return b[:512] },
		"huge sectors":    func(b []byte) []byte { b[30] = 30; return b },
		"tiny sectors":    func(b []byte) []byte { b[32] = 0; return b },
		"no directory":    func(b []byte) []byte { binary.LittleEndian.PutUint32(b[48:], 1<<30); return b },
		"directory a bit": func(b []byte) []byte { return b[:1024+100] },
	} {
		if _, err := cfb.Open(change(bytes.Clone(whole))); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	if !cfb.Is(whole) || cfb.Is(whole[1:]) {
		t.Error("Is")
	}
}

// Chains that turn in circles, and lists of tables that do, end where the file does.
func TestCircles(t *testing.T) {
	whole := samples.Compound(nil, samples.Member{Name: "a", Data: bytes.Repeat([]byte("x"), 5000)})
	for name, change := range map[string]func(b []byte){
		"stream": func(b []byte) {
			binary.LittleEndian.PutUint32(b[512+4*3:], 2)
			binary.LittleEndian.PutUint32(b[512+4*2:], 3)
		},
		"directory": func(b []byte) { binary.LittleEndian.PutUint32(b[512+4*1:], 1) },
		"list":      func(b []byte) { binary.LittleEndian.PutUint32(b[68:], 0) },
		"itself":    func(b []byte) { binary.LittleEndian.PutUint32(b[512:], 0) },
	} {
		b := bytes.Clone(whole)
		change(b)
		f, err := cfb.Open(b)
		if err != nil {
			continue
		}
		for _, e := range f.Entries {
			if got := f.Read(e, 1<<40); len(got) > len(b) {
				t.Errorf("%s: %d bytes of a file of %d", name, len(got), len(b))
			}
		}
		if len(f.Entries) > cfb.MaxEntries {
			t.Errorf("%s: %d entries", name, len(f.Entries))
		}
	}
}

// TestRealFiles reads the compound files of the public suites.
func TestRealFiles(t *testing.T) {
	dir := mailtest.Suites(t, "av/clamav-testfiles")
	for _, name := range []string{"clam.ole.doc", "clam.ppt"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		f, err := cfb.Open(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		total := 0
		for _, e := range f.Entries {
			got := f.Read(e, 1<<30)
			if !e.Storage && int64(len(got)) != e.Size {
				t.Errorf("%s: %q has %d bytes of %d", name, e.Name, len(got), e.Size)
			}
			total += len(got)
		}
		if len(f.Entries) < 3 || total < 500 {
			t.Errorf("%s: %d entries, %d bytes", name, len(f.Entries), total)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(samples.Compound(nil, samples.Text("short", "hello"), samples.Member{Name: "VBA"}))
	f.Add(samples.Macros("Sub AutoOpen()\r\nEnd Sub\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := cfb.Open(b)
		if err != nil {
			return
		}
		left := 1 << 20
		for _, e := range file.Entries {
			got := file.Read(e, 1<<16)
			if len(got) > len(b) || len(got) > 1<<16 {
				t.Fatalf("%d bytes of a file of %d", len(got), len(b))
			}
			if left -= len(got); left < 0 {
				return
			}
		}
	})
}
