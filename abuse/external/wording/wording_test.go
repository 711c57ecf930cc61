package wording_test

import (
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/abuse/external/wording"
)

func TestFourLanguages(t *testing.T) {
	at := time.Date(2026, 6, 8, 10, 0, 0, 0, time.UTC)
	seen := map[string]bool{}
	for _, language := range []string{"en", "zh", "ru", "el"} {
		body := wording.Report(language, "", wording.Facts{Case: "A-2026-000001", Desk: "Ours", At: at, IP: netip.MustParseAddr("198.51.100.7"), Port: 40001, Domain: "x.example", Sender: "a@x.example", Incidents: 3, Ground: "user"})
		for _, want := range []string{"A-2026-000001", "198.51.100.7, port 40001", "x.example", "STOP", "2026-06-08 10:00:00", ": 3\n"} {
			if !strings.Contains(body, want) {
				t.Errorf("%s: %q is not in\n%s", language, want, body)
			}
		}
		raw, err := wording.Text("a@ours.example", "b@body.example", "<1@ours.example>", language, wording.Subject(language, "A-2026-000001"), body, at)
		if err != nil {
			t.Fatal(err)
		}
		m, err := mail.ReadMessage(strings.NewReader(string(raw)))
		if err != nil {
			t.Fatal(err)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		if err != nil || seen[subject] || !strings.HasSuffix(subject, "A-2026-000001") {
			t.Errorf("%s: %q %v", language, subject, err)
		}
		seen[subject] = true
		got, err := io.ReadAll(quotedprintable.NewReader(m.Body))
		if err != nil || strings.ReplaceAll(string(got), "\r\n", "\n") != body {
			t.Errorf("%s: %q %v", language, got, err)
		}
	}
	if _, err := wording.Text("a@x.example\r\nBcc: b", "b@y.example", "<1@x>", "en", "s", "b", at); err == nil {
		t.Error("a field was written into the header")
	}
}
