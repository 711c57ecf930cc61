package mime_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"

	"postern/internal/mime"
	"postern/internal/mime/oddity"
)

// TestTextOfEveryCharset: the views show the same words whatever charset and encoding they
// came in.
func TestTextOfEveryCharset(t *testing.T) {
	for _, tc := range []struct {
		name string
		enc  encoding.Encoding
		text string
	}{
		{"utf-8", encoding.Nop, "Grüße, 发票 😀"},
		{"iso-8859-1", charmap.ISO8859_1, "Grüße"},
		{"iso-8859-15", charmap.ISO8859_15, "100 € Grüße"},
		{"windows-1252", charmap.Windows1252, "“Grüße”"},
		{"iso-8859-2", charmap.ISO8859_2, "Zażółć gęślą jaźń"},
		{"windows-1251", charmap.Windows1251, "Привет"},
		{"koi8-r", charmap.KOI8R, "Привет"},
		{"koi8-u", charmap.KOI8U, "Привіт"},
		{"iso-8859-5", charmap.ISO8859_5, "Привет"},
		{"iso-8859-7", charmap.ISO8859_7, "Γειά σου"},
		{"windows-1253", charmap.Windows1253, "Γειά σου"},
		{"windows-1254", charmap.Windows1254, "Teşekkür"},
		{"windows-1255", charmap.Windows1255, "שלום"},
		{"windows-1256", charmap.Windows1256, "مرحبا"},
		{"gb2312", simplifiedchinese.GBK, "发票代开"},
		{"gbk", simplifiedchinese.GBK, "发票代开"},
		{"gb18030", simplifiedchinese.GB18030, "发票代开"},
		{"hz-gb-2312", simplifiedchinese.HZGB2312, "发票代开"},
		{"big5", traditionalchinese.Big5, "您好"},
		{"shift_jis", japanese.ShiftJIS, "こんにちは"},
		{"euc-jp", japanese.EUCJP, "こんにちは"},
		{"iso-2022-jp", japanese.ISO2022JP, "こんにちは"},
		{"euc-kr", korean.EUCKR, "안녕하세요"},
		{"ks_c_5601-1987", korean.EUCKR, "안녕하세요"},
		{"utf-16", unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), "Grüße 发票"},
		{"utf-16", unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), "plain latin text"},
		{"utf-16be", unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), "Grüße 发票"},
		{"", charmap.Windows1252, "Grüße"},
		{"x-none-such", encoding.Nop, "Grüße"},
	} {
		raw, err := tc.enc.NewEncoder().String(tc.text)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		for _, media := range []string{"text/plain", "text/html"} {
			head := "Content-Type: " + media
			if tc.name != "" {
				head += "; charset=\"" + strings.ToUpper(tc.name) + "\""
			}
			mail := "From: a@example.com\r\n" + head + "\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(raw)) + "\r\n"
			if got := mime.Bytes([]byte(mail), mime.Limits{}).Text(); strings.TrimSpace(got) != tc.text {
				t.Errorf("%s in %s: %q, want %q", media, tc.name, got, tc.text)
			}
		}
	}
}

func TestHTMLCharsetFromMeta(t *testing.T) {
	for _, meta := range []string{`<meta charset=windows-1251>`, `<META http-equiv="Content-Type" content="text/html; charset='windows-1251'">`} {
		mail := "From: a@example.com\r\nContent-Type: text/html\r\n\r\n<html>" + meta + "\xcf\xf0\xe8\xe2\xe5\xf2"
		if got := mime.Bytes([]byte(mail), mime.Limits{}).Text(); strings.TrimSpace(got) != "Привет" {
			t.Errorf("%s: %q", meta, got)
		}
	}
}

const shown = "From: =?utf-8?q?Bank_=C3=84?= <bank@example.com>\r\nFrom: Second <second@example.net>\r\n" +
	"Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n" +
	"--B\r\nContent-Type: text/plain\r\n\r\nplain http://plain.example/\r\n" +
	"--B\r\nContent-Type: text/html\r\n\r\n<p>html <a href=\"http://real.example/\">shown.example</a></p>\r\n" +
	"--B\r\nContent-Type: application/octet-stream; name=page.html\r\n\r\n<b>attached</b>\r\n" +
	"--B\r\nContent-Type: application/octet-stream; name=a.bin\r\n\r\nnot text\r\n--B--\r\n"

func TestViewsOfATree(t *testing.T) {
	tree := mime.Bytes([]byte(shown), mime.Limits{})
	if got := tree.Text(); got != "plain http://plain.example/\nhtml shown.example\nattached" {
		t.Errorf("text %q", got)
	}
	if got := tree.HTMLText(); !strings.Contains(got, "href=\"http://real.example/\"") || !strings.Contains(got, "<b>attached</b>") || strings.Contains(got, "not text") {
		t.Errorf("html %q", got)
	}
	if got := tree.URLs(); len(got) != 2 || got[0].Host != "plain.example" || got[1].Host != "real.example" || got[1].Text != "shown.example" {
		t.Errorf("links %+v", got)
	}
	if got := tree.FileNames(); !slices.Equal(got, []string{"page.html", "a.bin"}) {
		t.Errorf("names %q", got)
	}
	if tree.Subject() != "Grüße" {
		t.Errorf("subject %q", tree.Subject())
	}
	want := []mime.Mailbox{{Name: "Bank Ä", Address: "bank@example.com", Domain: "example.com"}, {Name: "Second", Address: "second@example.net", Domain: "example.net"}}
	if got := tree.From(); !slices.Equal(got, want) {
		t.Errorf("from %+v", got)
	}
	if !tree.Has(oddity.FromTwice) || tree.ViewCut() {
		t.Errorf("%v, cut %v", tree.Anomalies, tree.ViewCut())
	}
}

// TestTreeIsSharedSafely: checks run side by side over one tree.
func TestTreeIsSharedSafely(t *testing.T) {
	tree := mime.Bytes([]byte(shown), mime.Limits{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			tree.Text()
			tree.URLs()
			tree.FileNames()
			tree.From()
			for p := range tree.Leaves() {
				p.Readings()
			}
			for range tree.Alternatives() {
				return
			}
		})
	}
	wg.Wait()
}

func TestFromBehindDamage(t *testing.T) {
	for mail, domains := range map[string][]string{
		"From : a@one.example\r\n\r\nx":                                  {"one.example"},
		" From: a@one.example\r\n\r\nx":                                  {"one.example"},
		"Subject: x\r\nbad line\r\nFrom: a@one.example\r\n\r\nx":         {"one.example"},
		"Fr\x00om: a@one.example\r\n\r\nx":                               {"one.example"},
		"From: a@one.example\r\n \r\nFrom: b@two.example\r\n\r\nx":       {"one.example", "two.example"},
		"From: a@one.example, b@two.example\r\n\r\nx":                    {"one.example", "two.example"},
		"FROM: a@one.example\r\nfrom: a@one.example\r\n\r\nx":            {"one.example"},
		"Subject: none\r\n\r\nFrom: a@one.example":                       nil,
		"From: \"a@shown.example\" <b@one.example>\r\n\r\nx":             {"one.example"},
		"From: =?utf-8?q?a=40shown=2Eexample?= <b@one.example>\r\n\r\nx": {"one.example"},
		"From: a@one.example\r\nX: y\rFrom: b@two.example\r\n\r\nx":      {"one.example", "two.example"},
	} {
		var got []string
		for _, m := range mime.Bytes([]byte(mail), mime.Limits{}).From() {
			got = append(got, m.Domain)
		}
		if !slices.Equal(got, domains) {
			t.Errorf("%q: %q, want %q", mail, got, domains)
		}
	}
}

// TestAlternativesAreWhatDiffers: a sound mail has none, a damaged one has each reading once.
func TestAlternativesAreWhatDiffers(t *testing.T) {
	count := func(mail string) (n int, why []mime.Kind) {
		for a := range parse(mail).Alternatives() {
			n++
			why = append(why, a.Why)
		}
		return n, why
	}
	if n, why := count(top + "Content-Type: multipart/mixed; boundary=B\n" + body("B")); n != 0 {
		t.Errorf("a sound mail has alternatives %v", why)
	}
	if n, why := count(top + "Content-Transfer-Encoding: base64\n\naGVsbG8=IHdvcmxk\n"); n == 0 || why[0] != oddity.Base64Broken {
		t.Errorf("two streams: %v", why)
	}
	if _, why := count(top + "Content-Type: multipart/mixed; boundary=B\n\n--B\n\nx\n--B--\n--B\n" + attached); !slices.Equal(why, []mime.Kind{mime.OtherReading}) {
		t.Errorf("a part behind the end: %v", why)
	}
	n := 0
	for range parse(top + "Content-Transfer-Encoding: base64\n\naGVsbG8=IHdvcmxk\n").Alternatives() {
		n++
		break
	}
	if n != 1 {
		t.Error("the sequence does not stop when told")
	}
}

func TestAnomaliesAreBounded(t *testing.T) {
	tree := mime.Bytes([]byte(top+"Content-Type: multipart/mixed; boundary=B\n\n"+strings.Repeat("--B\nbad line\nA: b\n\nx\n", 500)), mime.Limits{Anomalies: 10})
	if len(tree.Anomalies) > 12 {
		t.Errorf("%d anomalies", len(tree.Anomalies))
	}
	for _, a := range tree.Anomalies {
		if len(a.Detail) > 130 {
			t.Errorf("a detail of %d bytes", len(a.Detail))
		}
	}
}
