package archive_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"postern/internal/archive"
	"postern/internal/mailtest/samples"
)

func names(f archive.Facts) string {
	var out []string
	for _, e := range f.Entries {
		out = append(out, e.Name)
	}
	return strings.Join(out, " ")
}

// What RAR, 7z and disk images hold is listed and shown, in one another and in the others too.
func TestPackedArchivesAreRead(t *testing.T) {
	text := []byte(strings.Repeat("An ordinary line of text.\n", 400))
	two := []samples.Member{{Name: "a.txt", Data: text}, {Name: "b/c.txt", Data: []byte("payload")}}
	coder, packed := samples.LZMA(append(slices.Clone(text), "payload"...))
	lzma := samples.Seven(samples.Packing{Coder: coder, Streams: [][]byte{packed}}, two...)
	rar, plain, disk := samples.RAR(samples.Packing{}, two...), samples.Seven(samples.Packing{}, two...), samples.Disk(two...)
	in := func(name string, b []byte) samples.Member { return samples.Member{Name: name, Data: b} }
	for name, x := range map[string]struct {
		b           []byte
		kind, names string
		inner       int
	}{
		"rar":          {rar, "rar", "a!a.txt a!b/c.txt", 0},
		"7z, stored":   {plain, "7z", "a!a.txt a!b/c.txt", 0},
		"7z, LZMA":     {lzma, "7z", "a!a.txt a!b/c.txt", 0},
		"disk":         {disk, "iso", "a!a.txt a!b a!b/c.txt", 0},
		"rar in zip":   {zipped(t, content{"x.rar", rar}), "zip", "a!x.rar a!x.rar!a.txt a!x.rar!b/c.txt", 1},
		"7z in rar":    {samples.RAR(samples.Packing{}, in("x.7z", lzma)), "rar", "a!x.7z a!x.7z!a.txt a!x.7z!b/c.txt", 1},
		"disk in 7z":   {samples.Seven(samples.Packing{}, in("x.iso", disk)), "7z", "a!x.iso a!x.iso!a.txt a!x.iso!b a!x.iso!b/c.txt", 1},
		"zip in disk":  {samples.Disk(in("x.zip", zipped(t, content{"c.txt", []byte("payload")})), in("pad", make([]byte, 70_000))), "iso", "a!x.zip a!x.zip!c.txt a!pad", 1},
		"7z in tar.gz": {gzipped(t, tarred(t, content{"x.7z", plain})), "gzip", "a!x.7z a!x.7z!a.txt a!x.7z!b/c.txt", 1},
	} {
		t.Run(name, func(t *testing.T) {
			seen := ""
			f, err := archive.Walk(t.Context(), "a", bytes.NewReader(x.b), int64(len(x.b)), archive.Limits{}, func(_ archive.Entry, head []byte) { seen += string(head) })
			if err != nil || f.Kind != x.kind || names(f) != x.names || bad(f) != "" || len(f.Inner) != x.inner {
				t.Errorf("%v %+v", err, f)
			}
			if !strings.Contains(seen, "payload") {
				t.Errorf("the content was not shown: %q", seen)
			}
		})
	}
}

// H-G07: what asks for too much is refused before there is room made for it; what is damaged,
// locked, of another volume or of a method not read here is said.
func TestPackedLies(t *testing.T) {
	text := []byte(strings.Repeat("text ", 2000))
	m := samples.Member{Name: "a.txt", Data: text}
	zeros := samples.Member{Name: "z", Data: make([]byte, 6<<20)}
	coder, packed := samples.LZMA(zeros.Data)
	wide := append([]byte{0x23, 3, 1, 1, 5, 0x5d}, 0xff, 0xff, 0xff, 0xff)
	claim := func(size uint64, stream []byte) []byte {
		return samples.Seven(samples.Packing{Coder: wide, Streams: [][]byte{stream}, Size: size}, samples.Member{Name: "a.exe"})
	}
	chain := make([]byte, 3<<20)
	disk := samples.Disk(m)
	for name, x := range map[string]struct {
		b    []byte
		want string
		say  string
	}{
		"rar dictionary of 4 GB":    {samples.RAR(samples.Packing{Method: 3, Dictionary: 15, Size: 90 << 20}, m), "bomb", "dictionary"},
		"7z dictionary of 4 GB":     {claim(100<<20, make([]byte, 2<<20)), "bomb", "dictionary"},
		"7z of a terabyte":          {claim(1<<40, chain), "bomb", "says it expands"},
		"7z ratio":                  {samples.Seven(samples.Packing{Coder: coder, Streams: [][]byte{packed}}, zeros), "bomb", "more than 100 times"},
		"7z of very many members":   {samples.SevenStart(nil, []byte{1, 5, 0xff, 0, 0, 0, 1, 0, 0, 0, 0}), "bomb", "more members"},
		"7z of very many folders":   {samples.SevenStart(nil, []byte{1, 4, 7, 0x0b, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0}), "unreadable", "directory is damaged"},
		"rar, locked":               {samples.RAR(samples.Packing{Locked: true}, m), "encrypted", ""},
		"7z, locked":                {samples.Seven(samples.Packing{Locked: true}, m), "encrypted", ""},
		"rar, damaged":              {bytes.Replace(samples.RAR(samples.Packing{}, m), []byte("text text"), []byte("test text"), 1), "unreadable", "damaged"},
		"rar, cut off":              {samples.RAR(samples.Packing{}, m)[:500], "unreadable", "cut off"},
		"7z, cut off":               {samples.Seven(samples.Packing{}, m)[:500], "unreadable", "cut off"},
		"7z, a method of its own":   {samples.Seven(samples.Packing{Coder: []byte{3, 3, 4, 1}}, m), "foreign", ""},
		"7z, no such data":          {samples.Seven(samples.Packing{Coder: wide, Streams: [][]byte{[]byte("\xff nothing")}}, m), "unreadable", "damaged"},
		"disk, cut off":             {disk[:len(disk)-2048], "unreadable", "outside"},
		"disk without a directory":  {disk[:19*2048], "unreadable", "damaged"},
		"disk with very many files": {samples.Disk(slices.Repeat([]samples.Member{{Name: "a"}}, 40)...), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			f := walk(t, x.b, archive.Limits{})
			runtime.ReadMemStats(&after)
			if bad(f) != x.want || !strings.Contains(f.Bomb+strings.Join(f.Unreadable, " "), x.say) {
				t.Errorf("%+v; want %q with %q", f, x.want, x.say)
			}
			if room := after.TotalAlloc - before.TotalAlloc; room > 40<<20 {
				t.Errorf("took %d bytes of memory", room)
			}
		})
	}
}

// Names stand in the directory whatever the content is: what is locked is listed.
func TestLockedMembersAreListed(t *testing.T) {
	m := samples.Member{Name: "order.exe", Data: []byte("MZ")}
	for name, b := range map[string][]byte{
		"rar": samples.RAR(samples.Packing{Locked: true}, m), "7z": samples.Seven(samples.Packing{Locked: true}, m), "7z by a method of its own": samples.Seven(samples.Packing{Coder: []byte{3, 3, 4, 1}}, m),
	} {
		if f := walk(t, b, archive.Limits{}); names(f) != "a!order.exe" {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// One budget holds for all forms.
func TestPackedBudget(t *testing.T) {
	m := samples.Member{Name: "a", Data: []byte(strings.Repeat("abcdefgh", 2000))}
	for name, b := range map[string][]byte{
		"rar": samples.RAR(samples.Packing{}, m, m), "7z": samples.Seven(samples.Packing{}, m, m), "disk": samples.Disk(m, m),
	} {
		for what, lim := range map[string]archive.Limits{"bytes": {Bytes: 20_000}, "a member": {EntryBytes: 10_000}, "members": {Entries: 1}} {
			if f := walk(t, b, lim); bad(f) != "bomb" {
				t.Errorf("%s, %s: %+v", name, what, f)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := archive.Walk(ctx, "a", bytes.NewReader(b), int64(len(b)), archive.Limits{}, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: err = %v", name, err)
		}
	}
	deep := samples.RAR(samples.Packing{}, m)
	for range 6 {
		deep = samples.RAR(samples.Packing{}, samples.Member{Name: "x.rar", Data: deep})
	}
	if f := walk(t, deep, archive.Limits{}); !strings.Contains(f.Bomb, "nested more than 5") {
		t.Errorf("%+v", f)
	}
}

// A file that begins as another and is a disk image too is read as both.
func TestDiskBehindAnotherBeginning(t *testing.T) {
	b := samples.Disk(samples.Member{Name: "order.exe", Data: []byte("MZ")})
	copy(b, gzipped(t, []byte("hello")))
	if f := walk(t, b, archive.Limits{}); !strings.Contains(names(f), "a!order.exe") {
		t.Errorf("%+v", f)
	}
}

func FuzzPacked(f *testing.F) {
	m := samples.Member{Name: "a.txt", Data: []byte("hello hello hello hello")}
	coder, packed := samples.LZMA(m.Data)
	f.Add(samples.RAR(samples.Packing{}, m))
	f.Add(samples.RAR(samples.Packing{Method: 3}, m))
	f.Add(append([]byte("Rar!\x1a\x07\x00"), "\xcf\x90\x73\x00\x00\x0d\x00\x00\x00\x00\x00\x00\x00"...))
	f.Add(samples.Seven(samples.Packing{}, m, m))
	f.Add(samples.Seven(samples.Packing{Coder: coder, Streams: [][]byte{packed}}, m))
	f.Fuzz(func(t *testing.T, b []byte) {
		lim := archive.Limits{Bytes: 1 << 20, EntryBytes: 1 << 19, Entries: 50, Dictionary: 1 << 20}
		if facts := walk(t, b, lim); facts.Expanded > lim.Bytes+(1<<17) || len(facts.Entries) > lim.Entries {
			t.Errorf("over the limits: %d bytes, %d entries", facts.Expanded, len(facts.Entries))
		}
	})
}
