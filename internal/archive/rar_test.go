package archive_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"postern/internal/archive"
	"postern/internal/mailtest/samples"
)

// What RAR 5 packs is expanded; a byte too few or too many is damage.
func TestRARPacked(t *testing.T) {
	text := []byte("hello, packed world, hello, packed world")
	m := samples.Member{Name: "a.txt", Data: text}
	stream := samples.Literals(text)
	for name, x := range map[string]struct {
		b    []byte
		want string
	}{
		"packed":             {samples.RAR(samples.Packing{Method: 3, Streams: [][]byte{stream}}, m), ""},
		"packed twice":       {samples.RAR(samples.Packing{Method: 5, Streams: [][]byte{stream, stream}}, m, m), ""},
		"cut off":            {samples.RAR(samples.Packing{Method: 3, Streams: [][]byte{stream[:len(stream)-9]}}, m), "unreadable"},
		"a table of nothing": {samples.RAR(samples.Packing{Method: 3, Streams: [][]byte{append(bytes.Clone(stream[:5]), make([]byte, 60)...)}}, m), "unreadable"},
		"another content":    {samples.RAR(samples.Packing{Method: 3, Streams: [][]byte{samples.Literals([]byte(strings.Repeat("x", len(text))))}}, m), "unreadable"},
		"no block":           {samples.RAR(samples.Packing{Method: 3, Streams: [][]byte{{}}}, m), "unreadable"},
	} {
		seen := ""
		f, err := archive.Walk(t.Context(), "a", bytes.NewReader(x.b), int64(len(x.b)), archive.Limits{}, func(_ archive.Entry, head []byte) { seen = string(head) })
		if err != nil || bad(f) != x.want || x.want == "" && seen != string(text) {
			t.Errorf("%s: %q %v %+v", name, seen, err, f)
		}
	}
}

// RAR 1.5 to 4 is read too.
func TestOldRAR(t *testing.T) {
	a, b := samples.Text("a.txt", "hello"), samples.Text(`sub\b.exe`, "MZ")
	for name, x := range map[string]struct {
		b     []byte
		names string
		want  string
	}{
		"stored":          {samples.OldRAR(0, 0, a, b), "a!a.txt a!sub/b.exe", ""},
		"locked members":  {samples.OldRAR(0, samples.RARFilePass, a, b), "a!a.txt a!sub/b.exe", "encrypted"},
		"locked headers":  {samples.OldRAR(samples.RARLocked, 0, a), "", "encrypted"},
		"goes on":         {samples.OldRAR(samples.RARVolume, samples.RARFileGoes, a), "a!a.txt", "unreadable"},
		"nothing in it":   {samples.OldRAR(0, 0), "", ""},
		"cut off":         {samples.OldRAR(0, 0, a, b)[:70], "a!a.txt", "unreadable"},
		"the mark alone":  {[]byte("Rar!\x1a\x07\x00"), "", "unreadable"},
		"a broken header": {bytes.Replace(samples.OldRAR(0, 0, a), []byte("a.txt"), []byte("b.txt"), 1), "", "unreadable"},
	} {
		if f := walk(t, x.b, archive.Limits{}); names(f) != x.names || bad(f) != x.want {
			t.Errorf("%s: %q %q, want %q %q: %+v", name, names(f), bad(f), x.names, x.want, f)
		}
	}
}

// Whatever byte is another, nothing panics, nothing goes beyond the limits, and what was packed is
// never shown as something else without a word.
func TestEveryByteOfAnArchive(t *testing.T) {
	text := []byte("hello, hello, hello")
	m := samples.Member{Name: "a.txt", Data: text}
	coder, packed := samples.LZMA(text)
	for name, b := range map[string][]byte{
		"rar":         samples.RAR(samples.Packing{Method: 3, Streams: [][]byte{samples.Literals(text)}}, m),
		"old rar":     samples.OldRAR(0, 0, m),
		"7z":          samples.Seven(samples.Packing{Coder: coder, Streams: [][]byte{packed}}, m),
		"7z, stored":  samples.Seven(samples.Packing{}, m),
		"7z, two":     samples.Seven(samples.Packing{}, m, m),
		"disk, names": samples.Disk(m)[:21*2048+len(text)],
	} {
		lim := archive.Limits{Bytes: 1 << 20, EntryBytes: 1 << 19, Entries: 20, Dictionary: 1 << 20}
		from := 8 // behind the mark
		if strings.HasPrefix(name, "disk") {
			from = 20 * 2048
		}
		for at := from; at < min(len(b), from+700); at++ {
			for _, v := range []byte{0, 1, 0x7f, 0x80, 0xff, b[at] ^ 0x20} {
				c := slices.Clone(b)
				c[at] = v
				if f := walk(t, c, lim); f.Expanded > lim.Bytes+(1<<17) || len(f.Entries) > lim.Entries {
					t.Fatalf("%s, byte %d as %#x: %+v", name, at, v, f)
				}
			}
		}
		for n := range min(len(b), from+700) {
			if f := walk(t, b[:n], lim); len(f.Entries) > 2 {
				t.Fatalf("%s, %d bytes of it: %+v", name, n, f)
			}
		}
	}
}
