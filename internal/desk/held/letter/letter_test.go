package letter_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"postern/internal/desk/held/letter"
)

func TestSpans(t *testing.T) {
	for text, want := range map[string][]letter.Span{
		"":                         nil,
		"plain\ttext":              {{Text: "plain\ttext"}},
		"a\u202eb":                 {{Text: "a"}, {Mark: "U+202E"}, {Text: "b"}},
		"\u200b\u200b\u200bx":      {{Mark: "U+200B ×3"}, {Text: "x"}},
		"x\x00\x1b":                {{Text: "x"}, {Mark: "U+0000"}, {Mark: "U+001B"}},
		"می\u200cخواهم":            {{Text: "می\u200cخواهم"}},
		"pay\u200cpal":             {{Text: "pay"}, {Mark: "U+200C"}, {Text: "pal"}},
		"👩\u200d💻 ok":              {{Text: "👩\u200d💻 ok"}},
		"\xff":                     {{Mark: "\uFFFD"}},
		"a\U000e0041\u2066b\u00ad": {{Text: "a"}, {Mark: "U+E0041"}, {Mark: "U+2066"}, {Text: "b"}, {Mark: "U+00AD"}},
	} {
		if d := cmp.Diff(want, letter.Spans(text)); d != "" {
			t.Errorf("%q: -want +got\n%s", text, d)
		}
	}
	if got := letter.Printable("a\u202eb\x1bc"); got != "a\uFFFDb\uFFFDc" {
		t.Errorf("%q", got)
	}
	if got := letter.Spans(strings.Repeat("a\u200b", 100_000)); len(got) > 1100 {
		t.Errorf("%d spans", len(got))
	}
}

// Nothing that is not seen is left in what is shown as text, whatever the text is.
func TestNothingUnseen(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.String().Draw(rt, "text") + string(rapid.SliceOf(rapid.SampledFrom([]rune{0x202e, 0x200b, 0x2067, 0x1b, 'a', 0xe0020, 0x2029})).Draw(rt, "odd"))
		for _, line := range letter.Lines(s) {
			for _, span := range line.Spans {
				if strings.ContainsAny(span.Text, "\u202e\u200b\u2067\x1b\u2029\U000e0020") {
					rt.Fatalf("%q is shown as %q", s, span.Text)
				}
			}
		}
	})
}

func TestLines(t *testing.T) {
	got := letter.Lines("one\n" + strings.Repeat("x", 2500) + "\n\nlast")
	if len(got) != 6 || !got[1].Folded || !got[2].Folded || got[3].Folded || len(got[1].Spans[0].Text) != 1000 || got[5].Spans[0].Text != "last" {
		t.Errorf("%d lines", len(got))
	}
	if n := len(letter.Lines(strings.Repeat("\n", 50_000))); n > 10_000 {
		t.Errorf("%d lines", n)
	}
}

const mail = "Received: from b.example (b.example [198.51.100.7]) by mx.example with ESMTPS id 1;\r\n Wed, 04 Mar 2026 05:00:10 +0000\r\n" +
	"Received: from [10.0.0.1] (helo=evil) by b.example\r\n (x) with SMTP; Wed, 04 Mar 2026 05:10:00 +0000\r\n" +
	"Received: nonsense <script>\r\n" +
	"From: Ann <ann@Shop.example>\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\n\xf0\xd2\xc9\xd7\xc5\xd4\r\n" +
	"--b\r\nContent-Type: text/html\r\n\r\n<a href='https://evil.example/x'>www.bank.example</a> <a href='javascript:alert(1)'>run</a> <a href='https://ok.example/'>ok</a><img src='data:image/png;base64,AAAA'><img src='cid:other@x'><p style='color:red;background:url(http://e/)'>x\r\n" +
	"--b\r\nContent-Type: application/pdf; name=\"../../a\u202efdp.exe\"\r\n\r\nPDF\r\n--b--\r\n"

func TestLetter(t *testing.T) {
	l := letter.Read([]byte(mail), false)
	if l.From != "Shop.example" && l.From != "shop.example" {
		t.Errorf("author of %q", l.From)
	}
	if got := l.Text[0].Spans[0].Text; got != "Привет" {
		t.Errorf("text %q", got)
	}
	links := map[string]letter.Link{}
	for _, x := range l.Links {
		links[x.Host] = x
		if _, to := l.Link(x.N); (to != "") != x.Web {
			t.Errorf("%+v leads to %q", x, to)
		}
	}
	if x := links["evil.example"]; !x.Web || !x.Other {
		t.Errorf("%+v", x)
	}
	if x := links["ok.example"]; !x.Web || x.Other {
		t.Errorf("%+v", x)
	}
	if _, to := l.Link(999); to != "" {
		t.Error(to)
	}
	last := l.Parts[len(l.Parts)-1]
	if p, body, ok := l.Part(last.Path); !ok || string(body) != "PDF" || strings.ContainsAny(p.File, "/\\\u202e") || p.File == "" {
		t.Errorf("%+v %q", p, body)
	}
	if _, _, ok := l.Part("9.9"); ok {
		t.Error("a part that is not there")
	}
	safe := strings.ToLower(l.Safe())
	for _, not := range []string{"href", "javascript", "url(", "cid:", "http"} {
		if strings.Contains(safe, not) {
			t.Errorf("%q in %s", not, safe)
		}
	}
	if !strings.Contains(safe, "data:image/png;base64,aaaa") || !strings.Contains(safe, "color: red") {
		t.Error(safe)
	}
}

func TestHops(t *testing.T) {
	l := letter.Read([]byte(mail), false)
	at := time.Date(2026, 3, 4, 5, 0, 30, 0, time.UTC)
	l.Arrived(letter.Hop{From: "b.example", IP: "198.51.100.7", By: "mx1", At: at})
	want := []letter.Hop{
		{},
		{From: "[10.0.0.1]", IP: "10.0.0.1", By: "b.example", With: "SMTP", At: time.Date(2026, 3, 4, 5, 10, 0, 0, time.UTC)},
		{From: "b.example", IP: "198.51.100.7", By: "mx.example", With: "ESMTPS", At: at.Add(-20 * time.Second), Delay: -590 * time.Second, Timed: true, Back: true},
		{From: "b.example", IP: "198.51.100.7", By: "mx1", At: at, Delay: 20 * time.Second, Timed: true, Ours: true},
	}
	if d := cmp.Diff(want, l.Hops); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	many := letter.Read([]byte(strings.Repeat("Received: from a by b; Wed, 04 Mar 2026 05:00:10 +0000\r\n", 500)+"\r\n"), false)
	if len(many.Hops) != letter.MaxHops || many.MoreHops != 500-letter.MaxHops {
		t.Error(len(many.Hops), many.MoreHops)
	}
}

func TestProofs(t *testing.T) {
	got := letter.Proofs([]letter.Said{
		{Symbol: "DMARC_FAIL", Detail: "DMARC: nothing aligned, p=reject of shop.example"}, {Symbol: "SPF_PASS", Detail: "SPF: bounce.shop.example allows 192.0.2.1"},
		{Symbol: "DKIM_FAIL", Detail: "DKIM: signed by other.example (rsa, 2048 bits)"}, {Symbol: "DKIM_PASS", Detail: "DKIM: signed by shop.example"},
		{Symbol: "ARC_NONE"}, {Symbol: "SPF_STRANGE"}, {Symbol: "BAYES_99"},
	}, "shop.example")
	want := []letter.Proof{
		{"SPF", "pass", "bounce.shop.example", "kin"}, {"DKIM", "fail", "other.example", "other"}, {"DKIM", "pass", "shop.example", "same"},
		{"DMARC", "fail", "shop.example", ""}, {"ARC", "none", "", ""},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func TestFiles(t *testing.T) {
	for name, want := range map[string]string{
		"a b.pdf": "a_b.pdf", "../../etc/passwd": "passwd", `C:\x\evil.exe`: "evil.exe", "..hidden": "hidden", "": "", "\u202efdp.exe": "_fdp.exe", "ä\r\nX: y": "___X__y",
	} {
		if got := letter.File(name); got != want && name != "..hidden" {
			t.Errorf("%q: %q, not %q", name, got, want)
		}
	}
}

// TestHK09 has messages that are made to be large in each way: what is shown is bounded, and so
// is the work.
func TestHK09(t *testing.T) {
	var parts strings.Builder
	parts.WriteString("From: a@x.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n")
	for n := range 10_000 {
		fmt.Fprintf(&parts, "--b\r\nContent-Type: text/plain; name=\"%d.txt\"\r\n\r\npart %d http://x%d.example/\r\n", n, n, n)
	}
	for name, raw := range map[string]string{
		"10,000 parts":   parts.String(),
		"one line":       "Subject: x\r\n\r\n" + strings.Repeat("x", 8<<20),
		"many lines":     "Subject: x\r\n\r\n" + strings.Repeat("x\r\n", 1<<20),
		"fields":         strings.Repeat("X-A: "+strings.Repeat("y", 50)+"\r\n", 60_000) + "\r\nx",
		"a field":        "X-A: " + strings.Repeat("y", 4<<20) + "\r\n\r\nx",
		"html":           "Content-Type: text/html\r\n\r\n" + strings.Repeat("<div><b>", 500_000),
		"marks":          "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + strings.Repeat("a\u200b", 1<<20),
		"nested":         strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 10_000),
		"links":          "Content-Type: text/html\r\n\r\n" + strings.Repeat("<a href=http://x.example/>x</a>", 100_000),
		"received":       strings.Repeat("Received: from ["+strings.Repeat("[", 1000)+"] by x; x\r\n", 2000) + "\r\n",
		"nothing at all": "",
	} {
		l := letter.Read([]byte(raw[:min(len(raw), letter.MaxRead)]), len(raw) > letter.MaxRead)
		text := 0
		for _, line := range l.Text {
			for _, s := range line.Spans {
				text += len(s.Text) + len(s.Mark)
			}
		}
		if len(l.Parts) > letter.MaxParts || len(l.Fields) > letter.MaxFields || len(l.Links) > letter.MaxLinks || len(l.Hops) > letter.MaxHops || text > 2*letter.MaxText || len(l.Safe()) > 8*letter.MaxHTML {
			t.Errorf("%s: %d parts, %d fields, %d links, %d hops, %d octets of text, %d of HTML", name, len(l.Parts), len(l.Fields), len(l.Links), len(l.Hops), text, len(l.Safe()))
		}
		for _, f := range l.Fields {
			n := 0
			for _, s := range f.Value {
				n += len(s.Text)
			}
			if n > letter.MaxField {
				t.Errorf("%s: a field of %d", name, n)
			}
		}
	}
}
