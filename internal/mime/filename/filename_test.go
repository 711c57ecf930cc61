package filename_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"postern/internal/mime/filename"
	"postern/internal/mime/param"
)

func TestAdd(t *testing.T) {
	for in, tc := range map[string]struct {
		want string
		odd  filename.Odd
	}{
		"a.exe":                          {"a.exe", 0},
		"a.exe\x00.txt":                  {"a.exe\x00.txt|a.exe|a.exe.txt", filename.Control},
		"gpj\u202e.exe":                  {"gpj\u202e.exe|gpj.exe", filename.Control},
		"../../x.sh":                     {"../../x.sh|x.sh", filename.Path},
		`C:\dir\x.sh`:                    {`C:\dir\x.sh|x.sh`, 0},
		"/etc/passwd":                    {"/etc/passwd|passwd", filename.Path},
		"x.exe. ":                        {"x.exe. |x.exe", 0},
		"=?utf-8?q?a=2Eexe?=":            {"a.exe", 0},
		"gr\xfcn.txt":                    {"grün.txt", 0},
		strings.Repeat("x", 50) + ".exe": {strings.Repeat("x", 16) + ".exe", filename.Long},
		"":                               {"", 0},
	} {
		l := filename.List{Bytes: 20, Limit: 10}
		l.Add(in)
		if got := strings.Join(l.Names, "|"); got != tc.want || l.Odd != tc.odd {
			t.Errorf("%q: %q odd %b, want %q %b", in, got, l.Odd, tc.want, tc.odd)
		}
	}
}

func TestValues(t *testing.T) {
	l := filename.List{Bytes: 100, Limit: 10}
	l.Values([]param.Value{param.Parse("attachment; filename=a.exe"), param.Parse("image/png; name=b.png")})
	if !slices.Equal(l.Names, []string{"a.exe", "b.png"}) || l.Odd != filename.Conflict {
		t.Errorf("%q odd %b", l.Names, l.Odd)
	}
	var many strings.Builder
	for i := range 60 {
		fmt.Fprintf(&many, "; filename=%d.exe", i)
	}
	l = filename.List{Bytes: 100, Limit: 10}
	l.Values([]param.Value{param.Parse("attachment" + many.String())})
	if len(l.Names) != 10 || l.Odd&filename.Many == 0 {
		t.Errorf("%d names, odd %b", len(l.Names), l.Odd)
	}
}
