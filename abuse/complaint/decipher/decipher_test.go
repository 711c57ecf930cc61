package decipher_test

import (
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"

	"postern/abuse/complaint/decipher"
)

const (
	chinese     = "您好,我们收到了从贵公司服务器发出的垃圾邮件,请尽快处理并回复。"
	traditional = "您好,我們收到了從貴公司伺服器發出的垃圾郵件,請儘快處理並回覆。"
	russian     = "Здравствуйте! С вашего сервера нам прислали спам. Просим принять меры и ответить."
	greek       = "Καλημέρα σας, λάβαμε ανεπιθύμητη αλληλογραφία από τον διακομιστή σας. Παρακαλούμε ελέγξτε το."
	hanja       = "お世話になっております。御社のサーバーから迷惑メールが届きました。ご確認ください。"
	french      = "Bonjour, nous avons reçu du courrier indésirable envoyé par votre société à notre équipe."
)

func encode(t *testing.T, e encoding.Encoding, s string) []byte {
	t.Helper()
	b, err := e.NewEncoder().Bytes([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Text is readable whether its charset is named, not named, or named wrongly.
func TestText(t *testing.T) {
	for _, c := range []struct {
		name string
		enc  encoding.Encoding
		text string
		lang string
	}{
		{"gb18030", simplifiedchinese.GB18030, chinese, "zh"},
		{"gbk", simplifiedchinese.GBK, chinese, "zh"},
		{"big5", traditionalchinese.Big5, traditional, "zh"},
		{"koi8-r", charmap.KOI8R, russian, "ru"},
		{"windows-1251", charmap.Windows1251, russian, "ru"},
		{"iso-8859-7", charmap.ISO8859_7, greek, "el"},
		{"shift_jis", japanese.ShiftJIS, hanja, "ja"},
		{"euc-jp", japanese.EUCJP, hanja, "ja"},
		{"windows-1252", charmap.Windows1252, french, ""},
	} {
		raw := encode(t, c.enc, c.text)
		for _, declared := range []string{c.name, "", "us-ascii", "utf-8", "iso-8859-1"} {
			r := decipher.Text(declared, raw)
			if r.Text != c.text {
				t.Errorf("%s declared as %q is read as %s: %s", c.name, declared, r.Charset, r.Text)
			}
			if (r.Problem == "") != (declared == c.name || c.name == "windows-1252" && declared == "iso-8859-1") && c.name != "windows-1252" {
				t.Errorf("%s declared as %q: problem %q", c.name, declared, r.Problem)
			}
			if got := decipher.Language(r.Text); got != c.lang {
				t.Errorf("%s: the language is %q", c.name, got)
			}
		}
	}
	if r := decipher.Text("gb2312", encode(t, simplifiedchinese.GB18030, "喆喆镕 "+chinese)); r.Text != "喆喆镕 "+chinese { // characters gb2312 lacks
		t.Errorf("gb2312 with more: %s", r.Text)
	}
}

func TestTextOtherwise(t *testing.T) {
	for _, c := range []struct{ declared, raw, text, charset string }{
		{"", "plain", "plain", "us-ascii"},
		{"klingon", "plain", "plain", "us-ascii"},
		{"koi8-r", "plain", "plain", "koi8-r"},
		{"us-ascii", russian, russian, "utf-8"},
		{"UTF-7", "+ADw-script+AD4-", "<script>", "utf-7"},
		{"", "\x1b$B;d\x1b(B", "私", "iso-2022-jp"},
		{"", strings.Repeat("\x00\x01\xff", 100), "", "binary"},
		{"", "", "", "us-ascii"},
	} {
		if r := decipher.Text(c.declared, []byte(c.raw)); r.Text != c.text || r.Charset != c.charset {
			t.Errorf("%q %q is %+v", c.declared, c.raw, r)
		}
	}
	if r := decipher.Text("utf-7", []byte("x")); !strings.Contains(r.Problem, "UTF-7") {
		t.Errorf("UTF-7 is not named: %+v", r)
	}
}

func TestLanguage(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "ok": "", "Please stop sending this to our users.": "en", "We have received spam from your server, please stop it": "en", "Bitte hören Sie auf damit": "",
		"请停止 spam@example.com": "zh", "Ваш клиент рассылает спам": "ru", "Ваш клієнт розсилає спам, її адреса нижче": "uk", "귀사의 서버에서 스팸": "ko",
		"mx.example.net smtpd[123]: reject; spam; anna@example.com; 203.0.113.7; спам": "",
		"\xff\xfe": "", "1234 5678": "",
	} {
		if got := decipher.Language(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	for value, want := range map[string]string{"zh-CN": "zh", "EL": "el", "ru, en": "ru", " en_US": "en", "": "", "x": "", "12": "", "<b>": "", "gsw": "gsw"} {
		if got := decipher.Tag(value); got != want {
			t.Errorf("the tag %q is %q, want %q", value, got, want)
		}
	}
}
