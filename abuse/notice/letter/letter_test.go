package letter_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/abuse/notice/letter"
)

func vars() letter.Vars {
	at := letter.When{Time: time.Date(2026, 2, 14, 17, 30, 0, 0, time.FixedZone("", 8*3600))}
	return letter.Vars{Ticket: "A-2026-000042", About: "a…@x.example", Account: "anna@x.example", Received: at, FirstDue: at, ResultDue: at, Deadline: at, Hours: "HOURS", Link: "https://desk.example/t",
		Missing: "MISSING", Proof: "PROOF", Measure: "MEASURE", Subject: "SUBJECT", Desk: "DESK"}
}

func open(t *testing.T, dir string) *letter.Book {
	t.Helper()
	b, err := letter.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// script says whether a text is written in the letters of a language.
func script(lang, s string) bool {
	has := func(lo, hi rune) bool {
		return strings.ContainsFunc(s, func(r rune) bool { return r >= lo && r <= hi })
	}
	switch lang {
	case "zh":
		return has(0x4e00, 0x9fff)
	case "ru":
		return has(0x430, 0x44f)
	case "el":
		return has(0x3b1, 0x3c9)
	}
	return !has(0x370, 0x4ff) && !has(0x4e00, 0x9fff)
}

func TestEveryLetterInEveryLanguage(t *testing.T) {
	b := open(t, "")
	for _, kind := range letter.Kinds() {
		says := map[string]string{}
		for _, lang := range letter.Languages() {
			got, err := b.Write(lang, kind, vars())
			if err != nil {
				t.Errorf("%s %s: %v", lang, kind, err)
				continue
			}
			if !script(lang, got.Body) || strings.Contains(got.Body+got.Subject, "{{") || strings.ContainsAny(got.Subject, "\r\n") || got.Subject == "" {
				t.Errorf("%s %s:\n%s\n\n%s", lang, kind, got.Subject, got.Body)
			}
			var used []string
			for _, v := range []string{"A-2026-000042", "a…@x.example", "anna@x.example", "2026-02-14 17:30 +08:00 (09:30 UTC)", "HOURS", "https://desk.example/t", "MISSING", "PROOF", "MEASURE", "SUBJECT", "DESK"} {
				if strings.Contains(got.Subject+got.Body, v) {
					used = append(used, v)
				}
			}
			says[lang] = strings.Join(used, " ")
			if says[lang] != says["en"] {
				t.Errorf("%s %s says %s, in English it says %s", lang, kind, says[lang], says["en"])
			}
		}
	}
	for _, kind := range []letter.Kind{letter.Ack, letter.NeedInfo, letter.Result, letter.Rejected, letter.NotOurs, letter.Complaint, letter.National} {
		for _, lang := range letter.Languages() {
			if got, err := b.Write(lang, kind, vars()); err != nil || strings.Contains(got.Body, "anna@") {
				t.Errorf("%s %s names our customer, or fails: %v", lang, kind, err)
			}
		}
	}
	// What an acknowledgement must say: thanks, hours, expected time, where to look.
	ack, err := b.Write("en", letter.Ack, vars())
	for _, part := range []string{"Thank you", "HOURS", "2026-02-14 17:30", "https://desk.example/t"} {
		if err != nil || !strings.Contains(ack.Body, part) {
			t.Errorf("the acknowledgement lacks %s: %v", part, err)
		}
	}
}

func TestWhatIsNotKnownIsNotSent(t *testing.T) {
	b := open(t, "")
	v := vars()
	v.Measure, v.ResultDue = "", letter.When{}
	if _, err := b.Write("el", letter.Result, v); !errors.Is(err, letter.ErrLetter) || !strings.Contains(err.Error(), "Measure") {
		t.Errorf("%v", err)
	}
	if _, err := b.Write("el", letter.Ack, v); !errors.Is(err, letter.ErrLetter) || !strings.Contains(err.Error(), "ResultDue") {
		t.Errorf("%v", err)
	}
	v = vars()
	v.Link = ""
	if got, err := b.Write("de", letter.Ack, v); err != nil || strings.Contains(got.Body, "The state of your report") || !strings.Contains(got.Body, "Thank you") {
		t.Errorf("%v %s", err, got.Body)
	}
	v.Proof = strings.Repeat("x", letter.MaxBody)
	if _, err := b.Write("en", letter.NotOurs, v); !errors.Is(err, letter.ErrLetter) {
		t.Errorf("a letter too long: %v", err)
	}
	v = vars()
	v.Subject = "a\r\nBcc: x@y.example"
	if got, err := b.Write("en", letter.Complaint, v); err != nil || strings.ContainsAny(got.Subject, "\r\n") {
		t.Errorf("%q %v", got.Subject, err)
	}
	if _, err := b.Write("en", "nonsense", v); !errors.Is(err, letter.ErrLetter) {
		t.Errorf("%v", err)
	}
}

func TestOwnWording(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("en.txt", "=== ack\r\nSubject: Ours {{.Ticket}}\r\n\r\nHello {{.Hours}}\r\n")
	put("README", "x")
	b := open(t, dir)
	if got, err := b.Write("en", letter.Ack, vars()); err != nil || got != (letter.Text{Subject: "Ours A-2026-000042", Body: "Hello HOURS\n"}) {
		t.Errorf("%+v %v", got, err)
	}
	if got, err := b.Write("en", letter.Result, vars()); err != nil || !strings.Contains(got.Body, "We looked into") {
		t.Errorf("a letter that is not replaced: %v", err)
	}
	for text, want := range map[string]string{
		"=== ack\nSubject: x\n\nline\nHello {{.Nonsense}}\n":      "en.txt:5",
		"=== ack\nSubject: x\n\n{{if}}\n":                         "en.txt:4",
		"\n\n=== nothing\nSubject: x\n\ny\n":                      "en.txt:3: there is no letter",
		"=== ack\nHello\n":                                        "en.txt:2: the first line is Subject:",
		"=== ack\nSubject: x\nHello\n":                            "en.txt:2: the first line is Subject:",
		"hello\n":                                                 "en.txt:1: a letter begins with",
		"=== ack\nSubject: x\n\n" + strings.Repeat("long ", 2000): "at most 8192",
		"=== ack\nSubject: x\n\n" + strings.Repeat("long ", 1000): "at most 4096",
		"=== ack\nSubject: \xff\n\nx":                             "no UTF-8",
		"=== ack\nSubject: x\n\n{{range $i := .Proof}}x{{end}}\n": "en.txt:4",
	} {
		put("en.txt", text)
		if _, err := letter.Open(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	put("en.txt", "")
	put("fr.txt", "")
	if _, err := letter.Open(dir); err == nil || !strings.Contains(err.Error(), "fr.txt") {
		t.Errorf("%v", err)
	}
	if _, err := letter.Open(dir + "/nowhere"); err == nil {
		t.Error("a folder that is not there")
	}
}

func TestMasked(t *testing.T) {
	for address, want := range map[string]string{"anna@x.example": "a…@x.example", "Ωμέγα@x.example": "Ω…@x.example", "a@b@c.example": "a…@c.example"} {
		if got := letter.Masked(address, "en"); got != want {
			t.Errorf("%s: %q", address, got)
		}
	}
	for _, address := range []string{"", "@x.example", "nobody"} {
		if got := letter.Masked(address, "ru"); got != letter.Unknown("ru") {
			t.Errorf("%q: %q", address, got)
		}
	}
}
