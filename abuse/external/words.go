package external

import (
	"bytes"
	"context"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"strings"
	"time"

	"postern/abuse/cases"
	"postern/abuse/external/contact"
)

// wording is what a report says to people, in one language.
type wording struct{ subject, what, when, from, signed, sender, incidents, ground, answer string }

func wordings(language string) wording {
	switch language {
	case "zh":
		return wording{"垃圾邮件来源报告 %s", "我们收到来自下列来源的滥用邮件。", "时间(UTC)", "来源地址", "签名域名", "信封发件人", "次数", "依据", "请直接回复本邮件。如不希望再收到此类报告,请回复 STOP。"}
	case "ru":
		return wording{"Сообщение об источнике спама %s", "Мы получили нежелательную почту из указанного ниже источника.", "Время (UTC)", "Адрес источника", "Домен подписи", "Отправитель конверта", "Случаев", "Основание", "На это письмо можно ответить. Чтобы больше не получать таких сообщений, ответьте словом STOP."}
	case "el":
		return wording{"Αναφορά πηγής ανεπιθύμητης αλληλογραφίας %s", "Λάβαμε καταχρηστική αλληλογραφία από την παρακάτω πηγή.", "Ώρα (UTC)", "Διεύθυνση πηγής", "Τομέας υπογραφής", "Αποστολέας φακέλου", "Περιστατικά", "Βάση", "Μπορείτε να απαντήσετε σε αυτό το μήνυμα. Για να μη λαμβάνετε άλλες αναφορές, απαντήστε STOP."}
	}
	return wording{"Report of a source of spam %s", "We received abusive mail from the source below.", "Time (UTC)", "Source address", "Domain of the signature", "Envelope sender", "Incidents", "Ground", "You can answer this message. To get no more of these reports, answer with the word STOP."}
}

// words is the text for people that a report begins with.
func (d *Desk) words(c cases.Case, src Source, language string) string {
	w := wordings(language)
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", w.what)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	line(w.when, c.Source.Time.UTC().Format(time.DateTime))
	if c.Source.IP.IsValid() {
		value := c.Source.IP.Unmap().String()
		if c.Source.Port > 0 {
			value += fmt.Sprintf(", port %d", c.Source.Port)
		}
		line(w.from, value)
	}
	line(w.signed, c.Source.Domain)
	line(w.sender, src.Account)
	line(w.incidents, fmt.Sprint(src.Incidents))
	for _, g := range src.Signs {
		if g.Ground.Good() {
			line(w.ground, string(g.Ground))
			break
		}
	}
	fmt.Fprintf(&b, "\n%s\n\n%s\n%s\n", w.answer, c.ID, d.Name)
	return b.String()
}

// tellBody reports a source to the national body, in the form it asks for.
func (d *Desk) tellBody(ctx context.Context, n Notice, c cases.Case, m Message, src Source) error {
	if d.Body.Address == "" {
		return nil
	}
	n.To, n.Way, n.Form, n.Language = d.Body.Address, "body", d.Body.Form, d.Body.Language
	if n.Form != "text" {
		n.Form = contact.ARF
		_, err := d.send(ctx, n, m, src, d.words(c, src, d.Body.Language))
		return err
	}
	_, err := d.sendText(ctx, n, fmt.Sprintf(wordings(d.Body.Language).subject, c.ID), d.words(c, src, d.Body.Language))
	return err
}

// Text writes a plain message of the desk; its lines end with CRLF.
func Text(from, to, id, language, subject, body string, at time.Time) ([]byte, error) {
	for _, v := range []string{from, to, id} {
		if v == "" || strings.ContainsAny(v, "\r\n\x00 ") {
			return nil, fmt.Errorf("external: %q cannot stand in a message", v)
		}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: <%s>\r\nTo: <%s>\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: %s\r\n", from, to,
		strings.ReplaceAll(mime.BEncoding.Encode("utf-8", subject), " =?", "\r\n =?"), at.UTC().Format(time.RFC1123Z), id)
	fmt.Fprintf(&b, "Auto-Submitted: auto-generated\r\nContent-Language: %s\r\nMIME-Version: 1.0\r\n", language)
	b.WriteString("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n")
	w := quotedprintable.NewWriter(&b)
	if _, err := w.Write([]byte(strings.ReplaceAll(body, "\n", "\r\n"))); err != nil {
		return nil, err
	}
	return b.Bytes(), w.Close()
}
