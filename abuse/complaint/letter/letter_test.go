package letter_test

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"time"

	"postern/abuse/complaint/letter"
)

func sample() letter.Letter {
	return letter.Letter{
		From: "abuse@here.example", To: "abuse@there.example", MessageID: "<1@here.example>", Date: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC),
		Subject: "FW: Προσφορά", Words: "Γεια σας.\n.\n\nFrom here on.", Language: "el", Fields: []letter.Field{{Name: "Feedback-Type", Value: "abuse"}, {Name: "Empty"}, {Name: "Long", Value: strings.Repeat("word ", 60)}},
		Type: "message/rfc822", Body: []byte("From: a@b.example\r\n\r\nhi\r\n"), Note: "last line",
	}
}

func TestWrite(t *testing.T) {
	for name, change := range map[string]func(*letter.Letter){
		"as it is": func(*letter.Letter) {},
		"8 bit":    func(l *letter.Letter) { l.Body = []byte("From: a@b.example\r\n\r\n\xff\r\n") },
		"base64": func(l *letter.Letter) {
			l.Body, l.Base64, l.Type = bytes.Repeat([]byte("x\n"), 5000), true, "application/json"
		},
		"no words":     func(l *letter.Letter) { l.Words, l.Note, l.Language = "", "", "" },
		"long subject": func(l *letter.Letter) { l.Subject = strings.Repeat("长", 5000) },
		"long words":   func(l *letter.Letter) { l.Words = strings.Repeat("x", 5000) },
		"long value":   func(l *letter.Letter) { l.Fields[0].Value = strings.Repeat("x", 5000) },
	} {
		l := sample()
		change(&l)
		raw, err := letter.Write(l)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for line := range bytes.Lines(raw) {
			if len(line) > 1000 || !bytes.HasSuffix(line, []byte("\r\n")) {
				t.Errorf("%s: a line of %d bytes: %.60q", name, len(line), line)
			}
		}
		m, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r := multipart.NewReader(m.Body, params["boundary"])
		first, err := r.NextRawPart()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(first))
		if err != nil || !strings.Contains(string(text), "Feedback-Type: ") || !strings.HasPrefix(strings.ReplaceAll(string(text), "\r\n", "\n"), l.Words) || !strings.Contains(string(text), l.Note) {
			t.Errorf("%s: %v %q", name, err, text)
		}
		if _, err := r.NextRawPart(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		third, err := r.NextPart()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if body, err := io.ReadAll(third); err != nil || !l.Base64 && !bytes.Equal(body, l.Body) {
			t.Errorf("%s: %v %q", name, err, body)
		}
	}
}

// Nothing a stranger chose becomes a line of its own, and no part can end the letter.
func TestWriteIsClosed(t *testing.T) {
	for _, change := range []func(*letter.Letter){
		func(l *letter.Letter) { l.From = "a@b.example\r\nBcc: c@d.example" },
		func(l *letter.Letter) { l.To = "" },
		func(l *letter.Letter) { l.To = "a@b.example>, <c@d.example" },
		func(l *letter.Letter) { l.MessageID = "<1@b>\nX: y" },
	} {
		l := sample()
		change(&l)
		if _, err := letter.Write(l); !errors.Is(err, letter.ErrAddress) {
			t.Errorf("%v", err)
		}
	}
	l := sample()
	first, err := letter.Write(l)
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(strings.ReplaceAll(between(string(first), "Content-Type: ", "Content-Transfer"), "\r\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	l.Subject, l.Language = "a\r\nX-Evil: 1", "el\r\nX-Evil: 2"
	l.Body = append(l.Body, "\r\n--"+params["boundary"]+"--\r\n"...)
	raw, err := letter.Write(l)
	if err != nil || bytes.Contains(raw, []byte("\nX-Evil")) || strings.Count(string(raw), params["boundary"]) != 1 {
		t.Errorf("%v: %s", err, raw)
	}
	if got := letter.Token("a b\r\n;c/d"); got != "abcd" {
		t.Errorf("%q", got)
	}
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}
