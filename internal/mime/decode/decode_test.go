package decode_test

import (
	"bytes"
	"encoding/base64"
	"mime/quotedprintable"
	"strings"
	"testing"

	"postern/internal/mime/decode"
)

func texts(list [][]byte) []string {
	out := make([]string, len(list))
	for i, b := range list {
		out[i] = string(b)
	}
	return out
}

func TestBase64(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want string // the plain reading
		more string // a reading that must be there too
		d    decode.Damage
	}{
		{"aGVsbG8=", "hello", "", 0},
		{"aGVs\r\nbG8=\r\n", "hello", "", 0},
		{" aGVsbG8 = \n", "hello", "", 0},
		{"aGVsbG8", "hello", "", decode.NoPadding},
		{"aGVsbA==", "hell", "", 0},
		{"aGVsbA=\n=", "hell", "", 0},
		{"aGV!sbG8=", "hello", "he", decode.Junk},
		{"aGVsbG8=IHdvcmxk", "hello", "hello world", decode.EarlyEnd},
		{"aGVsbA==bG8=", "hell", "helllo", decode.EarlyEnd},
		{"==aGVsbG8=", "hello", "", decode.Junk},
		{"aGVsbG8=\n-- \n", "hello", "", 0},
		{"_-8=", "", "\xff\xef", decode.Junk | decode.Incomplete},
		{"aGVsbG8=a", "hello", "", decode.EarlyEnd},
		{"a", "", "", decode.Incomplete},
		{"", "", "", 0},
	} {
		got, d := decode.Base64([]byte(tc.in))
		if string(got[0]) != tc.want || d != tc.d {
			t.Errorf("%q: %q damage %b, want %q %b", tc.in, got[0], d, tc.want, tc.d)
		}
		if tc.more != "" && !strings.Contains(strings.Join(texts(got), "\x00")+"\x00", tc.more+"\x00") {
			t.Errorf("%q: readings %q lack %q", tc.in, texts(got), tc.more)
		}
	}
}

func TestQuoted(t *testing.T) {
	for _, tc := range []struct {
		in, want, more string
		d              decode.Damage
	}{
		{"plain", "plain", "", 0},
		{"a=3Db", "a=b", "", 0},
		{"a=3db", "a=b", "", 0},
		{"soft=\r\nbreak", "softbreak", "", 0},
		{"soft= \t\nbreak", "softbreak", "", 0},
		{"end=", "end", "", 0},
		{"a=ZZb", "a=ZZb", "aZZb", decode.Junk},
		{"a=4\r\n1b", "a=4\r\n1b", "aAb", decode.Junk},
		{"x==41", "x=A", "xA", decode.Junk},
	} {
		got, d := decode.Quoted([]byte(tc.in))
		if string(got[0]) != tc.want || d != tc.d {
			t.Errorf("%q: %q damage %b, want %q %b", tc.in, got[0], d, tc.want, tc.d)
		}
		if tc.more != "" && (len(got) < 2 || string(got[1]) != tc.more) {
			t.Errorf("%q: readings %q lack %q", tc.in, texts(got), tc.more)
		}
	}
}

func TestFiles(t *testing.T) {
	for name, text := range map[string]string{
		"uuencode":    "Hi,\r\nbegin 644 cat.txt\r\n#0V%T\r\n`\r\nend\r\nbye",
		"no end":      "begin 644 cat.txt\n#0V%T\n",
		"yenc":        "=ybegin line=128 size=3 name=cat.txt\n\x6d\x8b\x9e\n=yend size=3\n",
		"name spaces": "begin 755  cat.txt \n#0V%T\n`\nend\n",
	} {
		files := decode.Files([]byte(text), 10)
		if len(files) != 1 || string(files[0].Data) != "Cat" || files[0].Name != "cat.txt" {
			t.Errorf("%s: %+v", name, files)
		}
	}
	for _, text := range []string{"begin the day", "begin 2005 with a smile\nLet us begin.\n", "we begin 644 times", "=ybegin"} {
		if files := decode.Files([]byte(text), 10); len(files) != 0 {
			t.Errorf("%q: %+v", text, files)
		}
	}
	if n := len(decode.Files([]byte(strings.Repeat("begin 644 a\n#0V%T\n`\nend\n", 50)), 8)); n != 8 {
		t.Errorf("%d files, want 8", n)
	}
}

func TestBinHex(t *testing.T) {
	const hqx = "!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
	payload := append([]byte{7}, "cat.txt"...)
	payload = append(payload, 0)
	payload = append(payload, "TEXTttxt"...)
	payload = append(payload, 0, 0)
	payload = append(payload, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0) // data fork of 6, no resource fork, CRC
	payload = append(payload, 'C', 'a', 't', 0x90, 4, 0, 0) // "Cat" and three more t
	var enc strings.Builder
	acc, bits := 0, 0
	for _, c := range payload {
		acc, bits = acc<<8|int(c), bits+8
		for bits >= 6 {
			bits -= 6
			enc.WriteByte(hqx[acc>>bits&63])
		}
	}
	enc.WriteByte(hqx[acc<<(6-bits)&63])
	text := "(This file must be converted with BinHex 4.0)\r\n\r\n:" + enc.String() + ":\r\n"
	files := decode.Files([]byte(text), 10)
	if len(files) != 1 || files[0].Name != "cat.txt" || string(files[0].Data) != "Catttt" {
		t.Errorf("%+v", files)
	}
}

// FuzzDecode compares with the standard library where the input is its own, and looks for
// crashes where it is not.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"aGVsbG8=", "a=3D=\n", "begin 644 x\n#0V%T\n`\nend\n", "=ybegin name=x\nabc\n=yend", "(This file must be converted with BinHex 4.0)\n:abc:"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		decode.Base64(b)
		decode.Quoted(b)
		decode.Files(b, 8)
		if got, d := decode.Base64([]byte(base64.StdEncoding.EncodeToString(b))); d != 0 || !bytes.Equal(got[0], b) {
			t.Errorf("base64 of %q: %q, damage %b", b, got[0], d)
		}
		var qp bytes.Buffer
		w := quotedprintable.NewWriter(&qp)
		w.Binary = true
		w.Write(b)
		w.Close()
		if got, d := decode.Quoted(qp.Bytes()); d != 0 || !bytes.Equal(got[0], b) {
			t.Errorf("quoted-printable of %q: %q, damage %b", b, got[0], d)
		}
	})
}

func BenchmarkBase64(b *testing.B) {
	enc := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("some bytes"), 50_000))
	var lines strings.Builder
	for i := 0; i < len(enc); i += 76 {
		lines.WriteString(enc[i:min(i+76, len(enc))] + "\r\n")
	}
	in := []byte(lines.String())
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		decode.Base64(in)
	}
}
