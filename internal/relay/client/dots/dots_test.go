package dots

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// stuff passes text through a Stuffer in pieces of n bytes.
func stuff(text string, n int) (string, error) {
	var out bytes.Buffer
	s := New(&out)
	for len(text) > 0 {
		k := min(n, len(text))
		if err := s.Write([]byte(text[:k])); err != nil {
			return out.String(), err
		}
		text = text[k:]
	}
	return out.String(), s.End()
}

// unstuff is what a server does, by the book.
func unstuff(wire string) string {
	lines := strings.SplitAfter(wire, "\r\n")
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(l, ".")
	}
	return strings.Join(lines, "")
}

func TestStuffing(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "",
		"\r\n":                     "\r\n",
		"a\r\nb\r\n":               "a\r\nb\r\n",
		".\r\n":                    "..\r\n",
		"..\r\n":                   "...\r\n",
		".a\r\n":                   "..a\r\n",
		".\t\r\n":                  "..\t\r\n",
		"a.\r\n.\r\n.\r\n":         "a.\r\n..\r\n..\r\n",
		"a\r\n\r\n.b\r\nc.d\r\n.":  "",
		"QUJD\r\n.\r\nREVG\r\n":    "QUJD\r\n..\r\nREVG\r\n",
		"\xff\xfe.\r\n.\xff\r\n\t": "",
	} {
		for n := 1; n <= len(text)+1; n++ {
			got, err := stuff(text, n)
			if want == "" && text != "" {
				if err == nil {
					t.Errorf("%q in pieces of %d: no error", text, n)
				}
				continue
			}
			if got != want || err != nil {
				t.Errorf("%q in pieces of %d: %q %v", text, n, got, err)
			}
			if unstuff(got) != text {
				t.Errorf("%q does not come back", text)
			}
		}
	}
}

// H-A01..A09 seen from the sending side: none of these framings ever goes out.
func TestFramingErrors(t *testing.T) {
	for text, want := range map[string]Error{
		"\n":                              {0, "bare LF"},
		"a\n.\nb\r\n":                     {1, "bare LF"},
		"a\r\n\n.\r\n":                    {3, "bare LF"},
		"a\n.\r\n":                        {1, "bare LF"},
		"a\r\n.\n":                        {4, "bare LF"},
		"a\r.\r\n":                        {1, "bare CR"},
		"a\r\n.\r":                        {4, "bare CR"},
		"a\r\r\n":                         {1, "bare CR"},
		"a\r\n.\r\r\n":                    {4, "bare CR"},
		"\r\r\r\n":                        {0, "bare CR"},
		"a\r\n\x00.\r\n":                  {3, "NUL"},
		"a\r\n.\x00\r\n":                  {4, "NUL"},
		"a":                               {1, "last line without CRLF"},
		"a\r\nbc":                         {5, "last line without CRLF"},
		strings.Repeat("x", 70000) + "\n": {70000, "bare LF"},
	} {
		step := 1
		if len(text) > 1000 {
			step = 4096
		}
		for n := 1; n <= len(text); n += step {
			_, err := stuff(text, n)
			var e *Error
			if !errors.As(err, &e) || *e != want {
				t.Errorf("%.20q in pieces of %d: %v, want %v", text, n, err, &want)
			}
		}
	}
}

func TestWriterErrorIsPassedOn(t *testing.T) {
	gone := errors.New("gone")
	s := New(broken{gone})
	for _, text := range []string{"a\r\n", ".a\r\n"} {
		if err := s.Write([]byte(text)); !errors.Is(err, gone) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

type broken struct{ err error }

func (b broken) Write([]byte) (int, error) { return 0, b.err }

func FuzzStuffer(f *testing.F) {
	for _, s := range []string{"", ".\r\n", "a\r\n.\r\nb", "\r", "\n", "..\r\n\r\n", "a\r\r\n", "x\x00y"} {
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, text string, n int) {
		n = min(max(n, 1), 4096)
		wire, err := stuff(text, n)
		whole, werr := stuff(text, len(text)+1)
		if (err == nil) != (werr == nil) || err == nil && wire != whole {
			t.Fatalf("pieces of %d: %q %v, at once %q %v", n, wire, err, whole, werr)
		}
		good := text == "" || strings.HasSuffix(text, "\r\n")
		good = good && !strings.Contains(text, "\x00") && !strings.ContainsAny(strings.ReplaceAll(text, "\r\n", ""), "\r\n")
		if good != (err == nil) {
			t.Fatalf("%q: %v", text, err)
		}
		if err == nil && (unstuff(wire) != text || strings.Contains("\r\n"+wire, "\r\n.\r\n")) {
			t.Fatalf("%q became %q", text, wire)
		}
	})
}

func BenchmarkStuffer(b *testing.B) {
	line := strings.Repeat("x", 76) + "\r\n"
	for name, text := range map[string]string{
		"plain": strings.Repeat(line, 32<<10/len(line)),
		"dots":  strings.Repeat(line+"."+line, 16<<10/len(line)),
	} {
		b.Run(name, func(b *testing.B) {
			var out bytes.Buffer
			s := New(&out)
			p := []byte(text)
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			for b.Loop() {
				out.Reset()
				if err := s.Write(p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
