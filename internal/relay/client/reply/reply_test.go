package reply

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func read(text string) (Reply, error) {
	return Read(bufio.NewReaderSize(strings.NewReader(text), Buffer))
}

func TestRead(t *testing.T) {
	for wire, want := range map[string]Reply{
		"220 ready\r\n":                             {Code: 220, Text: "ready", Lines: []string{"ready"}},
		"250\r\n":                                   {Code: 250, Lines: []string{""}},
		"250 \r\n":                                  {Code: 250, Lines: []string{""}},
		"250-a\r\n250-b\r\n250 c\r\n":               {Code: 250, Text: "a b c", Lines: []string{"a", "b", "c"}},
		"550 5.1.1 no such user\r\n":                {Code: 550, Enhanced: "5.1.1", Text: "no such user", Lines: []string{"no such user"}},
		"550-5.7.1 one\r\n550 5.7.1 two\r\n":        {Code: 550, Enhanced: "5.7.1", Text: "one two", Lines: []string{"one", "two"}},
		"550 5.1.1\r\n":                             {Code: 550, Enhanced: "5.1.1", Lines: []string{""}},
		"550 4.1.1 other class\r\n":                 {Code: 550, Text: "4.1.1 other class", Lines: []string{"4.1.1 other class"}},
		"452 4.777.999 deep\r\n":                    {Code: 452, Enhanced: "4.777.999", Text: "deep", Lines: []string{"deep"}},
		"452 4.1234.1 no\r\n":                       {Code: 452, Text: "4.1234.1 no", Lines: []string{"4.1234.1 no"}},
		"452 4.1.x no\r\n":                          {Code: 452, Text: "4.1.x no", Lines: []string{"4.1.x no"}},
		"452 4..1 no\r\n":                           {Code: 452, Text: "4..1 no", Lines: []string{"4..1 no"}},
		"554 \x1b[31mred\x00 \tcaf\xc3\xa9\x7f\r\n": {Code: 554, Text: "?[31mred? ?caf???", Lines: []string{"?[31mred? ?caf???"}},
	} {
		got, err := read(wire)
		if err != nil || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("%q: %q %v, want %q", wire, got, err, want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for name, wire := range map[string]string{
		"bare LF": "250 ok\n", "bare LF inside": "250-ok\n250 ok\r\n", "only LF": "\n", "empty": "\r\n", "short": "25\r\n",
		"bare CR": "250 a\rb\r\n", "low": "150 x\r\n", "high": "650 x\r\n", "letters": "2x0 x\r\n", "tail": "2500\r\n", "mixed": "250-a\r\n251 b\r\n",
		"long line":  "250 " + strings.Repeat("x", maxLine) + "\r\n",
		"many lines": strings.Repeat("250-x\r\n", maxLines) + "250 x\r\n",
		"many bytes": strings.Repeat("250-"+strings.Repeat("x", 1000)+"\r\n", 40) + "250 x\r\n",
	} {
		if r, err := read(wire); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v %v", name, r, err)
		}
	}
	for _, wire := range []string{"", "2", "250 half", "250-more\r\n"} {
		if _, err := read(wire); !errors.Is(err, io.EOF) {
			t.Errorf("%q: %v", wire, err)
		}
	}
	r, err := read(strings.Repeat("250-x\r\n", maxLines-1) + "250 x\r\n")
	if err != nil || len(r.Lines) != maxLines {
		t.Errorf("exactly %d lines: %v", maxLines, err)
	}
}

func TestTextIsBounded(t *testing.T) {
	r, err := read("550-5.7.1 " + strings.Repeat("x", 3000) + "\r\n550 " + strings.Repeat("y", 3000) + "\r\n")
	if err != nil || len(r.Text) != maxReplyText || len(r.Lines[1]) != maxLineText || len(r.String()) > 512-2 {
		t.Errorf("text %d, line %d: %v", len(r.Text), len(r.Lines[1]), err)
	}
}

func TestClasses(t *testing.T) {
	for code, want := range map[int]string{0: "false false false", 250: "true false false", 354: "false false false", 451: "false true false", 599: "false false true"} {
		r := Reply{Code: code}
		if got := fmt.Sprint(r.OK(), r.Temporary(), r.Permanent()); got != want {
			t.Errorf("%d: %s", code, got)
		}
	}
	if s := Local(501, "5.1.3", "no").String(); s != "501 5.1.3 no" {
		t.Error(s)
	}
	if s := (Reply{Code: 250}).String(); s != "250" {
		t.Error(s)
	}
}

func TestParseExtensions(t *testing.T) {
	x := ParseExtensions([]string{"PIPELINING is the host's name", "pipelining", "Size 1000 x", "8BitMime", "auth plain Login", "XCLIENT NAME addr", "XFORWARD", "SMTPUTF8", "STARTTLS", "", "AUTH=LOGIN"})
	want := Extensions{Pipelining: true, EightBitMIME: true, SMTPUTF8: true, StartTLS: true, SizeOffered: true, Size: 1000, Auth: []string{"PLAIN", "LOGIN"}, XClient: []string{"NAME", "ADDR"}, XForward: []string{}}
	if fmt.Sprint(x) != fmt.Sprint(want) {
		t.Errorf("got %+v", x)
	}
	if x := ParseExtensions([]string{"PIPELINING"}); x.Pipelining {
		t.Error("the greeting counts as an extension")
	}
	ParseExtensions(nil)
}

func TestIntersect(t *testing.T) {
	a := Extensions{Pipelining: true, EightBitMIME: true, SMTPUTF8: true, SizeOffered: true, Size: 100, Auth: []string{"PLAIN", "LOGIN"}}
	b := Extensions{Pipelining: true, SMTPUTF8: true, StartTLS: true, SizeOffered: true, Size: 50, Auth: []string{"LOGIN", "XOAUTH2"}}
	want := Extensions{Pipelining: true, SMTPUTF8: true, SizeOffered: true, Size: 50, Auth: []string{"LOGIN"}}
	if got := a.Intersect(b); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %+v", got)
	}
	for _, c := range [][3]int64{{0, 0, 0}, {0, 5, 5}, {5, 0, 5}, {5, 6, 5}, {6, 5, 5}} {
		if got := smaller(c[0], c[1]); got != c[2] {
			t.Errorf("smaller(%d, %d) = %d", c[0], c[1], got)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{"250 ok\r\n", "250-a\r\n250 b\r\n", "550 5.1.1 no\r\nmore", "25", "250 a\rb\r\n", "\x00\xff\r\n", "250-\r\n251 \r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, wire string) {
		br := bufio.NewReaderSize(strings.NewReader(wire), Buffer)
		r, err := Read(br)
		if err != nil {
			return
		}
		if r.Code < 200 || r.Code > 599 || len(r.Lines) == 0 || len(r.Lines) > maxLines {
			t.Fatalf("%q: %+v", wire, r)
		}
		s := r.String()
		if len(s) > 510 || strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Fatalf("%q: unsafe %q", wire, s)
		}
		rest, _ := io.ReadAll(br)
		used := strings.TrimSuffix(wire, string(rest))
		if !strings.HasSuffix(used, "\r\n") || strings.Count(used, "\n") != len(r.Lines) {
			t.Fatalf("%q: used %q for %d lines", wire, used, len(r.Lines))
		}
		ParseExtensions(r.Lines)
	})
}
