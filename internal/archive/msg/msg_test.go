package msg_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"postern/internal/archive/cfb"
	"postern/internal/archive/msg"
	"postern/internal/mailtest/samples"
)

func open(t *testing.T, b []byte) *cfb.File {
	t.Helper()
	c, err := cfb.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// list is what a message carries, in the order stored.
func list(files []msg.File) string {
	var out []string
	for _, f := range files {
		out = append(out, f.Name+"="+string(bytes.TrimRight(f.Data(), "\x00")))
	}
	return strings.Join(out, " ")
}

func TestFiles(t *testing.T) {
	inner := samples.Member{Name: "Fwd"}
	for name, x := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":       {samples.Attachments(), ""},
		"one":           {samples.Attachments(samples.Text("order.txt", "a")), "order.txt=a"},
		"two":           {samples.Attachments(samples.Text("a.txt", "a"), samples.Text("b.txt", "b")), "a.txt=a b.txt=b"},
		"no name":       {samples.Attachments(samples.Text("", "a"), samples.Text("b.txt", "b")), "attachment 1=a b.txt=b"},
		"letters":       {samples.Attachments(samples.Text("счёт.txt", "a")), "счёт.txt=a"},
		"inside one":    {samples.Attachments(samples.Text("a.txt", "a"), inner, samples.Text("b.txt", "b")), "a.txt=a b.txt=b"},
		"deeper":        {samples.Attachments(inner, inner, inner, samples.Text("b.txt", "b")), "b.txt=b"},
		"narrow name":   {renamed(samples.Attachments(samples.Text("a.txt", "a")), "3707001F", "3707001E"), "a\x00.\x00t\x00x\x00t=a"},
		"short name":    {renamed(samples.Attachments(samples.Text("a.txt", "a")), "3707001F", "3799001F"), "SHORT~1.TXT=a"},
		"odd name":      {renamed(samples.Attachments(samples.Text("a.txt", "a")), "3707001F", "37070102"), "SHORT~1.TXT=a"},
		"small letters": {renamed(samples.Attachments(samples.Text("a.txt", "a")), "3707001F", "3707001f"), "a.txt=a"},
	} {
		c := open(t, x.data)
		files, more := msg.Files(c, 100)
		if got := list(files); got != x.want || more || !msg.Is(c) {
			t.Errorf("%s: %q, %v, want %q", name, got, more, x.want)
		}
	}
}

// renamed changes the name of streams, in UTF-16.
func renamed(b []byte, from, to string) []byte {
	wide := func(s string) []byte { return []byte(strings.Join(strings.Split(s, ""), "\x00")) }
	return bytes.ReplaceAll(b, wide(from), wide(to))
}

// A tree that leads nowhere, or in circles, takes names away and hides no file.
func TestBrokenTree(t *testing.T) {
	whole := samples.Attachments(samples.Text("a.txt", "a"), samples.Text("b.txt", "b"))
	dir := 512 * (1 + int(binary.LittleEndian.Uint32(whole[48:])))
	for name, x := range map[string]struct {
		place, value uint32
		want         string
	}{
		"no children":       {76, 0xffffffff, "a.txt=a b.txt=b"},
		"beyond the list":   {76, 1 << 20, "a.txt=a b.txt=b"},
		"root holds itself": {76, 0, "a.txt=a b.txt=b"},
		"no files":          {3*128 + 76, 0xffffffff, "attachment 1=a b.txt=b"},
		"the files of both": {7*128 + 76, 4, "a.txt=a attachment 2=b"},
		"a circle":          {6*128 + 72, 4, "a.txt=a b.txt=b"},
	} {
		b := bytes.Clone(whole)
		binary.LittleEndian.PutUint32(b[dir+int(x.place):], x.value)
		files, _ := msg.Files(open(t, b), 100)
		if got := list(files); got != x.want {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
	}
}

func TestBounds(t *testing.T) {
	var many []samples.Member
	for i := range 5 {
		many = append(many, samples.Text("", fmt.Sprint(i)))
	}
	if files, more := msg.Files(open(t, samples.Attachments(many...)), 4); len(files) != 4 || !more {
		t.Errorf("%d files, more: %v", len(files), more)
	}
	long, _ := msg.Files(open(t, samples.Attachments(samples.Text(strings.Repeat("a", 2000), "x"))), 10)
	if len(long) != 1 || len(long[0].Name) != 512 {
		t.Errorf("%+v", long)
	}
	if msg.Is(open(t, samples.Compound(nil, samples.Text("WordDocument", "x")))) {
		t.Error("a letter is a message")
	}
}

func FuzzFiles(f *testing.F) {
	f.Add(samples.Attachments(samples.Text("a.txt", "a"), samples.Member{Name: "x"}, samples.Text("", "b")))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := cfb.Open(b)
		if err != nil {
			return
		}
		files, _ := msg.Files(c, 20)
		if len(files) > 20 {
			t.Errorf("%d files", len(files))
		}
		for _, file := range files {
			if len(file.Data()) > len(b) || file.Name == "" {
				t.Errorf("%q: %d bytes of %d", file.Name, len(file.Data()), len(b))
			}
		}
	})
}
