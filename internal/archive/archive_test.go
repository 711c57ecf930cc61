package archive_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"postern/internal/archive"
)

func walk(t testing.TB, b []byte, lim archive.Limits) archive.Facts {
	t.Helper()
	f, err := archive.Walk(t.Context(), "a", bytes.NewReader(b), int64(len(b)), lim, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// bad is the outcome in one word.
func bad(f archive.Facts) string {
	switch {
	case f.Bomb != "":
		return "bomb"
	case len(f.Encrypted) > 0:
		return "encrypted"
	case len(f.Unreadable) > 0:
		return "unreadable"
	case len(f.Foreign) > 0:
		return "foreign"
	}
	return ""
}

func TestOrdinaryArchivesAreRead(t *testing.T) {
	text := []byte(strings.Repeat("An ordinary line of text.\n", 1000))
	office := zipped(t, content{"[Content_Types].xml", text}, content{"_rels/.rels", text}, content{"word/document.xml", text},
		content{"word/media/", nil}, content{"word/media/image1.png", []byte("\x89PNG")})
	for name, tc := range map[string]struct {
		b       []byte
		kind    string
		entries int
		deepest string
	}{
		"zip":            {office, "zip", 5, "a!word/document.xml"},
		"stored":         {handmade(raw{name: "s", dirName: "s", packed: text, size: 26000, dirSize: 26000, csize: 26000, dirCsize: 26000, offset: -1}), "zip", 1, "a!s"},
		"empty zip":      {zipped(t), "zip", 0, ""},
		"zip in zip":     {zipped(t, content{"in.zip", office}), "zip", 6, "a!in.zip!word/document.xml"},
		"prefix":         {append(bytes.Repeat([]byte("MZ junk"), 500), office...), "zip", 5, "a!word/document.xml"},
		"junk behind":    {append(slices.Clone(office), "trailing junk"...), "zip", 5, "a!word/document.xml"},
		"tar":            {tarred(t, content{"x/a.txt", text}, content{"b.txt", nil}), "tar", 2, "a!x/a.txt"},
		"tar.gz":         {gzipped(t, tarred(t, content{"x/a.txt", text})), "gzip", 1, "a!x/a.txt"},
		"gz":             {gzipped(t, text), "gzip", 1, "a!a"},
		"zip in tar.gz":  {gzipped(t, tarred(t, content{"o.docx", office})), "gzip", 6, "a!o.docx!word/document.xml"},
		"gz junk behind": {append(gzipped(t, text), make([]byte, 512)...), "gzip", 1, "a!a"},
		"no archive":     {text, "", 0, ""},
		"empty":          {nil, "", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := walk(t, tc.b, archive.Limits{})
			if f.Kind != tc.kind || len(f.Entries) != tc.entries || bad(f) != "" {
				t.Errorf("kind %q, %d entries, %q %+v; want %q, %d, clean", f.Kind, len(f.Entries), bad(f), f, tc.kind, tc.entries)
			}
			if tc.deepest != "" && !slices.ContainsFunc(f.Entries, func(e archive.Entry) bool { return e.Name == tc.deepest && e.Size > 0 }) {
				t.Errorf("entries %v lack %s with its size", f.Entries, tc.deepest)
			}
		})
	}
}

func TestVisitSeesContent(t *testing.T) {
	b := gzipped(t, tarred(t, content{"deep.zip", zipped(t, content{"secret.txt", []byte("found me")})}))
	seen := map[string]string{}
	_, err := archive.Walk(t.Context(), "a.tgz", bytes.NewReader(b), int64(len(b)), archive.Limits{}, func(e archive.Entry, head []byte) {
		seen[e.Name] = string(head)
	})
	if err != nil || len(seen) != 1 || seen["a.tgz!deep.zip!secret.txt"] != "found me" {
		t.Errorf("seen %q, %v", seen, err)
	}
}

func TestLiesAndLimits(t *testing.T) {
	text := []byte(strings.Repeat("text ", 2000))
	nest := func(n int) []byte {
		b := text
		for range n {
			b = zipped(t, content{"x.zip", b})
		}
		return b
	}
	lie := func(f func(*raw)) []byte {
		m := plainRaw(t, "doc.txt", text)
		f(&m)
		return handmade(plainRaw(t, "first", text), m)
	}
	many := make([]raw, 1001)
	for i := range many {
		many[i] = raw{name: fmt.Sprint(i), dirName: fmt.Sprint(i), offset: -1}
	}
	wide := make([]byte, 28)
	binary.LittleEndian.PutUint16(wide, 1)
	binary.LittleEndian.PutUint16(wide[2:], 24)
	binary.LittleEndian.PutUint64(wide[4:], 1<<40)
	binary.LittleEndian.PutUint64(wide[12:], 1<<40)
	for name, tc := range map[string]struct {
		b    []byte
		want string
		say  string
	}{
		"overlap":             {overlapping(t, 500), "bomb", "shares its bytes"},
		"overlap with header": {lie(func(m *raw) { m.csize += 30; m.dirCsize += 30 }), "bomb", "shares"},
		"1001 members":        {handmade(many...), "bomb", "more members than are read"},
		"depth":               {nest(6), "bomb", "nested more than 5"},
		"depth within":        {nest(5), "", ""},
		"ratio":               {zipped(t, content{"zeros", make([]byte, 12<<20)}), "bomb", "more than 100 times"},
		"gzip ratio":          {gzipped(t, make([]byte, 12<<20)), "bomb", "more than 100 times"},
		"gzip in gzip":        {gzipped(t, gzipped(t, make([]byte, 24<<20))), "bomb", "times"},
		"declared too large":  {lie(func(m *raw) { m.size, m.dirSize = 1<<31, 1<<31 }), "bomb", "says it expands"},
		"zip64 lie":           {lie(func(m *raw) { m.dirSize, m.dirCsize, m.dirExtra = 0xffffffff, 0xffffffff, wide }), "unreadable", "cut off"},
		"size lie":            {lie(func(m *raw) { m.size, m.dirSize = 5, 5 }), "unreadable", "does not expand to the size"},
		"name differs":        {lie(func(m *raw) { m.dirName = "doc.exe" }), "unreadable", "about the name"},
		"method differs":      {lie(func(m *raw) { m.dirMethod = 0 }), "unreadable", "about the compression"},
		"sizes differ":        {lie(func(m *raw) { m.dirCsize -= 3 }), "unreadable", "about the size"},
		"zeroed sizes":        {lie(func(m *raw) { m.csize, m.dirCsize, m.size, m.dirSize = 0, 0, 0, 0 }), "unreadable", "zeroed"},
		"encrypted":           {lie(func(m *raw) { m.flags, m.dirFlags = 1, 1 }), "encrypted", ""},
		"encrypted inside":    {lie(func(m *raw) { m.flags = 1 }), "encrypted", "about encryption"},
		"hidden member":       {lie(func(m *raw) { m.hidden = true }), "unreadable", "does not list it"},
		"cut off":             {zipped(t, content{"a", text}, content{"b", text})[:150], "unreadable", "no directory"},
		"gzip cut off":        {gzipped(t, text)[:20], "unreadable", "damaged or cut off"},
		"unknown method":      {lie(func(m *raw) { m.method, m.dirMethod = 97, 97 }), "foreign", ""},
		"damaged deflate":     {lie(func(m *raw) { m.packed = bytes.Repeat([]byte{0xff}, len(m.packed)) }), "unreadable", "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			f := walk(t, tc.b, archive.Limits{})
			if bad(f) != tc.want || !strings.Contains(f.Bomb+strings.Join(f.Unreadable, " "), tc.say) {
				t.Errorf("%q: bomb %q unreadable %q encrypted %q foreign %q; want %q with %q", bad(f), f.Bomb, f.Unreadable, f.Encrypted, f.Foreign, tc.want, tc.say)
			}
			if f.Expanded > 30<<20 {
				t.Errorf("expanded %d bytes before it stopped", f.Expanded)
			}
		})
	}
}

func TestOverlapIsSeenBeforeExpanding(t *testing.T) {
	if f := walk(t, overlapping(t, 900), archive.Limits{}); f.Expanded != 0 || f.Bomb == "" {
		t.Errorf("expanded %d bytes, bomb %q", f.Expanded, f.Bomb)
	}
}

func TestHiddenMemberIsVisited(t *testing.T) {
	m := plainRaw(t, "hidden.txt", []byte(strings.Repeat("payload ", 20)))
	m.hidden = true
	b := handmade(plainRaw(t, "first", []byte("x")), m)
	found := false
	f, _ := archive.Walk(t.Context(), "a", bytes.NewReader(b), int64(len(b)), archive.Limits{}, func(e archive.Entry, head []byte) {
		found = found || bytes.Contains(head, []byte("payload payload"))
	})
	if !found {
		t.Errorf("not visited: %+v", f)
	}
}

func TestTarOddities(t *testing.T) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range []*tar.Header{
		{Name: "../../etc/passwd", Typeflag: tar.TypeReg, Size: 1},
		{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "/etc/shadow"},
		{Name: "hard", Typeflag: tar.TypeLink, Linkname: "x"},
		{Name: "dev", Typeflag: tar.TypeBlock},
		{Name: "`id`|x\ny", Typeflag: tar.TypeReg},
	} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			w.Write([]byte("x"))
		}
	}
	w.Close()
	f := walk(t, buf.Bytes(), archive.Limits{})
	if bad(f) != "" || len(f.Entries) != 5 || f.Entries[4].Name != "a!`id`|x\ny" {
		t.Errorf("%+v", f)
	}
}

func TestContextEndsAWalk(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := zipped(t, content{"a", []byte("x")})
	if _, err := archive.Walk(ctx, "a", bytes.NewReader(b), int64(len(b)), archive.Limits{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
}

func FuzzWalk(f *testing.F) {
	f.Add(zipped(f, content{"a.txt", []byte("hello")}, content{"b/", nil}))
	f.Add(zipped(f, content{"in.zip", zipped(f, content{"a", []byte("b")})}))
	f.Add(gzipped(f, tarred(f, content{"x", []byte("y")})))
	f.Add(overlapping(f, 3))
	f.Add(append([]byte("Rar!\x1a\x07\x01\x00"), make([]byte, 40)...))
	f.Add([]byte("7z\xbc\xaf\x27\x1c\x00\x04aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"))
	lim := archive.Limits{Bytes: 1 << 20, EntryBytes: 1 << 19}
	f.Fuzz(func(t *testing.T, b []byte) {
		facts := walk(t, b, lim)
		if facts.Expanded > lim.Bytes+(1<<17) || len(facts.Entries) > 1000 {
			t.Errorf("over the limits: %d bytes, %d entries", facts.Expanded, len(facts.Entries))
		}
	})
}
