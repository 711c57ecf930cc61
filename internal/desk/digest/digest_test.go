package digest_test

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/internal/desk/digest"
	"postern/internal/desk/words"
)

func letter(t *testing.T, lang string, lines ...digest.Line) digest.Letter {
	t.Helper()
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	l, ok := book.Language(lang)
	if !ok {
		t.Fatal(lang)
	}
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	return digest.Letter{
		From: "quarantine@example.com", To: "ada@example.com", Host: "mx1.example.com", ID: "x.digest@mx1.example.com", Date: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
		Language: l, Zone: zone, Lines: lines, All: "https://mail.example/mail?lang=" + lang, Settings: "https://mail.example/mail/settings?lang=" + lang,
	}
}

// read takes a letter apart as a mail program does.
func read(t *testing.T, raw []byte) (h mail.Header, parts map[string]string) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatal(kind, err)
	}
	parts = map[string]string{}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return m.Header, parts
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type"))
		parts[kind] = string(text)
	}
}

func TestLetterInAllLanguages(t *testing.T) {
	at := time.Date(2026, 3, 4, 1, 2, 0, 0, time.UTC)
	for lang, want := range map[string][]string{
		"en": {"1 message is held for you", "09:02"}, "zh-CN": {"有 1 封邮件为您暂扣", "09:02"},
		"ru": {"Для вас задержано 1 письмо", "09:02"}, "el": {"Κρατείται 1 μήνυμα για εσάς", "09:02"},
	} {
		raw, err := letter(t, lang, digest.Line{From: "frank@friend.example", Subject: "Hello", At: at, Reason: "because", Links: []digest.Link{{Text: "do", URL: "https://mail.example/d/abc?lang=" + lang}}}).Digest()
		if err != nil {
			t.Fatal(err)
		}
		h, parts := read(t, raw)
		subject, err := new(mime.WordDecoder).DecodeHeader(h.Get("Subject"))
		if err != nil || subject != want[0] {
			t.Errorf("%s: subject %q, %v", lang, subject, err)
		}
		if h.Get("Auto-Submitted") != "auto-generated" || h.Get("To") != "<ada@example.com>" || h.Get("Content-Language") != lang || h.Get("Message-ID") != "<x.digest@mx1.example.com>" {
			t.Errorf("%s: %v", lang, h)
		}
		if len(parts) != 2 || !strings.Contains(parts["text/html"], want[0]) {
			t.Errorf("%s: %v", lang, parts)
		}
		for kind, text := range parts {
			for _, w := range []string{want[1], "ada@example.com", "because", "https://mail.example/d/abc?lang=" + lang, "https://mail.example/mail/settings"} {
				if !strings.Contains(text, w) {
					t.Errorf("%s %s lacks %q:\n%s", lang, kind, w, text)
				}
			}
		}
		for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
			if len(line) > 200 || bytes.IndexFunc(line, func(r rune) bool { return r > 126 }) >= 0 {
				t.Errorf("%s: a line of %d octets, or not in ASCII: %q", lang, len(line), line)
			}
		}
	}
}

// clickable is what mail programs make links of.
var clickable = regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://|\bwww\.|\bmailto:|[a-z0-9]@[a-z0-9]|[a-z0-9-]\.(example|com|evil|test)\b`)

func TestStrangersTextIsInert(t *testing.T) {
	for _, s := range []string{
		"http://evil.example/x", "HTTPS://EVIL.example", "www.evil.example", "evil.com", "mailto:a@evil.example", "a@evil.example", "javascript:alert(1)//http://x.example",
		"data:text/html;base64,x", "//evil.example", "evil\u200b.example", "http\u00ad://evil.example", "ftp://evil.example:21", "x\u202eelpmaxe.live//:ptth", "\\\\evil.example\\share",
		"1.evil.example/a.b.c", "[x](http://evil.example)", "<http://evil.example>",
	} {
		got := digest.Inert(s)
		if clickable.MatchString(got) {
			t.Errorf("%q can be clicked: %q", s, got)
		}
	}
	raw, err := letter(t, "en",
		digest.Line{From: "<img src=x onerror=alert(1)>@evil.example", Subject: "a\r\nBcc: x@y.example\r\n\r\n<script>alert(1)</script>" + strings.Repeat("x", 5000), Reason: "r"},
		digest.Line{},
	).Digest()
	if err != nil {
		t.Fatal(err)
	}
	h, parts := read(t, raw)
	if h.Get("Bcc") != "" || len(raw) > 20_000 {
		t.Errorf("%d octets, %v", len(raw), h)
	}
	for _, bad := range []string{"<script", "<img", "onerror=alert(1)>"} {
		if strings.Contains(parts["text/html"], bad) {
			t.Errorf("%q stands in the page", bad)
		}
	}
	if !strings.Contains(parts["text/plain"], "(no subject)") || !strings.Contains(parts["text/plain"], "(a mail system)") {
		t.Errorf("%s", parts["text/plain"])
	}
	if n := strings.Count(parts["text/plain"], "\n* "); n != 2 {
		t.Errorf("%d messages in as many lines, not two", n)
	}
}

func TestMoreThanAreListed(t *testing.T) {
	l := letter(t, "ru", digest.Line{Subject: "a", Reason: "r"})
	l.More = 21
	raw, err := l.Digest()
	if err != nil {
		t.Fatal(err)
	}
	_, parts := read(t, raw)
	for kind, text := range parts {
		if !strings.Contains(text, "и ещё 21 письмо") {
			t.Errorf("%s: %s", kind, text)
		}
	}
}

func TestEnter(t *testing.T) {
	for _, lang := range []string{"en", "zh-CN", "ru", "el"} {
		link := "https://mail.example/mail/in/abc?lang=" + lang
		raw, err := letter(t, lang).Enter(link)
		if err != nil {
			t.Fatal(err)
		}
		_, parts := read(t, raw)
		for kind, text := range parts {
			if strings.Count(text, link) != 1 || !strings.Contains(text, "ada@example.com") || strings.Contains(text, "settings") {
				t.Errorf("%s %s: %s", lang, kind, text)
			}
		}
	}
}

func FuzzInert(f *testing.F) {
	for _, s := range []string{"http://evil.example", "a@b.example", "\u202e", "www.x.com"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := digest.Inert(s); strings.ContainsAny(got, "\r\n\t\x00\x1b") || clickable.MatchString(got) || len([]rune(got)) > 400 {
			t.Errorf("%q: %q", s, got)
		}
	})
}
