package external_test

import (
	"context"
	"io"
	"log/slog"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"

	"postern/abuse/external"
	"postern/abuse/notice/edition"
	letters "postern/abuse/notice/letter"
	"postern/internal/said"
)

// reported is the one report to the national body: its subject and its text.
func reported(t *testing.T, w *world) (subject, text string) {
	t.Helper()
	c, _ := w.sight(external.Trap)
	if _, err := w.Confirm(t.Context(), anna, c.ID, "", said.Typed("trap")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Complain(t.Context(), anna, c.ID); err != nil {
		t.Fatal(err)
	}
	if len(w.sent) != 1 {
		t.Fatalf("%d reports", len(w.sent))
	}
	for _, l := range w.sent {
		m, err := mail.ReadMessage(strings.NewReader(l.text))
		if err != nil {
			t.Fatal(err)
		}
		subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(quotedprintable.NewReader(m.Body))
		if err != nil {
			t.Fatal(err)
		}
		text = string(raw)
	}
	return subject, text
}

// What people of the desk write is what goes out, and the facts stand below it whatever they
// write.
func TestEditedLetterGoesOut(t *testing.T) {
	book, err := letters.Open("")
	if err != nil {
		t.Fatal(err)
	}
	facts := []string{"时间(UTC)", "来源地址", "STOP", "Ours"}
	for name, c := range map[string]struct {
		edit          letters.Source
		subject, body string
	}{
		"as it comes": {letters.Source{}, "垃圾邮件来源报告", "我们收到来自下列来源的滥用邮件。"},
		"edited":      {letters.Source{Subject: "[{{.Ticket}}] own subject", Body: "Own words about {{.About}}."}, "own subject", "Own words about "},
	} {
		w := newWorld(t)
		w.message.Signed = false
		w.Contacts.DNS = noDNS{}
		w.Body = external.Body{Address: "report@body.example", Form: "text", Language: "zh"}
		desk := &edition.Desk{Store: w.home, Book: book, Now: w.home.Now, Log: slog.New(slog.DiscardHandler), Audit: func(context.Context, string, string, string, any, any, string) error { return nil }}
		w.Letters = desk
		if c.edit.Body != "" {
			if _, err := desk.Save(t.Context(), "anna", "zh", letters.National, c.edit, 0, "ours"); err != nil {
				t.Fatal(err)
			}
		}
		subject, text := reported(t, w)
		if !strings.Contains(subject, c.subject) || !strings.Contains(subject, "A-") || !strings.HasPrefix(text, c.body) {
			t.Errorf("%s: %q\n%s", name, subject, text)
		}
		for _, f := range facts {
			if !strings.Contains(text, f) {
				t.Errorf("%s: %s is not in\n%s", name, f, text)
			}
		}
	}
}

// A letter that cannot be written keeps no report back.
func TestBrokenLetter(t *testing.T) {
	w := newWorld(t)
	w.message.Signed = false
	w.Contacts.DNS = noDNS{}
	w.Body = external.Body{Address: "report@body.example", Form: "text", Language: "ru"}
	w.Letters, w.Log = broken{}, slog.New(slog.DiscardHandler)
	subject, text := reported(t, w)
	if !strings.Contains(subject, "Сообщение об источнике спама") || !strings.Contains(text, "Мы получили нежелательную почту") || !strings.Contains(text, "STOP") {
		t.Errorf("%q\n%s", subject, text)
	}
}

type broken struct{}

func (broken) Write(context.Context, string, letters.Kind, letters.Vars) (letters.Text, error) {
	return letters.Text{}, letters.ErrLetter
}
