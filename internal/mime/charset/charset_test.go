package charset_test

import (
	"strings"
	"testing"

	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"

	"postern/internal/mime/charset"
)

func TestUTF8(t *testing.T) {
	jp, _ := japanese.ISO2022JP.NewEncoder().String("日本語")
	gb, _ := simplifiedchinese.GB18030.NewEncoder().String("发票")
	hz, _ := simplifiedchinese.HZGB2312.NewEncoder().String("发票")
	kr, _ := korean.EUCKR.NewEncoder().String("안녕")
	for _, tc := range []struct{ name, in, want string }{
		{"", "plain", "plain"},
		{"us-ascii", "gr\xc3\xbc\xc3\x9fe", "grüße"},
		{"", "gr\xfc\xdfe", "grüße"},
		{"iso-8859-1", "gr\xfc\xdfe", "grüße"},
		{"\"ISO-8859-1\"", "\x93quoted\x94", "“quoted”"},
		{"windows-1251", "\xcf\xf0\xe8\xe2\xe5\xf2", "Привет"},
		{"koi8-r", "\xf0\xd2\xc9\xd7\xc5\xd4", "Привет"},
		{"iso-8859-7", "\xe3\xe5\xe9\xe1", "γεια"},
		{"gb2312", gb, "发票"},
		{"hz-gb-2312", hz, "发票"},
		{"iso-2022-jp", jp, "日本語"},
		{"ks_c_5601-1987", kr, "안녕"},
		{"utf-7", "Hi +AKM-5 +- +ZeVnLIqe-!", "Hi £5 + 日本語!"},
		{"utf-7", "broken +ZeV", "broken 日"},
		{"utf-16", "\xff\xfeA\x00\xac\x20", "A€"},
		{"utf-16", "\xfe\xff\x00A\x20\xac", "A€"},
		{"utf-16", "A\x00B\x00", "AB"},
		{"utf-16", "\x00A\x00B", "AB"},
		{"utf-16le", "A\x00\xac\x20", "A€"},
		{"utf-16be", "\x00A\x20\xac", "A€"},
		{"utf-16", "not wide at all", "not wide at all"},
		{"utf-8", "path\xc0\xafto \xe2\x82\xac \xe2\x82\xac", "path/to € €"},
		{"utf-8", "\xf0\x9f\x98\x80 ok", "😀 ok"},
		{"utf-8*en", "\xc3\xbc", "ü"},
		{"x-no-such", "gr\xfc\xdfe", "grüße"},
		{"cp-1252", "\x80", "€"},
	} {
		got, _ := charset.UTF8(tc.name, []byte(tc.in))
		if string(got) != tc.want {
			t.Errorf("%s %q: %q, want %q", tc.name, tc.in, got, tc.want)
		}
	}
}

func TestKnown(t *testing.T) {
	for name, want := range map[string]bool{"utf-8": true, "ISO-8859-15": true, "gbk": true, "utf-7": true, "x-klingon": false, "iso-2022-kr": false} {
		if charset.Known(name) != want {
			t.Errorf("Known(%q) = %v", name, !want)
		}
	}
}

func FuzzUTF8(f *testing.F) {
	for _, s := range []string{"utf-7", "utf-16", "iso-2022-jp", "gb18030", "", "hz-gb-2312"} {
		f.Add(s, "+ZeVnLIqe- \xc0\xaf~{abc~}\x1b$B!!")
	}
	f.Fuzz(func(t *testing.T, name, in string) {
		if got, _ := charset.UTF8(name, []byte(in)); len(got) > 4*len(in)+8 {
			t.Errorf("%d bytes became %d", len(in), len(got))
		}
		if got, _ := charset.UTF8("utf-8", []byte(in)); strings.ToValidUTF8(string(got), "") != string(got) {
			t.Errorf("invalid UTF-8 out: %q", got)
		}
	})
}
