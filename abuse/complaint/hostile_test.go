package complaint_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"postern/abuse/complaint"
)

// hostile are reports made to cost more than they weigh.
func hostile() map[string][]byte {
	full := 8 << 20
	if testing.Short() {
		full = 64 << 10
	}
	head := "From: a@b.example\r\nTo: abuse@here.example\r\n"
	nested := func(n int, coded bool) string {
		body := reported
		for i := range n {
			b := fmt.Sprintf("b%d", i)
			part := "Content-Type: message/rfc822\r\n\r\n" + body
			if coded && len(body) < full {
				part = "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(body))
			}
			body = head + "Content-Type: multipart/report; report-type=feedback-report; boundary=" + b + "\r\n\r\n--" + b + "\r\n" + words + "\r\n--" + b + "\r\n" + fields + "\r\n--" + b + "\r\n" + part + "\r\n--" + b + "--\r\n"
			if len(body) > full {
				break
			}
		}
		return body
	}
	fill := func(s string) string { return strings.Repeat(s, full/len(s)) }
	out := map[string]string{
		"nested 1000":         nested(1000, false),
		"nested base64":       nested(60, true),
		"parts":               head + "Content-Type: multipart/mixed; boundary=x\r\n\r\n" + fill("--x\r\n\r\n"),
		"messages":            head + "Content-Type: multipart/mixed; boundary=x\r\n\r\n" + fill("--x\r\nContent-Type: message/rfc822\r\n\r\nFrom: a\r\n\r\nb\r\n"),
		"feedback reports":    head + "Content-Type: multipart/mixed; boundary=x\r\n\r\n" + fill("--x\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n"),
		"fields":              fill("Received: from a by b; c\r\n"),
		"colons":              head + "\r\n" + fill("a: b\r\n"),
		"shown blocks":        head + "\r\n" + fill("From: a\r\nTo: b\r\n\r\n"),
		"markers":             head + "\r\n" + fill("-- Forwarded message --\r\n"),
		"wide colons":         head + "Content-Type: text/plain; charset=utf-8\r\n\r\n" + fill("发件：人\r\n"),
		"half blocks":         head + "\r\n" + fill("Received: x\r\nFrom: y\r\n"),
		"quotes":              head + "\r\n" + fill("> > > > > From: a\r\n"),
		"one line":            head + "\r\n" + fill("a"),
		"one line of 8 bit":   head + "Content-Type: text/plain; charset=gbk\r\n\r\n" + fill("\xc4\xe3"),
		"8 bit":               head + "\r\n" + fill("\xc4\xe3\xba\xc3\r\n"),
		"8 bit colons":        head + "\r\n" + fill("\xc4\xe3\xba\xc3:\r\n"),
		"HTML":                head + "Content-Type: text/html\r\n\r\n" + fill("<a href=http://x.example/>x</a>"),
		"links":               head + "\r\n" + fill("http://x.example/ "),
		"short links":         head + "\r\n" + fill("www.a.b "),
		"broken HTML":         head + "Content-Type: text/html\r\n\r\n" + fill("<"),
		"base64 text":         head + "Content-Transfer-Encoding: base64\r\n\r\n" + fill("QUFB"),
		"damaged base64":      head + "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" + fill("QQ==-_?"),
		"uuencode":            head + "\r\n" + fill("begin 644 a\r\n#86)C\r\n`\r\nend\r\n"),
		"quoted-printable":    head + "Content-Transfer-Encoding: quoted-printable\r\n\r\n" + fill("=41=\r\n"),
		"bounce of many":      "From: MAILER-DAEMON@x.example\r\nSubject: failure notice\r\n\r\n" + fill("<aaaa@b.example>: 550 5.1.1 no\r\n"),
		"bounce groups":       head + "Content-Type: multipart/report; boundary=x\r\n\r\n--x\r\nContent-Type: message/delivery-status\r\n\r\n" + fill("Final-Recipient: rfc822; a@b\r\n\r\n"),
		"bounce in prose":     "From: MAILER-DAEMON@x.example\r\nSubject: failure notice\r\n\r\n" + fill("550 5.1.1 5.1.1.1 a@b@c@d "),
		"JSON depth":          `{"xarf_version":"4.0.0","x":` + fill("["),
		"JSON strings":        head + "Content-Type: application/json\r\n\r\n" + `{"xarf_version":"4.0.0","timestamp":"2026-01-01T00:00:00Z","evidence":[{"content_type":"message/rfc822","payload":"` + strings.Repeat("QUFB", 1<<20) + `"}]}`,
		"JSON in base64":      head + "Content-Type: application/json\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(`{"xarf_version":"4.0.0","timestamp":"2026-01-01T00:00:00Z","evidence":[{"content_type":"message/rfc822","payload":"`+strings.Repeat("QUFB", 1<<20)+`"}]}`)),
		"JSON escapes":        `{"xarf_version":"4.0.0","x":"` + fill(`\u0041`) + `"}`,
		"encoded words":       "Subject: " + strings.Repeat("=?utf-8?B?QQ==?= ", 15_000) + "\r\n\r\n" + fill("x "),
		"addresses":           "From: " + strings.Repeat("a@b,", 60_000) + "\r\nTo: " + strings.Repeat("<", 60_000) + "\r\n\r\nx",
		"boundaries":          head + "Content-Type: multipart/mixed; " + strings.Repeat("boundary=x; ", 2000) + "\r\n\r\n" + fill("--x\r\n"),
		"invisible":           head + "Content-Type: text/plain; charset=utf-8\r\n\r\n" + fill("\u200b\u202e"),
		"NUL":                 head + "\r\n" + fill("\x00"),
		"beyond what is read": head + "\r\n" + strings.Repeat("words ", 5<<20),
	}
	all := map[string][]byte{}
	for name, s := range out {
		all[name] = []byte(s)
	}
	return all
}

// Each is read to an end, as something, and what is kept of it is bounded. The times are for
// people; TestCosts has better ones.
func TestHostile(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine, and many megabytes")
	}
	for name, raw := range hostile() {
		before := bytes.Clone(raw)
		var a, b runtime.MemStats
		runtime.ReadMemStats(&a)
		start := time.Now()
		r := complaint.Parse(raw, complaint.Options{})
		took := time.Since(start)
		runtime.ReadMemStats(&b)
		start = time.Now()
		v := complaint.Safe(raw)
		t.Logf("%-20s %-8s %4d ms, %4d MiB allocated; view %4d ms; %d problems", name, r.Format, took.Milliseconds(), (b.TotalAlloc-a.TotalAlloc)>>20, time.Since(start).Milliseconds(), len(r.Problems))
		if !bytes.Equal(before, raw) {
			t.Errorf("%s: the bytes were changed", name)
		}
		if len(r.Text) > 70<<10 || len(r.Problems) > 20 || len(r.Others) > complaint.OthersMost || len(v.Text) > 2<<20 || len(v.Links) > 200 {
			t.Errorf("%s: a text of %d bytes, %d problems, %d others", name, len(r.Text), len(r.Problems), len(r.Others))
		}
	}
}
