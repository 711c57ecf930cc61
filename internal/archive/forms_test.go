package archive_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postern/internal/archive"
)

// wideZip rewrites an ordinary zip so that sizes and offsets stand in zip64 records.
func wideZip(t *testing.T, name string, data []byte) []byte {
	t.Helper()
	le := binary.LittleEndian
	m := plainRaw(t, name, data)
	extra := make([]byte, 4+24)
	le.PutUint16(extra, 1)
	le.PutUint16(extra[2:], 24)
	le.PutUint64(extra[4:], uint64(len(data)))
	le.PutUint64(extra[12:], uint64(len(m.packed)))
	m.size, m.csize, m.dirSize, m.dirCsize = 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff
	m.extra = bytes.Clone(extra[:20])
	le.PutUint16(m.extra[2:], 16)
	m.dirExtra = extra
	b := handmade(m)
	end := b[len(b)-22:]
	dirSize, dirAt := le.Uint32(end[12:]), le.Uint32(end[16:])
	le.PutUint32(b[int(dirAt)+42:], 0xffffffff) // the offset, which is 0, from the record too
	wide := make([]byte, 56+20)
	copy(wide, "PK\x06\x06")
	le.PutUint64(wide[4:], 44)
	le.PutUint64(wide[24:], 1)
	le.PutUint64(wide[32:], 1)
	le.PutUint64(wide[40:], uint64(dirSize))
	le.PutUint64(wide[48:], uint64(dirAt))
	copy(wide[56:], "PK\x06\x07")
	le.PutUint64(wide[64:], uint64(len(b)-22))
	tail := bytes.Clone(end)
	for i := 8; i < 20; i++ {
		tail[i] = 0xff
	}
	return slices.Concat(b[:len(b)-22], wide, tail)
}

func TestZip64(t *testing.T) {
	text := []byte(strings.Repeat("wide ", 300))
	b := wideZip(t, "w.txt", text)
	f := walk(t, b, archive.Limits{})
	if bad(f) != "" || len(f.Entries) != 1 || f.Entries[0].Size != int64(len(text)) {
		t.Errorf("%+v", f)
	}
	lie := bytes.Clone(b)
	at := bytes.Index(lie, []byte("PK\x06\x06"))
	binary.LittleEndian.PutUint64(lie[at+32:], 1<<40)
	if f := walk(t, lie, archive.Limits{}); f.Bomb == "" {
		t.Errorf("a directory of 2^40 members: %+v", f)
	}
	binary.LittleEndian.PutUint64(lie[at+32:], 1)
	binary.LittleEndian.PutUint64(lie[at+40:], 1<<62)
	if f := walk(t, lie, archive.Limits{}); bad(f) != "unreadable" {
		t.Errorf("a directory of 2^62 bytes: %+v", f)
	}
}

func TestEndRecord(t *testing.T) {
	z := zipped(t, content{"a.txt", []byte("one")}, content{"b.txt", []byte("two")})
	edit := func(f func(end []byte)) []byte {
		b := bytes.Clone(z)
		f(b[len(b)-22:])
		return b
	}
	for name, tc := range map[string]struct {
		b    []byte
		want string
		say  string
	}{
		"more than there are":  {edit(func(e []byte) { e[10]++ }), "unreadable", "as many members"},
		"fewer than there are": {edit(func(e []byte) { e[10]-- }), "unreadable", "as many members"},
		"volumes":              {edit(func(e []byte) { e[4] = 1 }), "unreadable", "several volumes"},
		"size outside":         {edit(func(e []byte) { e[15] = 0x7f }), "unreadable", "outside the file"},
		"offset outside":       {edit(func(e []byte) { e[19] = 0x7f }), "unreadable", "outside the file"},
		"two end records":      {append(bytes.Clone(z), z...), "", ""},
		"long comment":         {append(edit(func(e []byte) { e[20], e[21] = 0xff, 0xff }), make([]byte, 0xffff)...), "", ""},
	} {
		f := walk(t, tc.b, archive.Limits{})
		if got := bad(f); tc.say != "" && (got != tc.want || !strings.Contains(strings.Join(f.Unreadable, " "), tc.say)) {
			t.Errorf("%s: %q %q, want %q with %q", name, got, f.Unreadable, tc.want, tc.say)
		}
		if len(f.Entries) == 0 && name != "volumes" {
			t.Errorf("%s: its members are not read", name)
		}
	}
}

// helloBzip2 is "hello\n" as bzip2 writes it.
const helloBzip2 = "425a6839314159265359c1c080e2000001410000100244a00030cd00c3462997177245385090c1c080e2"

func TestBzip2(t *testing.T) {
	b, err := hex.DecodeString(helloBzip2)
	if err != nil {
		t.Fatal(err)
	}
	seen := ""
	f, err := archive.Walk(t.Context(), "hello.txt.bz2", bytes.NewReader(b), int64(len(b)), archive.Limits{}, func(e archive.Entry, head []byte) {
		seen = e.Name + "=" + string(head)
	})
	if err != nil || f.Kind != "bzip2" || bad(f) != "" || f.Expanded != 6 || seen != "hello.txt.bz2!hello.txt=hello\n" {
		t.Errorf("%+v, seen %q, %v", f, seen, err)
	}
	if f := walk(t, b[:len(b)-8], archive.Limits{}); bad(f) != "unreadable" {
		t.Errorf("cut off: %+v", f)
	}
}

func TestSmallLimits(t *testing.T) {
	text := []byte(strings.Repeat("abcdefghij", 500))
	z := zipped(t, content{"a", text}, content{"b", text})
	for name, lim := range map[string]archive.Limits{
		"entries":      {Entries: 1},
		"bytes":        {Bytes: 7000},
		"entry":        {EntryBytes: 4000},
		"nested bytes": {Nested: 10},
	} {
		b := z
		if name == "nested bytes" {
			b = gzipped(t, z)
		}
		if f := walk(t, b, lim); f.Bomb == "" {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// TestWrittenIsRead: whatever ordinary archive is written is read whole, nested ones too.
func TestWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var list []content
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-zA-Z0-9 ._/-]{1,20}[a-z]`), 1, 6, rapid.ID).Draw(rt, "names")
		for _, n := range names {
			list = append(list, content{n, rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(rt, "data")})
		}
		b := zipped(t, list...)
		if rapid.Bool().Draw(rt, "tar") {
			b = tarred(t, list...)
		}
		for range rapid.IntRange(0, 3).Draw(rt, "levels") {
			if rapid.Bool().Draw(rt, "gzip") {
				b = gzipped(t, b)
			} else {
				b = zipped(t, content{"inner", b})
			}
		}
		got := map[string][]byte{}
		f, err := archive.Walk(t.Context(), "a", bytes.NewReader(b), int64(len(b)), archive.Limits{}, func(e archive.Entry, head []byte) {
			got[e.Name[strings.LastIndexByte(e.Name, '!')+1:]] = bytes.Clone(head)
		})
		if err != nil || bad(f) != "" && bad(f) != "foreign" {
			rt.Fatalf("%+v, %v", f, err)
		}
		for _, c := range list {
			if data, ok := got[c.name]; archive.Detect(c.data) == "" && (!ok || !bytes.Equal(data, c.data)) {
				rt.Fatalf("%q was not read back: %q", c.name, got)
			}
		}
	})
}

// TestDamagedNeverHangs flips bytes all over ordinary archives.
func TestDamagedNeverHangs(t *testing.T) {
	text := []byte(strings.Repeat("some text ", 50))
	for _, base := range [][]byte{
		zipped(t, content{"a.txt", text}, content{"in.zip", zipped(t, content{"b", text})}),
		gzipped(t, tarred(t, content{"a", text})), tarred(t, content{"a", text}), wideZip(t, "w", text),
	} {
		for i := 0; i < len(base); i += 1 + len(base)/400 {
			for _, v := range []byte{0, 0xff, base[i] ^ 1} {
				b := bytes.Clone(base)
				b[i] = v
				if f := walk(t, b, archive.Limits{}); f.Expanded > 1<<20 {
					t.Fatalf("byte %d as %d: expanded %d bytes", i, v, f.Expanded)
				}
			}
		}
	}
}
