package pasted_test

import (
	"bytes"
	"strings"
	"testing"

	"postern/abuse/complaint/decipher"
	"postern/abuse/complaint/pasted"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
)

func utf8(b []byte) string { return string(b) }

// What mail programs put inline when people forward, in the languages of the desk.
func TestPrograms(t *testing.T) {
	for name, c := range map[string]struct{ text, from, subject, date, before string }{
		"gmail en":   {"Please act.\n\n---------- Forwarded message ---------\nFrom: Anna <anna@x.example>\nDate: Mon, May 4, 2026 at 5:02 AM\nSubject: Buy now\nTo: <bob@y.example>\n\n\nCheap!\n", "Anna <anna@x.example>", "Buy now", "Mon, May 4, 2026 at 5:02 AM", "Please act.\n\n"},
		"gmail zh":   {"请处理\n\n---------- 转发的邮件 ---------\n发件人: 安娜 <anna@x.example>\n日期: 2026年5月4日周一 05:02\n主题: 促销\n收件人: <bob@y.example>\n\n便宜!\n", "安娜 <anna@x.example>", "促销", "2026年5月4日周一 05:02", "请处理\n\n"},
		"gmail ru":   {"---------- Пересылаемое сообщение ---------\nОт: Анна <anna@x.example>\nДата: пн, 4 мая 2026 г. в 05:02\nТема: Скидки\nКому: <bob@y.example>\n\nДёшево!\n", "Анна <anna@x.example>", "Скидки", "пн, 4 мая 2026 г. в 05:02", ""},
		"gmail el":   {"---------- Προωθημένο μήνυμα ----------\nΑπό: Άννα <anna@x.example>\nΗμερομηνία: Δευ 4 Μαΐ 2026 στις 5:02 π.μ.\nΘέμα: Προσφορά\nΠρος: <bob@y.example>\n\nΦθηνά!\n", "Άννα <anna@x.example>", "Προσφορά", "Δευ 4 Μαΐ 2026 στις 5:02 π.μ.", ""},
		"outlook en": {"See below\r\n\r\nFrom: Anna <anna@x.example>\r\nSent: Monday, May 4, 2026 5:02 AM\r\nTo: Bob <bob@y.example>\r\nSubject: Buy now\r\n\r\nCheap!\r\n", "Anna <anna@x.example>", "Buy now", "Monday, May 4, 2026 5:02 AM", "See below\r\n\r\n"},
		"outlook zh": {"发件人: 安娜 <anna@x.example>\r\n发送时间: 2026年5月4日 5:02\r\n收件人: 鲍勃\r\n抄送: 全体\r\n主题: 促销\r\n\r\n便宜!\r\n", "安娜 <anna@x.example>", "促销", "2026年5月4日 5:02", ""},
		"outlook tw": {"寄件者: 安娜 <anna@x.example>\r\n寄件日期: 2026年5月4日\r\n收件者: 鮑勃\r\n主旨: 促銷\r\n\r\n便宜!\r\n", "安娜 <anna@x.example>", "促銷", "2026年5月4日", ""},
		"outlook ru": {"От: Анна <anna@x.example>\r\nОтправлено: 4 мая 2026 г. 5:02\r\nКому: Боб\r\nТема: Скидки\r\n\r\nДёшево!\r\n", "Анна <anna@x.example>", "Скидки", "4 мая 2026 г. 5:02", ""},
		"outlook el": {"Από: Άννα <anna@x.example>\r\nΣτάλθηκε: Δευτέρα, 4 Μαΐου 2026\r\nΠρος: Βασίλης\r\nΘέμα: Προσφορά\r\n\r\nΦθηνά!\r\n", "Άννα <anna@x.example>", "Προσφορά", "Δευτέρα, 4 Μαΐου 2026", ""},
		"qq":         {"------------------ 原始邮件 ------------------\n发件人: \"安娜\"<anna@x.example>;\n发送时间: 2026年5月4日(星期一) 凌晨5:02\n收件人: \"鲍勃\"<bob@y.example>;\n主题: 促销\n\n便宜!\n", "\"安娜\"<anna@x.example>;", "促销", "2026年5月4日(星期一) 凌晨5:02", ""},
		"netease":    {"-------- 转发邮件信息 --------\n发件人：安娜 <anna@x.example>\n发送日期：2026-05-04 05:02:01\n收件人：鲍勃\n主题：促销\n\n便宜!\n", "安娜 <anna@x.example>", "促销", "2026-05-04 05:02:01", ""},
		"apple":      {"Hi\n\nBegin forwarded message:\n\n> From: Anna <anna@x.example>\n> Date: 4 May 2026 at 05:02:01 EEST\n> To: bob@y.example\n> Subject: Buy now\n> \n> Cheap!\n\nregards\n", "Anna <anna@x.example>", "Buy now", "4 May 2026 at 05:02:01 EEST", "Hi\n\n"},
		"bold":       {"*From:* Anna <anna@x.example>\n*Sent:* Monday\n*To:* Bob\n*Subject:* Buy now\n\nCheap!\n", "Anna <anna@x.example>", "Buy now", "Monday", ""},
		"mail.ru":    {"-------- Пересылаемое сообщение --------\nОт кого: Анна <anna@x.example>\nКому: bob@y.example\nДата: 4 мая\nТема: Скидки\n\nДёшево!\n-------- Конец пересылаемого сообщения --------\nпрошу принять меры\n", "Анна <anna@x.example>", "Скидки", "4 мая", ""},
	} {
		f, ok := pasted.Find([]byte(c.text), utf8)
		if !ok || f.From != c.from || f.Subject != c.subject || f.Date != c.date || !f.Whole || f.Source || c.text[:f.Before] != c.before {
			t.Errorf("%s: %v %+v", name, ok, f)
		}
		if strings.Contains(string(f.Raw), "regards") || strings.Contains(string(f.Raw), "прошу") {
			t.Errorf("%s: words of the person are taken for the message: %q", name, f.Raw)
		}
	}
}

// The labels are recognised in the charset of the text, and its bytes are kept.
func TestCharsets(t *testing.T) {
	russian, err := charmap.KOI8R.NewEncoder().Bytes([]byte("Смотрите\n-------- Пересылаемое сообщение --------\nОт: Анна <anna@x.example>\nТема: Скидки\nКому: Боб\n\nДёшево!\n"))
	if err != nil {
		t.Fatal(err)
	}
	chinese, err := simplifiedchinese.GBK.NewEncoder().Bytes([]byte("看\n发件人：安娜 <anna@x.example>\n主题：促销\n收件人：鲍勃\n\n便宜\n"))
	if err != nil {
		t.Fatal(err)
	}
	for charset, text := range map[string][]byte{"koi8-r": russian, "gbk": chinese} {
		f, ok := pasted.Find(text, decipher.Lines(charset, text))
		if !ok || !strings.Contains(f.From, "anna@x.example") || f.Subject != "Скидки" && f.Subject != "促销" || !bytes.Equal(f.Raw, text[f.Start:f.End]) {
			t.Errorf("%s: %v %+v", charset, ok, f)
		}
	}
}

const source = "Received: from a.example (a.example [192.0.2.1])\r\n\tby mx.example; Mon, 4 May 2026 05:02:01 +0000\r\nDKIM-Signature: v=1; d=a.example;\r\n\tb=abc\r\nFrom: anna@a.example\r\nSubject: x\r\nMessage-ID: <1@a.example>\r\n"

// The source of a message counts more than what a program shows, wherever it stands.
func TestSource(t *testing.T) {
	for name, c := range map[string]struct {
		text, raw       string
		whole, unquoted bool
	}{
		"alone":          {source, source, false, false},
		"with a body":    {"hello\r\n\r\n" + source + "\r\nbody\r\n", source + "\r\nbody\r\n", true, false},
		"behind a shown": {"From: A <a@x.example>\r\nSent: Monday\r\nTo: b\r\nSubject: c\r\n\r\nas shown\r\n\r\n" + source + "\r\nbody\r\n", source + "\r\nbody\r\n", true, false},
		"quoted":         {"> " + strings.ReplaceAll(strings.TrimSuffix(source, "\r\n"), "\r\n", "\r\n> ") + "\r\n>\r\n> body\r\nno quotation\r\n", source + "\r\nbody\r\n", true, true},
		"unfolded badly": {strings.ReplaceAll(source, "\r\n\t", "\r\n"), strings.ReplaceAll(source, "\r\n\t", "\r\n"), false, false},
		"two fields":     {"Message-ID: <1@a.example>\nReceived: from x by y; z\n", "Message-ID: <1@a.example>\nReceived: from x by y; z\n", false, false},
	} {
		f, ok := pasted.Find([]byte(c.text), utf8)
		if !ok || string(f.Raw) != c.raw || f.Whole != c.whole || f.Unquoted != c.unquoted || !f.Source {
			t.Errorf("%s: %v %+v\n%q", name, ok, f, f.Raw)
		}
	}
}

// Ordinary text is no message.
func TestNothing(t *testing.T) {
	for _, text := range []string{
		"", "\n\n", "Dear all,\nTo: be honest, I do not care.\n", "From: here to there\n", "Subject: matter experts\nDate: never\n", "Note: x\nWarning: y\nhttp://a.example/\n",
		"主题: 会议\n时间: 下午\n", "Date: Monday\nTo: everyone\nhello\n", strings.Repeat(":\n", 1000), strings.Repeat("> ", 1000) + "From: a\n",
	} {
		if f, ok := pasted.Find([]byte(text), utf8); ok {
			t.Errorf("%.40q is taken for a message: %+v", text, f)
		}
	}
}

// Whatever the text is: what is found lies in it, and is it unless quotation marks left.
func FuzzFind(f *testing.F) {
	f.Add([]byte(source+"\r\nbody"), "utf-8")
	f.Add([]byte("> From: a\n> To: b\n> Subject: c\n>\n> d\ne"), "koi8-r")
	f.Add([]byte("---- Forwarded message ----\nFrom: a\nTo: b\n\nx\n--- End of forwarded message ---\ny"), "gbk")
	f.Add([]byte("发件人: a\r主题: b\r收件人: c\r\rd"), "")
	f.Fuzz(func(t *testing.T, text []byte, charset string) {
		before := bytes.Clone(text)
		r, ok := pasted.Find(text, decipher.Lines(charset, text))
		if !bytes.Equal(before, text) {
			t.Fatal("the search changed the text")
		}
		if !ok {
			return
		}
		if r.Before > r.Start || r.Start > r.End || r.End > len(text) || len(r.Raw) == 0 || !r.Unquoted && !bytes.Equal(r.Raw, text[r.Start:r.End]) {
			t.Fatalf("%+v in %d bytes", r, len(text))
		}
	})
}
