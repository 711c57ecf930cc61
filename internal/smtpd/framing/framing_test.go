package framing

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// scan feeds in in pieces cut at the given offsets and returns the body, what is left
// behind the end, and whether there was one.
func scan(mode Mode, in string, cuts ...int) (s *Scanner, body, rest string, end bool) {
	var out bytes.Buffer
	s = &Scanner{Dst: &out, Mode: mode, MaxSize: 1 << 20, MaxLine: 1 << 16}
	pieces := []string{}
	for _, c := range cuts {
		pieces = append(pieces, in[:c])
		in = in[c:]
	}
	pieces = append(pieces, in)
	for i, p := range pieces {
		n, end := s.Scan([]byte(p))
		if end {
			return s, out.String(), p[n:] + strings.Join(pieces[i+1:], ""), true
		}
	}
	return s, out.String(), "", false
}

func TestScan(t *testing.T) {
	for _, tt := range []struct{ in, want, rest string }{
		{".\r\n", "", ""},
		{".\r\nQUIT\r\n", "", "QUIT\r\n"},
		{"a\r\n.\r\n", "a\r\n", ""},
		{"..\r\n.\r\n", ".\r\n", ""},
		{".a\r\n.\r\n", "a\r\n", ""},
		{"...\r\n\r\n.\r\n.\r\n", "..\r\n\r\n", ".\r\n"},
		{"a.\r\n.\r\n", "a.\r\n", ""},
		{"\r\n.\r\n", "\r\n", ""},
	} {
		for _, mode := range []Mode{Refuse, Normalize} {
			s, body, rest, end := scan(mode, tt.in)
			if !end || body != tt.want || rest != tt.rest || s.Refused() || s.Size != int64(len(tt.want)) {
				t.Errorf("%q: %q, rest %q, %v %+v", tt.in, body, rest, end, s)
			}
		}
	}
}

func TestBare(t *testing.T) {
	for _, in := range []string{"a\nb", "a\rb", "a\x00b", ".\n", ".\r.", "\r\r\n", "a\n.\r\n", "\x00", ".\x00\r\n", "a\r"} {
		s, _, _, end := scan(Refuse, in+"\r\n.\r\n")
		if !end || !s.Bare || !s.Refused() {
			t.Errorf("%q: end %v, bare %v", in, end, s.Bare)
		}
	}
}

func TestLimits(t *testing.T) {
	var out bytes.Buffer
	s := &Scanner{Dst: &out, MaxSize: 10, MaxLine: 5}
	s.Scan([]byte("1234567"))
	if !s.TooLong() || s.TooBig() || !s.Refused() {
		t.Errorf("%+v", s)
	}
	s = &Scanner{Dst: &out, MaxSize: 10, MaxLine: 50}
	s.Scan([]byte("12345678\r\n"))
	if s.Refused() || out.Len() != 10 {
		t.Errorf("%+v", s)
	}
	s.Scan([]byte("x"))
	if !s.TooBig() || out.Len() != 10 {
		t.Errorf("%+v, %d passed on", s, out.Len())
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestDstFails(t *testing.T) {
	s := &Scanner{Dst: full{}, MaxSize: 100, MaxLine: 100}
	if _, end := s.Scan([]byte("abc\r\ndef\r\n.\r\n")); !end || s.Err == nil || !s.Refused() {
		t.Errorf("%v %+v", end, s)
	}
}

// Cutting the input anywhere changes nothing, in either mode, for any octets.
func TestSplitIsInvisible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.StringOfN(rapid.RuneFrom([]rune("\r\n.\x00ab")), 0, 40, -1).Draw(t, "in")
		mode := Mode(rapid.IntRange(0, 1).Draw(t, "mode"))
		whole, body, rest, end := scan(mode, in)
		var cuts []int
		for left := len(in); left > 0; {
			c := rapid.IntRange(0, left).Draw(t, "cut")
			cuts = append(cuts, c)
			left -= max(c, 1)
		}
		total := 0
		for i, c := range cuts {
			if total += c; total > len(in) {
				cuts = cuts[:i]
				break
			}
		}
		split, body2, rest2, end2 := scan(mode, in, cuts...)
		if end != end2 || rest != rest2 || whole.Bare != split.Bare {
			t.Fatalf("%q %v: %q %q %v %v, cut: %q %q %v %v", in, cuts, body, rest, end, whole.Bare, body2, rest2, end2, split.Bare)
		}
		if end && !whole.Refused() && (body != body2 || whole.Size != split.Size || whole.Longest != split.Longest) {
			t.Fatalf("%q %v: %q, cut: %q", in, cuts, body, body2)
		}
	})
}

// The body that comes out has proper lines only, and stuffing it gives a stream that ends
// where the first one did.
func TestOutputIsProper(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.StringOfN(rapid.RuneFrom([]rune("\r\n.\x00ab")), 0, 60, -1).Draw(t, "in") + "\r\n.\r\n"
		mode := Mode(rapid.IntRange(0, 1).Draw(t, "mode"))
		s, body, _, end := scan(mode, in)
		if !end {
			t.Fatalf("%q: no end", in)
		}
		if s.Refused() {
			return
		}
		bare := strings.ReplaceAll(body, "\r\n", "")
		if strings.ContainsAny(bare, "\r\n\x00") || body != "" && !strings.HasSuffix(body, "\r\n") {
			t.Fatalf("%q became %q", in, body)
		}
		stuffed := strings.ReplaceAll("\r\n"+body, "\r\n.", "\r\n..")[2:] + ".\r\n"
		s2, again, rest, _ := scan(Refuse, stuffed)
		if again != body || rest != "" || s2.Bare {
			t.Fatalf("%q became %q became %q", in, body, again)
		}
	})
}

func FuzzScan(f *testing.F) {
	for _, s := range []string{"a\r\n.\r\n", "\n.\n", "\r.\r", ".\r\r\n.\r\n", "..\r\n\x00"} {
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, in string, cut int) {
		if cut < 0 || cut > len(in) {
			return
		}
		for _, mode := range []Mode{Refuse, Normalize} {
			s, body, rest, end := scan(mode, in)
			c, body2, rest2, end2 := scan(mode, in, cut)
			if end != end2 || rest != rest2 || !s.Refused() && end && body != body2 || s.Bare != c.Bare {
				t.Fatalf("%q cut at %d", in, cut)
			}
		}
	})
}

func BenchmarkScan(b *testing.B) {
	body := []byte(strings.Repeat(strings.Repeat("x", 76)+"\r\n", 260) + ".\r\n")
	var out bytes.Buffer
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		s := Scanner{Dst: &out, MaxSize: 1 << 30, MaxLine: 1 << 16}
		s.Scan(body)
	}
}
