package image_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"postern/internal/archive/image"
	"postern/internal/mailtest/samples"
)

func list(t *testing.T, b []byte, most int) ([]string, error) {
	t.Helper()
	files, err := image.Files(bytes.NewReader(b), int64(len(b)), most)
	var out []string
	for _, f := range files {
		out = append(out, f.Name)
	}
	return out, err
}

func TestFiles(t *testing.T) {
	b := samples.Disk(samples.Text("Invoice of May.pdf.exe", "MZ one"), samples.Text("sub/b.txt", "two"), samples.Text("sub/empty", ""))
	got, err := list(t, b, 100)
	want := []string{"Invoice of May.pdf.exe", "sub", "sub/b.txt", "sub/empty", "C"} // an empty one has no bytes by which to know it again
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	files, _ := image.Files(bytes.NewReader(b), int64(len(b)), 100)
	if text, err := io.ReadAll(files[2].Open(bytes.NewReader(b))); string(text) != "two" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	b[17*2048] = 9 // without the long names the short ones are all there is
	if got, err := list(t, b, 100); err != nil || !slices.Equal(got, []string{"A", "B", "C"}) {
		t.Errorf("%q, %v", got, err)
	}
	if !image.Is(bytes.NewReader(b), int64(len(b))) || image.Is(strings.NewReader("x"), 1) {
		t.Error("an image is not told from none")
	}
}

func TestHostile(t *testing.T) {
	const root = 20 * 2048 // the directory with the long names
	change := func(f func(b []byte)) []byte {
		b := samples.Disk(samples.Text("a", "x"), samples.Text("d/b", "y"))
		f(b)
		return b
	}
	put := func(b []byte, records ...[]byte) {
		clear(b[root : root+2048])
		copy(b[root:], bytes.Join(records, nil))
	}
	wide := func(c byte) string { return "\x00" + string(c) }
	for name, x := range map[string]struct {
		b    []byte
		want error
	}{
		"a circle":             {change(func(b []byte) { put(b, samples.Record(wide('x'), 2, 20, 2048)) }), nil},
		"a directory outside":  {change(func(b []byte) { put(b, samples.Record(wide('x'), 2, 5000, 2048)) }), image.ErrDamaged},
		"a huge directory":     {change(func(b []byte) { put(b, samples.Record(wide('x'), 2, 19, 1<<30)) }), image.ErrTooMany},
		"a record cut off":     {change(func(b []byte) { put(b, samples.Record(wide('x'), 0, 19, 1)); b[root] = 20 }), image.ErrDamaged},
		"a name beyond it":     {change(func(b []byte) { put(b, samples.Record(wide('x'), 0, 19, 1)); b[root+32] = 200 }), image.ErrDamaged},
		"no descriptor":        {change(func(b []byte) { clear(b[16*2048 : 18*2048]) }), image.ErrDamaged},
		"an odd size of block": {change(func(b []byte) { binary.LittleEndian.PutUint16(b[17*2048+128:], 1) }), nil},
	} {
		if got, err := list(t, x.b, 100); !errors.Is(err, x.want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := list(t, samples.Disk(samples.Text("a", "x"), samples.Text("b", "y")), 1); !errors.Is(err, image.ErrTooMany) {
		t.Errorf("err = %v", err)
	}
}

// A file in several parts is one, and says when one of them is not there.
func TestParts(t *testing.T) {
	b := samples.Disk(samples.Text("a", "one"), samples.Text("b", "two"))
	clear(b[20*2048 : 21*2048])
	copy(b[20*2048:], slices.Concat(samples.Record("\x00c", 0x80, 21, 3), samples.Record("\x00c", 0, 22, 3), samples.Record("\x00d", 0, 5000, 3)))
	files, err := image.Files(bytes.NewReader(b), int64(len(b)), 100)
	if err != nil || len(files) < 2 {
		t.Fatalf("%+v, %v", files, err)
	}
	if text, _ := io.ReadAll(files[0].Open(bytes.NewReader(b))); string(text) != "onetwo" || files[0].Size != 6 || files[0].Outside {
		t.Errorf("%+v %q", files[0], text)
	}
	if !files[1].Outside {
		t.Errorf("%+v", files[1])
	}
}

// FuzzFiles puts bytes where the directory with the long names is.
func FuzzFiles(f *testing.F) {
	f.Add(slices.Concat(samples.Record("\x00c", 0x80, 21, 3), samples.Record("\x00c", 0, 22, 3), samples.Record("\x00d", 2, 20, 2048)))
	image := samples.Disk(samples.Text("a", "one"), samples.Text("d/b", "two"))
	f.Fuzz(func(t *testing.T, directory []byte) {
		b := bytes.Clone(image)
		clear(b[20*2048 : 21*2048])
		copy(b[20*2048:], directory[:min(len(directory), 2048)])
		if got, _ := list(t, b, 50); len(got) > 50 {
			t.Errorf("%d files", len(got))
		}
	})
}
