package charset_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"

	"postern/internal/mime/charset"
)

// The letters of every charset, as people write them.
const (
	chinese   = "您好，贵公司需要开具发票请联系我们，电话咨询优惠多多。"
	taiwan    = "您好，貴公司需要開立發票請與我們聯絡，歡迎電話洽詢優惠方案。"
	japan     = "こんにちは。ご注文の商品は明日お届けします。ありがとうございました。"
	korea     = "안녕하세요. 주문하신 상품이 내일 도착할 예정입니다. 감사합니다."
	russian   = "Здравствуйте, уважаемый покупатель! Ваш заказ прибудет завтра утром."
	greece    = "Καλημέρα σας, η παραγγελία σας θα φτάσει αύριο το πρωί. Ευχαριστούμε."
	german    = "Schöne Grüße aus München, Ihr Päckchen für Herrn Müller kommt übermorgen früh."
	japanese7 = "件名: ご注文の商品"
)

func encoded(t *testing.T, enc encoding.Encoding, text string) []byte {
	t.Helper()
	b, err := enc.NewEncoder().Bytes([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestNames: the charsets that must be read, under the names that mail gives them.
func TestNames(t *testing.T) {
	for _, x := range []struct {
		names string
		enc   encoding.Encoding
		text  string
	}{
		{"gb2312 gbk x-gbk GB18030 chinese gb_2312-80", simplifiedchinese.GB18030, chinese + "㐀"},
		{"big5 big5-hkscs x-x-big5", traditionalchinese.Big5, taiwan},
		{"shift_jis sjis x-sjis windows-31j ms_kanji", japanese.ShiftJIS, japan},
		{"euc-jp x-euc-jp", japanese.EUCJP, japan},
		{"iso-2022-jp", japanese.ISO2022JP, japan},
		{"euc-kr ks_c_5601-1987 windows-949", korean.EUCKR, korea},
		{"koi8-r koi8", charmap.KOI8R, russian},
		{"koi8-u", charmap.KOI8U, russian},
		{"windows-1251 cp1251 x-cp1251 cp-1251", charmap.Windows1251, russian},
		{"iso-8859-5", charmap.ISO8859_5, russian},
		{"iso-8859-7 greek el-gr", charmap.ISO8859_7, greece},
		{"windows-1253 cp1253", charmap.Windows1253, greece},
		{"windows-1250 iso-8859-1 iso-8859-15 windows-1252", charmap.Windows1252, german},
		{"windows-1254 iso-8859-9", charmap.Windows1254, german},
	} {
		b := encoded(t, x.enc, x.text)
		for name := range strings.FieldsSeq(x.names) {
			if name == "el-gr" {
				continue
			}
			if got, known := charset.UTF8(name, b); !known || string(got) != x.text {
				t.Errorf("%s (known %v): %q, want %q", name, known, got, x.text)
			}
		}
	}
}

// TestUnnamed: bytes without a name, or under one that cannot be, are read as what they look like.
func TestUnnamed(t *testing.T) {
	for _, x := range []struct {
		enc  encoding.Encoding
		text string
	}{
		{simplifiedchinese.GB18030, chinese}, {traditionalchinese.Big5, taiwan}, {japanese.ShiftJIS, japan}, {japanese.EUCJP, japan},
		{korean.EUCKR, korea}, {charmap.KOI8R, russian}, {charmap.Windows1251, russian}, {charmap.Windows1253, greece}, {charmap.Windows1252, german},
		{japanese.ISO2022JP, japanese7}, {charmap.Windows1252, "naïve café"}, {charmap.Windows1252, "“Smart” – quotes"},
		{simplifiedchinese.GB18030, "Invoice 代开发票 call now"}, {charmap.Windows1251, "PDF: счёт за ноябрь и другие бумаги"},
	} {
		for _, name := range []string{"", "us-ascii", "utf-8", "x-no-such"} {
			if got, _ := charset.UTF8(name, encoded(t, x.enc, x.text)); string(got) != x.text {
				t.Errorf("%v as %q: %q, want %q", x.enc, name, got, x.text)
			}
		}
	}
}

// wide is text in UTF-16 without a mark.
func wide(text string, little bool) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(text)) {
		if little {
			b = append(b, byte(u), byte(u>>8))
		} else {
			b = append(b, byte(u>>8), byte(u))
		}
	}
	return b
}

func TestUnnamedWide(t *testing.T) {
	const text = "Dear customer, привет"
	for _, name := range []string{"", "us-ascii", "utf-8", "utf-16"} {
		for _, little := range []bool{true, false} {
			if got, _ := charset.UTF8(name, wide(text, little)); string(got) != text {
				t.Errorf("%q, little end first %v: %q", name, little, got)
			}
			mark := []byte{0xfe, 0xff}
			if little {
				mark = []byte{0xff, 0xfe}
			}
			if got, _ := charset.UTF8(name, append(mark, wide(text, little)...)); string(got) != text {
				t.Errorf("%q with a mark, little end first %v: %q", name, little, got)
			}
		}
	}
	for _, plain := range []string{"a\x00b", "one NUL\x00 in a longer text of many words", "", "\x00"} {
		if got, _ := charset.UTF8("", []byte(plain)); string(got) != plain {
			t.Errorf("%q became %q", plain, got)
		}
	}
}

// TestRecode: what can hide ASCII is given in UTF-8, what cannot is not.
func TestRecode(t *testing.T) {
	const virus = "EICAR+TEST"
	over := func(s string) []byte {
		var b []byte
		for i := range len(s) {
			b = append(b, 0xc0|s[i]>>6, 0x80|s[i]&0x3f)
		}
		return b
	}
	for _, x := range []struct {
		name string
		b    []byte
	}{
		{"utf-7", []byte("EI+AEMAQQBS-+-TEST")}, {"unicode-1-1-utf-7", []byte("+AEUASQBD-AR+-TEST")}, {"UTF-16", wide(virus, true)}, {"utf-16le", wide(virus, true)},
		{"utf-16be", wide(virus, false)}, {"", wide(virus, true)}, {"us-ascii", wide(virus, false)}, {"iso-2022-jp", []byte("EI\x1b(BCAR\x1b(B+TEST")},
		{"", over(virus)}, {"utf-8", append([]byte("EICAR"), over("+TEST")...)}, {"x-no-such", over(virus)}, {"hz-gb-2312", []byte("EICAR~\n+TEST")},
	} {
		if text, shifts := charset.Recode(x.name, x.b); !shifts || string(text) != virus {
			t.Errorf("%s %q: %q, %v", x.name, x.b, text, shifts)
		}
	}
	for _, x := range []struct {
		name string
		b    []byte
	}{
		{"", []byte("plain")}, {"utf-8", []byte("grüße")}, {"gbk", encoded(t, simplifiedchinese.GBK, chinese)}, {"", encoded(t, simplifiedchinese.GBK, chinese)},
		{"windows-1251", encoded(t, charmap.Windows1251, russian)}, {"utf-7", []byte("no shift in here")}, {"iso-2022-jp", []byte("plain")}, {"utf-16", []byte("plain ascii")},
		{"x-no-such", []byte("plain")}, {"big5", encoded(t, traditionalchinese.Big5, taiwan)}, {"", nil},
	} {
		if text, shifts := charset.Recode(x.name, x.b); shifts {
			t.Errorf("%s %q shifts to %q", x.name, x.b, text)
		}
	}
}

func TestIsUTF7(t *testing.T) {
	for name, want := range map[string]bool{"utf-7": true, "\"UTF-7\"": true, "unicode-1-1-utf-7": true, "utf7": true, "utf-8": false, "": false} {
		if charset.IsUTF7(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

func FuzzRecode(f *testing.F) {
	for _, name := range []string{"", "utf-7", "utf-16", "iso-2022-jp", "gb18030", "hz-gb-2312"} {
		f.Add(name, []byte("+ZeVnLIqe- \xc0\xaf\x1b$B!!\x1b(B"))
	}
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		was := bytes.Clone(b)
		text, shifts := charset.Recode(name, b)
		if !bytes.Equal(b, was) || !shifts && text != nil && len(text) > 4*len(b)+8 {
			t.Errorf("%q: %q", name, text)
		}
	})
}
