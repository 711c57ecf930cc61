package param_test

import (
	stdmime "mime"
	"slices"
	"strings"
	"testing"

	"postern/internal/mime/param"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		in, main, key, value string
		odd                  param.Odd
	}{
		{"text/plain", "text/plain", "", "", 0},
		{"Text/PLAIN; Charset=UTF-8", "text/plain", "charset", "UTF-8", 0},
		{`a/b; k="v w"; l=x`, "a/b", "k", "v w", 0},
		{`a/b; k="v\"w"`, "a/b", "k", `v"w`, param.Escaped},
		{`a/b; k="open`, "a/b", "k", "open", param.OpenQuote},
		{`a/b; k="v" junk; l=x`, "a/b", "l", "x", param.NoSep},
		{`a/b k=v`, "a/b", "k", "v", param.NoSep},
		{`a/b; k=v l=x`, "a/b", "l", "x", param.NoSep},
		{`a(c)/b; (c) k (c) = (c) v (c)`, "a/b", "k", "v", param.Comment},
		{`a/b; k=((((v`, "a/b", "k", "", param.Comment},
		{`a/b; k=1; k=2`, "a/b", "k", "1", param.Twice},
		{`a/b; k=1; k=1`, "a/b", "k", "1", 0},
		{`a/b; k*=utf-8'en'%e2%82%ac`, "a/b", "k", "€", param.Extended | param.Escaped},
		{`a/b; k*1=b; k*0=a`, "a/b", "k", "ab", param.Extended},
		{`a/b; k*0*=utf-8''%e2%82; k*1*=%ac; k*2=%41`, "a/b", "k", "€%41", param.Extended | param.Escaped},
		{`a/b; k=1; k*=''2`, "a/b", "k", "2", param.Extended | param.Twice | param.Escaped},
		{`a/b; k=my file.txt`, "a/b", "k", "my file.txt", param.Escaped},
		{`a/b; boundary=----=_Part_1.2`, "a/b", "boundary", "----=_Part_1.2", 0},
		{`a/b;;; k=v;`, "a/b", "k", "v", 0},
		{`; k=v`, "", "k", "v", 0},
		{"a/b" + strings.Repeat(";", 5000) + "k=v", "a/b", "k", "v", 0},
		{"a/b" + strings.Repeat(";k=v", 300), "a/b", "k", "v", param.Many},
		{``, "", "", "", 0},
	} {
		v := param.Parse(tc.in)
		if v.Main != tc.main || v.Params[tc.key] != tc.value || v.Odd != tc.odd {
			t.Errorf("%q: %q %q=%q odd %b; want %q %q %b", tc.in, v.Main, tc.key, v.Params[tc.key], v.Odd, tc.main, tc.value, tc.odd)
		}
	}
}

func TestReadings(t *testing.T) {
	for _, tc := range []struct {
		key  string
		in   []string
		want []string
	}{
		{"k", []string{"a/b; k=v"}, []string{"v"}},
		{"k", []string{"a/b; k=v; k=w"}, []string{"v", "w"}},
		{"k", []string{`a/b; x="; k=hidden"; k=v`}, []string{"v"}},
		{"k", []string{`a/b; x="; k=hidden"; k=v; k=w`}, []string{"v", "w", "hidden"}},
		{"k", []string{`a/b; k="v`}, []string{"v"}},
		{"k", []string{`a/b; k=v (c)w`}, []string{"v w", "v (c)w"}},
		{"k", []string{`a/b; k*0=v; k*2=w`}, []string{"vw"}},
		{"k", []string{"a/b; k*0=v", "a/b; k*1=w"}, []string{"vw"}},
		{"k", []string{`a/b; k="a\b"`}, []string{"ab", `a\b`}},
		{"name", []string{"a; filename=x; y=1; y=2"}, nil},
		{"k", []string{`a; k=v;w.zip`}, []string{"v"}},
	} {
		var values []param.Value
		for _, s := range tc.in {
			values = append(values, param.Parse(s))
		}
		got, _ := param.Readings(values, tc.key)
		for _, w := range tc.want {
			if !slices.Contains(got, w) {
				t.Errorf("%q: readings %q lack %q", tc.in, got, w)
			}
		}
		if tc.want == nil && len(got) > 0 {
			t.Errorf("%q: readings %q, want none", tc.in, got)
		}
	}
}

// FuzzParse compares with the standard library where that is content and the value plain.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`text/plain; charset="utf-8"`, `a/b; k*0*=utf-8''%41; k*1=b`, `a(b)/c; d="e\"f" g=h`, `a/b; k=v; k=w`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v := param.Parse(s)
		for _, key := range []string{"boundary", "name", "filename", "k"} {
			if list, _ := param.Readings([]param.Value{v, v}, key); len(list) > 40 {
				t.Errorf("%d readings", len(list))
			}
		}
		main, params, err := stdmime.ParseMediaType(s)
		if err != nil || v.Odd != 0 || strings.ContainsAny(s, "'\",\r\n\v\f\u00a0") {
			return
		}
		if v.Main != main {
			t.Errorf("%q: %q, the standard library says %q", s, v.Main, main)
		}
		for k, want := range params {
			if k != "" && v.Params[k] != want {
				t.Errorf("%q: %s=%q, the standard library says %q", s, k, v.Params[k], want)
			}
		}
	})
}
