package shape_test

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"postern/filter"
	"postern/filter/shape"
	"postern/internal/mime"
)

func symbols(t *testing.T, raw string) []string {
	t.Helper()
	b := []byte(strings.ReplaceAll(raw, "\n", "\r\n"))
	m := &filter.Message{Parts: func() (*mime.Tree, error) {
		return mime.Walk(bytes.NewReader(b), int64(len(b)), mime.DefaultLimits())
	}}
	found, err := shape.Check{}.Check(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range found {
		out = append(out, f.Symbol)
	}
	slices.Sort(out)
	return out
}

func some(n int) string { return strings.Repeat("word ", n) }

func page(body string) string { return "Subject: x\nContent-Type: text/html\n\n" + body }

func text(body string) string { return "Subject: x\nContent-Type: text/plain\n\n" + body }

func both(plain, html string) string {
	return "Subject: x\nContent-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\n" + plain +
		"\n--b\nContent-Type: text/html\n\n" + html + "\n--b--\n"
}

func coded(kind, body string) string {
	return "Subject: x\nContent-Type: " + kind + "\nContent-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString([]byte(body)) + "\n"
}

func TestSymbols(t *testing.T) {
	for _, x := range []struct{ name, raw, want string }{
		{"a letter", text("Dear Bob,\n\n" + some(50)), ""},
		{"a page alone", page("<p>" + some(80) + "</p>"), shape.HTMLAlone},
		{"both alike", both(some(80), "<p>"+some(90)+"</p>"), ""},
		{"filler beside a page", both(some(200), "<p>"+some(8)+"</p>"), shape.TextsDiffer},
		{"a page beside a line", both("Open the page.", "<p>"+some(200)+"</p>"), shape.TextsDiffer},
		{"both short", both(some(5), "<p>"+some(50)+"</p>"), ""},
		{"no text beside the page", both("", "<p>"+some(200)+"</p>"), ""},
		{"not a word", text("\n\n"), shape.TextNone},
		{"not a word on a page", page("<p> &nbsp; </p>"), shape.HTMLAlone + " " + shape.TextNone},
		{"neither subject nor word", "Content-Type: text/plain\n\n\n", ""},

		{"a picture and a line", page(`<img src="https://a.test/p.png"> ` + some(29)), shape.HTMLAlone + " " + shape.PictureAlone},
		{"what a picture stands for is no word", page(`<img src="https://a.test/p.png" alt="` + some(90) + `">`), shape.HTMLAlone + " " + shape.PictureAlone},
		{"a picture and words", page(`<img src="https://a.test/p.png"> ` + some(30)), shape.HTMLAlone},
		{"a linked picture", page(`<a href="/x"><img src="https://a.test/p.png"></a> ` + some(59)), shape.HTMLAlone + " " + shape.PictureLinked},
		{"a linked picture and words", page(`<a href="/x"><img src="https://a.test/p.png"></a> ` + some(60)), shape.HTMLAlone},
		{"a picture behind a link", page(`<a href="/x">x</a><img src="https://a.test/p.png"> ` + some(50)), shape.HTMLAlone},

		{"few words and a link", text(some(38) + "https://a.test/"), shape.ShortLinked},
		{"more words and a link", text(some(40) + "https://a.test/"), ""},
		{"few words and three links", text("https://a.test/ https://b.test/ https://c.test/"), ""},
		{"few words", text(some(10)), ""},
		{"an answer", "In-Reply-To: <a@b>\n" + text("see https://a.test/"), ""},
		{"in a thread", "References: <a@b>\n" + text("see https://a.test/"), ""},

		{"ASCII in Base64", coded("text/plain", some(80)), shape.TextBase64},
		{"a page of ASCII in Base64", coded("text/html", "<p>"+some(80)+"</p>"), shape.HTMLAlone + " " + shape.TextBase64},
		{"Greek in Base64", coded("text/plain; charset=utf-8", some(80)+"καλημέρα"), ""},
		{"a word in Base64", coded("text/plain", some(8)), ""},

		{"letters of another script", "From: Pаypаl <a@b.test>\n" + text(some(9)), shape.LettersMixed},
		{"letters of another script in the text", text("Your Pаypаl аccount at Amаzon"), shape.LettersMixed},
		{"two of them in the text", text("Your Pаypаl аnd Amаzon"), ""},
		{"one of them in the text", text("Your Pаypаl"), ""},
		{"a Russian letter", "Subject: Ответ на SMSку\n" + text("IP-адрес, email'ом, VIPы и аккаунт"), ""},
		{"hidden characters", text("v\u200bi\u200ba\u200bgra"), shape.LettersHidden},
		{"hidden characters of a page", page("<p>v&#8203;i&zwnj;a&#8288;gra</p>"), shape.HTMLAlone + " " + shape.LettersHidden},
		{"hidden characters beside words", page("<p>" + strings.Repeat("&zwnj;&nbsp;", 90) + "Hello</p>"), shape.HTMLAlone},
		{"hidden characters in the subject", "Subject: P\u200bay\u200bpal\n\n" + some(9), shape.LettersHidden},
		{"a Persian letter", "Subject: می\u200cخواهم\n\n" + strings.Repeat("می\u200cخواهم ", 9), ""},
		{"pictures of people", "Subject: 👨\u200d👩\u200d👧\n\n" + strings.Repeat("👨\u200d👩\u200d👧 ", 9), ""},
		{"a subject turned round", "Subject: \u202elapyap\u202c\n\n" + some(9), shape.LettersTurned},
		{"a Hebrew subject", "Subject: \u200f\u202bשלום\u202c\u200e\n\nשלום", ""},
		{"a number from an address book", "Subject: call \u202a+44 20 7946\u202c\n\n" + some(9), ""},

		{"a file beside a line", "Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nsee https://a.test/\n--b\nContent-Type: application/pdf\n" +
			"Content-Disposition: attachment; filename=a.pdf\n\n%PDF\n--b--\n", ""},
	} {
		if got := strings.Join(symbols(t, x.raw), " "); got != x.want {
			t.Errorf("%s: found %q, wanted %q", x.name, got, x.want)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(both("a", `<a href="https://a.test/"><img>`))
	f.Add(coded("text/html", "<p>x"))
	f.Add("Content-Type: multipart/alternative\n\n--\n")
	f.Fuzz(func(t *testing.T, raw string) {
		found := symbols(t, raw)
		for _, s := range found {
			if !slices.Contains(shape.Symbols(), s) {
				t.Errorf("found %q", s)
			}
		}
		if len(slices.Compact(found)) != len(found) {
			t.Errorf("found one twice: %q", found)
		}
	})
}
