package seven_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"postern/internal/archive/seven"
	"postern/internal/mailtest/samples"
)

func limits() seven.Limits { return seven.Limits{Entries: 100, Header: 1 << 16, Dictionary: 1 << 20} }

func open(t *testing.T, b []byte, lim seven.Limits) *seven.Archive {
	t.Helper()
	a, err := seven.Open(bytes.NewReader(b), int64(len(b)), lim)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// content expands the first folder.
func content(t *testing.T, b []byte) string {
	t.Helper()
	a := open(t, b, limits())
	r, err := a.Folders[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(io.LimitReader(r, a.Folders[0].Size))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestMethods(t *testing.T) {
	const text = "hello hello hello"
	m := samples.Member{Name: "a", Data: []byte(text)}
	coder, packed := samples.LZMA(m.Data)
	lzma2 := append([]byte{1, 0, byte(len(text) - 1)}, text...) // one chunk that is not compressed
	for name, p := range map[string]samples.Packing{
		"stored":       {},
		"LZMA":         {Coder: coder, Streams: [][]byte{packed}},
		"LZMA2":        {Coder: []byte{0x21, 0x21, 1, 0}, Streams: [][]byte{append(lzma2, 0)}},
		"machine code": {Coder: []byte{4, 3, 3, 1, 3}},
		"delta":        {Coder: []byte{0x21, 3, 1, 0}, Streams: [][]byte{differences(text)}},
	} {
		if got := content(t, samples.Seven(p, m)); got != text {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// differences is what the delta filter makes of a text at a distance of one.
func differences(s string) []byte {
	out := []byte(s)
	for i := len(out) - 1; i > 0; i-- {
		out[i] -= out[i-1]
	}
	return out
}

// TestBranches: a call whose target was packed apart is put together again. The bits are those of a
// range coder: none set, then all.
func TestBranches(t *testing.T) {
	joined := func(bits []byte) samples.Packing {
		coder := []byte{0x14, 3, 3, 1, 0x1b, 4, 1, 0, 1, 2, 3} // four streams in, in this order
		return samples.Packing{Coder: coder, Streams: [][]byte{[]byte("\x90\xe8\x90"), {0, 0, 1, 0}, {}, bits}}
	}
	m := samples.Member{Name: "a.exe", Data: []byte("\x90\xe8\xfa\x00\x00\x00\x90")}
	p := joined([]byte{0, 0xff, 0xff, 0xff, 0xff, 0xff})
	if got := content(t, samples.Seven(p, m)); got != string(m.Data) {
		t.Errorf("apart: %x, want %x", got, m.Data)
	}
	m.Data = []byte("\x90\xe8\x90")
	if got := content(t, samples.Seven(joined(make([]byte, 6)), m)); got != string(m.Data) {
		t.Errorf("in place: %x", got)
	}
	a := open(t, samples.Seven(joined([]byte{0, 0xff}), m), limits())
	r, err := a.Folders[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut off: %v", err)
	}
}

func TestPackedDirectory(t *testing.T) {
	plain := samples.Seven(samples.Packing{}, samples.Text("a.txt", "hello"))
	dir := plain[32+len("hello"):]
	coder, packed := samples.LZMA(dir)
	head := func(coder []byte, size byte, packed []byte) []byte {
		out := append([]byte{0x17, 6, 5, 1, 9, byte(len(packed)), 0, 7, 0x0b, 1, 0, 1}, coder...)
		return samples.SevenStart(append([]byte("hello"), packed...), append(out, 0x0c, size, 0, 0))
	}
	a := open(t, head(coder, byte(len(dir)), packed), limits())
	if len(a.Folders) != 1 || a.Folders[0].Files[0].Name != "a.txt" {
		t.Errorf("%+v", a)
	}
	aes := []byte{0x24, 6, 0xf1, 7, 1, 1, 0}
	for name, x := range map[string]struct {
		b    []byte
		lim  seven.Limits
		want error
	}{
		"locked":         {head(aes, byte(len(dir)), packed), limits(), seven.ErrEncrypted},
		"too long":       {head(coder, byte(len(dir)), packed), seven.Limits{Entries: 10, Header: 30, Dictionary: 1 << 20}, seven.ErrTooMany},
		"no room":        {head(coder, byte(len(dir)), packed), seven.Limits{Entries: 10, Header: 1 << 16, Dictionary: 100}, seven.ErrDictionary},
		"not that long":  {head(coder, byte(len(dir))+9, packed), limits(), seven.ErrDamaged},
		"members":        {plain, seven.Limits{Header: 1 << 16, Dictionary: 1 << 20}, seven.ErrTooMany},
		"cut off":        {plain[:len(plain)-3], limits(), seven.ErrVolume},
		"nothing":        {plain[:20], limits(), seven.ErrVolume},
		"another mark":   {samples.SevenStart(nil, []byte{9}), limits(), seven.ErrDamaged},
		"without an end": {samples.SevenStart(nil, []byte{1, 4}), limits(), seven.ErrDamaged},
	} {
		if _, err := seven.Open(bytes.NewReader(x.b), int64(len(x.b)), x.lim); !errors.Is(err, x.want) {
			t.Errorf("%s: %v, want %v", name, err, x.want)
		}
	}
	if a := open(t, samples.SevenStart(nil, nil), limits()); len(a.Folders)+len(a.Empty) != 0 {
		t.Errorf("an empty one: %+v", a)
	}
}

// Methods one behind the other share the room for their dictionaries.
func TestRoomIsShared(t *testing.T) {
	inner := []byte(strings.Repeat("a", 700<<10))
	coder, packed := samples.LZMA(inner)
	big := bytes.Clone(coder)
	copy(big[6:], "\x00\x00\x0b\x00") // 720 kB, of which the room holds one
	both := append(append([]byte{2}, big...), big...)
	dir := append([]byte{1, 4, 6, 0, 1, 9, 0xff}, byte(len(packed)), byte(len(packed)>>8), 0, 0, 0, 0, 0, 0)
	dir = append(append(dir, 0, 7, 0x0b, 1, 0), both...)
	size := []byte{0xff, 0, 0xf0, 0x0a, 0, 0, 0, 0, 0}
	dir = append(append(append(append(dir, 1, 0, 0x0c), size...), size...), 0, 0, 0)
	a := open(t, samples.SevenStart(packed, dir), limits())
	if _, err := a.Folders[0].Open(); !errors.Is(err, seven.ErrDictionary) {
		t.Errorf("err = %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	m := samples.Member{Name: "a.txt", Data: []byte("hello hello")}
	coder, packed := samples.LZMA(m.Data)
	f.Add(samples.Seven(samples.Packing{}, m, m))
	f.Add(samples.Seven(samples.Packing{Coder: coder, Streams: [][]byte{packed}}, m))
	f.Add(samples.Seven(samples.Packing{Locked: true}, m))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := seven.Open(bytes.NewReader(b), int64(len(b)), limits())
		if err != nil {
			return
		}
		for _, folder := range a.Folders {
			if r, err := folder.Open(); err == nil {
				n, _ := io.Copy(io.Discard, io.LimitReader(r, min(folder.Size, 1<<16)))
				if n > folder.Size {
					t.Errorf("%d bytes of %d", n, folder.Size)
				}
			}
		}
	})
}
