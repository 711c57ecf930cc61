package canon_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"postern/internal/canon"
)

func open(t testing.TB, msg string) (*canon.Header, string) {
	t.Helper()
	h, body, err := canon.Open(strings.NewReader(msg), int64(len(msg)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return h, string(b)
}

func TestHeaderAndBody(t *testing.T) {
	for _, c := range []struct {
		msg, names, body string
	}{
		{"A: 1\r\nb : 2\r\n 3\r\n\r\nbody\r\n", "a b", "body\r\n"},
		{"A: 1\r\n", "a", ""},
		{"A: 1", "a", ""},
		{"", "", ""},
		{"\r\n", "", ""},
		{"\r\nA: 1\r\n\r\n", "", "A: 1\r\n\r\n"},
		{"A: 1\r\n\r\n", "a", ""},
		{"A: 1\nB: 2\r\n\r\nx", "a", "x"}, // a bare LF ends no line
		{"nonsense\r\nA: 1\r\n\r\nx", " a", "x"},
		{" folded\r\nA: 1\r\n\r\nx", " a", "x"},
	} {
		h, body := open(t, c.msg)
		var names []string
		var whole strings.Builder
		for _, f := range h.Fields {
			names = append(names, f.Name)
			whole.Write(f.Raw)
		}
		if strings.Join(names, " ") != c.names || body != c.body || !strings.HasPrefix(c.msg, whole.String()) {
			t.Errorf("%q: %q, body %q", c.msg, names, body)
		}
	}
}

// However a reader hands out its octets, the header ends at the same place.
func TestPiecesDoNotMatter(t *testing.T) {
	msg := "A: " + strings.Repeat("x", 8<<10) + "\r\n\r\n" + strings.Repeat("body\r\n", 3000)
	for name, r := range map[string]io.Reader{
		"whole": strings.NewReader(msg), "halves": iotest.HalfReader(strings.NewReader(msg)),
		"octets": iotest.OneByteReader(strings.NewReader(msg)), "end with data": iotest.DataErrReader(strings.NewReader(msg)),
	} {
		h, body, err := canon.Read(r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(body)
		if err != nil || len(h.Fields) != 1 || string(b) != strings.Repeat("body\r\n", 3000) {
			t.Errorf("%s: %d fields, body of %d octets, %v", name, len(h.Fields), len(b), err)
		}
	}
}

func TestHeaderBounds(t *testing.T) {
	for name, c := range map[string]struct {
		msg  string
		want error
	}{
		"as many fields":    {strings.Repeat("A: 1\r\n", canon.MaxFields) + "\r\n", nil},
		"one field more":    {strings.Repeat("A: 1\r\n", canon.MaxFields+1) + "\r\n", canon.ErrTooLarge},
		"large":             {"A: " + strings.Repeat("x", canon.MaxHeader-10) + "\r\n\r\n", nil},
		"too large":         {"A: " + strings.Repeat("x", canon.MaxHeader) + "\r\n\r\n", canon.ErrTooLarge},
		"large without end": {"A: " + strings.Repeat("x", canon.MaxHeader), canon.ErrTooLarge},
	} {
		if _, _, err := canon.Open(strings.NewReader(c.msg), int64(len(c.msg))); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAShortMessageIsAnError(t *testing.T) {
	_, body, err := canon.Open(strings.NewReader("A: 1\r\n\r\nbody"), 100)
	if err != nil {
		t.Fatal(err)
	}
	if err := canon.HashBody(body, canon.NewBody(true)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	if _, _, err := canon.Open(strings.NewReader("A: 1\r\n"), 100); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

// RFC 6376 section 3.4.5.
func TestForms(t *testing.T) {
	msg := "A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n"
	h, body := open(t, msg)
	for relaxed, want := range map[bool]string{true: "a:X\r\nb:Y Z\r\n", false: "A: X\r\nB : Y\t\r\n\tZ  \r\n"} {
		var got []byte
		for _, f := range h.Fields {
			got = append(got, canon.FieldForm(f.Raw, relaxed)...)
		}
		if string(got) != want {
			t.Errorf("relaxed %v: %q", relaxed, got)
		}
	}
	for relaxed, want := range map[bool]string{true: " C\r\nD E\r\n", false: " C \r\nD \t E\r\n"} {
		b := canon.NewBody(relaxed)
		if err := canon.HashBody(strings.NewReader(body), b); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(want))
		if !bytes.Equal(b.Sum(), sum[:]) || b.Len() != int64(len(want)) {
			t.Errorf("relaxed %v: %d octets", relaxed, b.Len())
		}
	}
}

// The plain way, over a body in memory.
func bodyForm(body string, relaxed bool) string {
	var out []string
	for line := range strings.SplitSeq(body, "\r\n") {
		if relaxed {
			line = strings.TrimRight(line, " \t")
			fields := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
			lead := ""
			if line != "" && (line[0] == ' ' || line[0] == '\t') {
				lead = " "
			}
			line = lead + strings.Join(fields, " ")
		}
		out = append(out, line)
	}
	s := strings.TrimRight(strings.Join(out, "\r\n"), "\r\n")
	if s == "" && relaxed {
		return ""
	}
	return s + "\r\n"
}

func TestStreamedFormIsThePlainOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "bc", " ", "\t", "\r\n", "\r\n\r\n", ".", "\x00"}), 0, 40).Draw(t, "body"), "")
		relaxed := rapid.Bool().Draw(t, "relaxed")
		b := canon.NewBody(relaxed)
		for rest := body; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			_, _ = b.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		want := bodyForm(body, relaxed)
		sum := sha256.Sum256([]byte(want))
		if !bytes.Equal(b.Sum(), sum[:]) || b.Len() != int64(len(want)) {
			t.Fatalf("%q relaxed %v: %d octets, want %q", body, relaxed, b.Len(), want)
		}
	})
}

// RFC 6376 section 5.4.2: fields of one name from the bottom up, and one more than there are
// stands for nothing.
func TestDigestTakesFieldsFromTheBottom(t *testing.T) {
	h, _ := open(t, "A: 1\r\nA: 2\r\nB: 3\r\n\r\n")
	want := sha256.Sum256([]byte("A: 2\r\nB: 3\r\nA: 1\r\nS: b="))
	if got := h.Digest([]string{"a", "b", "a", "a", "c"}, []byte("S: b=\r\n"), false); !bytes.Equal(got, want[:]) {
		t.Error("another digest")
	}
	want = sha256.Sum256([]byte("b:3\r\ns:b="))
	if got := h.Digest([]string{"b"}, []byte("S : b= \r\n"), true); !bytes.Equal(got, want[:]) {
		t.Error("another digest, relaxed")
	}
}

func TestParseForm(t *testing.T) {
	for c, want := range map[string]canon.Form{
		"": {}, "simple": {}, "relaxed": {RelaxedHeader: true}, "simple/relaxed": {RelaxedBody: true},
		"RELAXED / Relaxed": {RelaxedHeader: true, RelaxedBody: true},
	} {
		if got, err := canon.ParseForm(c); err != nil || got != want {
			t.Errorf("%q: %+v %v", c, got, err)
		}
	}
	for _, c := range []string{"relaxed/", "/relaxed", "loose", "relaxed/loose", "simple/simple/simple"} {
		if got, err := canon.ParseForm(c); err == nil {
			t.Errorf("%q: %+v", c, got)
		}
	}
}

func TestTags(t *testing.T) {
	for s, strict := range map[string]bool{
		"a=1; b=2": true, "a=1;b=2;": true, " a = 1 ; b=2; \r\n": true, "a=1;; b=2": false, "; a=1; b=2": false, "a=1; b=2;;": false,
	} {
		tags, err := canon.ParseTags(s)
		if err != nil || tags["a"] != "1" || tags["b"] != "2" {
			t.Errorf("%q: %v %v", s, tags, err)
		}
		if _, err := canon.ParseTagsStrictly(s); strict != (err == nil) {
			t.Errorf("%q by the letter: %v", s, err)
		}
	}
	for _, s := range []string{"a", "=1", "a b=1", "a=1; a=2", "a=1; A"} {
		if tags, err := canon.ParseTags(s); err == nil {
			t.Errorf("%q: %v", s, tags)
		}
	}
	if _, err := canon.ParseTagsStrictly("_a=1"); err == nil {
		t.Error("a name that begins with no letter")
	}
}

func TestWithoutValue(t *testing.T) {
	for raw, want := range map[string]string{
		"S: a=1; b=xyz; bh=q\r\n": "S: a=1; b=; bh=q\r\n",
		"S: bh=q; b=x\r\n yz\r\n": "S: bh=q; b=\r\n",
		"S: b =x;\r\n":            "S: b =;\r\n",
		"S: b=x":                  "S: b=",
		"S: a=1\r\n":              "S: a=1\r\n",
		"none":                    "none",
	} {
		if got := string(canon.WithoutValue([]byte(raw))); got != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
}

func FuzzCanon(f *testing.F) {
	f.Add([]byte("A: 1\r\n b\r\nS: b=x; a=1\r\n\r\nbody \r\n\r\n"))
	f.Add([]byte(" \r\n:\r\n\r\r\n\r\n"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		h, body, err := canon.Open(bytes.NewReader(msg), int64(len(msg)))
		if err != nil {
			return
		}
		at := 0
		for _, field := range h.Fields {
			if !bytes.Equal(msg[at:at+len(field.Raw)], field.Raw) {
				t.Fatalf("field %q is not what stands at %d", field.Raw, at)
			}
			at += len(field.Raw)
			once := canon.FieldForm(field.Raw, true)
			if again := canon.FieldForm(once, true); !bytes.Equal(once, again) {
				t.Fatalf("%q, then %q", once, again)
			}
			if got := canon.WithoutValue(field.Raw); len(got) > len(field.Raw) {
				t.Fatalf("%q grew to %q", field.Raw, got)
			}
		}
		simple, relaxed := canon.NewBody(false), canon.NewBody(true)
		if err := canon.HashBody(body, simple, relaxed); err != nil {
			t.Fatal(err)
		}
		simple.Sum()
		relaxed.Sum()
		if relaxed.Len() > simple.Len() || simple.Len() > int64(len(msg)-at)+2 {
			t.Fatalf("lengths %d and %d of %d", relaxed.Len(), simple.Len(), len(msg)-at)
		}
	})
}
