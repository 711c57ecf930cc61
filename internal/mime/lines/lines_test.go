package lines_test

import (
	"fmt"
	"strings"
	"testing"

	"postern/internal/mime/lines"
)

func TestDelimiters(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want string // offset, then f for final and l for loose
		real bool
	}{
		{"--B\r\nx\r\n--B--\r\n", "0 8f", true},
		{"pre\n--B\nx\n--B \t\n--B-- \nepi", "4 10 16f", true},
		{"--Bx\n--B", "0l 5", true},
		{"--Bx\n--B--", "0l 5f", false},
		{"--B-- text", "0fl", false},
		{"text --B\n", "", false},
		{"a\r--B\r\n", "2", true},
		{"", "", false},
		{"--B", "0", true},
	} {
		list, real, more := lines.Delimiters([]byte(tc.in), "B", 10)
		var got []string
		for _, d := range list {
			s := fmt.Sprint(d.At)
			if d.Final {
				s += "f"
			}
			if d.Loose {
				s += "l"
			}
			got = append(got, s)
		}
		if strings.Join(got, " ") != tc.want || real != tc.real || more {
			t.Errorf("%q: %q real %v more %v; want %q %v", tc.in, got, real, more, tc.want, tc.real)
		}
	}
	if list, _, more := lines.Delimiters([]byte(strings.Repeat("--B\n", 20)), "B", 10); len(list) != 10 || !more {
		t.Errorf("%d delimiters, more %v", len(list), more)
	}
}

func TestLines(t *testing.T) {
	b := []byte("one\r\ntwo\n\r\r\nlast\r")
	var got []string
	for pos := 0; pos < len(b); {
		if !lines.Begins(b, pos) {
			t.Errorf("no line begins at %d", pos)
		}
		var l []byte
		l, pos = lines.At(b, pos)
		got = append(got, string(l))
	}
	if strings.Join(got, "|") != "one|two||last" {
		t.Errorf("%q", got)
	}
	for pos, want := range map[int]int{5: 3, 9: 8, 4: 3, 0: 0} {
		if n := lines.Before(b, 0, pos); n != want {
			t.Errorf("before %d is %d, want %d", pos, n, want)
		}
	}
}

func TestEnds(t *testing.T) {
	for in, want := range map[string][2]bool{
		"a\r\nb\r\n": {false, false},
		"a\nb\n":     {false, false},
		"a\r\nb\n":   {false, true},
		"a\rb\r\n":   {true, true},
		"a\r\r\n":    {false, false},
		"a\r":        {true, true},
		"":           {false, false},
	} {
		if bare, mixed := lines.Ends([]byte(in)); bare != want[0] || mixed != want[1] {
			t.Errorf("%q: %v %v, want %v", in, bare, mixed, want)
		}
	}
	if got := string(lines.Unify([]byte("a\r\nb\rc\nd"))); got != "a\nb\nc\nd" {
		t.Errorf("%q", got)
	}
}

func TestHasContentField(t *testing.T) {
	for in, want := range map[string][2]bool{ // anywhere, in the head
		"Content-Type: x":         {true, true},
		"a: b\r\nCONTENT-type: x": {true, true},
		"text\n\nContent-Type: x": {true, false},
		"Content-Type x":          {false, false},
		" Content-Type: x":        {false, false},
		"See Content-Type: x":     {false, false},
		"":                        {false, false},
	} {
		if a, b := lines.HasContentField([]byte(in), false), lines.HasContentField([]byte(in), true); a != want[0] || b != want[1] {
			t.Errorf("%q: %v %v, want %v", in, a, b, want)
		}
	}
}
