// Package wording is what the desk writes about sources elsewhere, in four languages.
package wording

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"mime"
	"mime/quotedprintable"
	"net/netip"
	"strings"
	"time"

	"postern/abuse/notice/letter"
)

// Facts are what a report says.
type Facts struct {
	Case, Desk string
	At         time.Time
	IP         netip.Addr
	Port       uint16
	Domain     string // d=
	Sender     string // of the envelope
	Incidents  int
	Ground     string
}

// phrases are what a report says to people, in one language.
type phrases struct{ subject, what, when, from, signed, sender, incidents, ground, answer string }

func of(language string) phrases {
	switch language {
	case "zh":
		return phrases{"垃圾邮件来源报告 %s", "我们收到来自下列来源的滥用邮件。", "时间(UTC)", "来源地址", "签名域名", "信封发件人", "次数", "依据", "请直接回复本邮件。如不希望再收到此类报告,请回复 STOP。"}
	case "ru":
		return phrases{"Сообщение об источнике спама %s", "Мы получили нежелательную почту из указанного ниже источника.", "Время (UTC)", "Адрес источника", "Домен подписи", "Отправитель конверта", "Случаев", "Основание", "На это письмо можно ответить. Чтобы больше не получать таких сообщений, ответьте словом STOP."}
	case "el":
		return phrases{"Αναφορά πηγής ανεπιθύμητης αλληλογραφίας %s", "Λάβαμε καταχρηστική αλληλογραφία από την παρακάτω πηγή.", "Ώρα (UTC)", "Διεύθυνση πηγής", "Τομέας υπογραφής", "Αποστολέας φακέλου", "Περιστατικά", "Βάση", "Μπορείτε να απαντήσετε σε αυτό το μήνυμα. Για να μη λαμβάνετε άλλες αναφορές, απαντήστε STOP."}
	}
	return phrases{"Report of a source of spam %s", "We received abusive mail from the source below.", "Time (UTC)", "Source address", "Domain of the signature", "Envelope sender", "Incidents", "Ground", "You can answer this message. To get no more of these reports, answer with the word STOP."}
}

// Subject is that of a report about a source.
func Subject(language, caseID string) string { return fmt.Sprintf(of(language).subject, caseID) }

// Letters are what people of the desk may word of a report: edition.Desk is one.
type Letters interface {
	Write(ctx context.Context, language string, kind letter.Kind, v letter.Vars) (letter.Text, error)
}

// Write is a report for people: what the letter of a kind says, and the facts below it. Without
// letters, and where theirs cannot be written, the words are our own: no report is kept back.
func Write(ctx context.Context, letters Letters, log *slog.Logger, language string, kind letter.Kind, f Facts, v letter.Vars) letter.Text {
	t := letter.Text{}
	if letters != nil {
		var err error
		if t, err = letters.Write(ctx, language, kind, v); err != nil {
			log.Warn("a report is worded by the program: the letter cannot be used", "case", f.Case, "letter", kind, "err", err)
			t = letter.Text{}
		}
	}
	return letter.Text{Subject: cmp.Or(t.Subject, Subject(language, f.Case)), Body: Report(language, t.Body, f)}
}

// Report is the text for people that a report begins with: opening, or a sentence of our own
// where that is empty, and below it the facts, whatever the opening says.
func Report(language, opening string, f Facts) string {
	w := of(language)
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", cmp.Or(strings.TrimSpace(opening), w.what))
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	line(w.when, f.At.UTC().Format(time.DateTime))
	if f.IP.IsValid() {
		value := f.IP.Unmap().String()
		if f.Port > 0 {
			value += fmt.Sprintf(", port %d", f.Port)
		}
		line(w.from, value)
	}
	line(w.signed, f.Domain)
	line(w.sender, f.Sender)
	line(w.incidents, fmt.Sprint(f.Incidents))
	line(w.ground, f.Ground)
	fmt.Fprintf(&b, "\n%s\n\n%s\n%s\n", w.answer, f.Case, f.Desk)
	return b.String()
}

// Text writes a plain message of the desk; its lines end with CRLF.
func Text(from, to, id, language, subject, body string, at time.Time) ([]byte, error) {
	for _, v := range []string{from, to, id} {
		if v == "" || strings.ContainsAny(v, "\r\n\x00 ") {
			return nil, fmt.Errorf("wording: %q cannot stand in a message", v)
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
