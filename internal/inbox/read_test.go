package inbox_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"postern/filter"
	"postern/internal/inbox"
	"postern/internal/mailtest/entities"
)

const letter = "From: =?utf-8?B?zqzOvc69zrE=?= <anna@x.example>\r\nSubject: =?utf-8?Q?caf=C3=A9?=\r\nX-Odd: a\r\n b\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n" +
	"--a\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nYour code is 4711 \xe9\r\nhttps://x.example/go\r\n" +
	"--a\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Your <b>code</b> is 4711</p><script>alert(1)</script><a href=\"https://x.example/go?a=1&amp;b=2\">go</a>\r\n--a--\r\n" +
	"--m\r\nContent-Type: application/pdf; name=\"bill.pdf\"\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQK\r\n--m--\r\n"

func readOf(t *testing.T, raw string) inbox.Full {
	t.Helper()
	w := newWorld(t, &entities.Memory{})
	w.limits.Bytes = 100 << 20
	sum, n, err := w.Put(t.Context(), int64(len(raw)), strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	m, err := w.Add(t.Context(), inbox.Message{To: []string{"a@test.example"}, Size: n, SHA256: sum}, filter.Verdict{
		Action: filter.Quarantine, Score: 712, Policy: "default", Reasons: []filter.Reason{{Symbol: "X", Score: 712, Describe: "It is odd", Detail: "\xff" + strings.Repeat("é", 400)}},
		Failures: []filter.Failure{{Step: "clamav", Reason: "timed out"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	full, err := w.Read(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	return full
}

func TestReadsWhatAProgramAsksFor(t *testing.T) {
	m := readOf(t, letter)
	of := map[string]string{}
	for _, f := range m.Headers {
		of[f.Name] = f.Value
	}
	if !strings.Contains(of["From"], "άννα") || of["Subject"] != "café" || of["X-Odd"] != "a b" {
		t.Errorf("headers %q", of)
	}
	if !strings.HasPrefix(m.Text, "Your code is 4711 é\nhttps://x.example/go") || strings.Contains(m.Text, "<") {
		t.Errorf("text %q", m.Text)
	}
	if !strings.Contains(m.HTML, "<script>alert(1)</script>") || strings.Contains(m.HTMLText, "<") || !strings.Contains(m.HTMLText, "Your code is 4711") {
		t.Errorf("html %q, as text %q", m.HTML, m.HTMLText)
	}
	if len(m.Attachments) != 1 || m.Attachments[0] != (inbox.Attachment{Name: "bill.pdf", Type: "application/pdf", Size: 9}) {
		t.Errorf("%+v", m.Attachments)
	}
	if !strings.Contains(strings.Join(m.Links, " "), "https://x.example/go?a=1&b=2") || m.Cut {
		t.Errorf("links %q, cut %v", m.Links, m.Cut)
	}
	v := m.Verdict
	if v.Action != "quarantine" || v.Score != 7.12 || v.Reasons[0].Symbol != "X" || v.Unchecked[0] != (inbox.Unchecked{Step: "clamav", Reason: "timed out"}) {
		t.Errorf("%+v", v)
	}
	if d := v.Reasons[0].Detail; !utf8.ValidString(d) || len(d) > inbox.MaxText {
		t.Errorf("detail of %d octets", len(d))
	}
	b, err := json.Marshal(m)
	if err != nil || strings.Contains(string(b), "<script>") { // a browser that would guess finds no markup
		t.Errorf("%s %v", b, err)
	}
}

func TestBoundsOfWhatIsShown(t *testing.T) {
	started := time.Now()
	var many strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&many, "X-%d: %s\r\n", i, strings.Repeat("v", 6000))
	}
	long := readOf(t, many.String()+"\r\nx")
	if len(long.Headers) > inbox.MaxFields || !long.Cut {
		t.Errorf("%d fields, cut %v", len(long.Headers), long.Cut)
	}
	for _, f := range long.Headers {
		if len(f.Value) > inbox.MaxField || len(f.Name) > inbox.MaxName {
			t.Fatalf("%s has %d octets", f.Name, len(f.Value))
		}
	}
	body := readOf(t, "Content-Type: text/html\r\n\r\n"+strings.Repeat("<b>wide</b>", 1<<20))
	if len(body.HTML) > inbox.MaxShown || len(body.HTMLText) > inbox.MaxShown || !body.Cut {
		t.Errorf("%d %d %v", len(body.HTML), len(body.HTMLText), body.Cut)
	}
	var parts strings.Builder
	parts.WriteString("Content-Type: multipart/mixed; boundary=b\r\n\r\n")
	for range 900 {
		parts.WriteString("--b\r\nContent-Type: application/octet-stream\r\n\r\nx\r\n")
	}
	if m := readOf(t, parts.String()+"--b--\r\n"); len(m.Attachments) > inbox.MaxAttachments || !m.Cut {
		t.Errorf("%d attachments", len(m.Attachments))
	}
	for _, raw := range []string{"", "\x00\xff", "no header at all", strings.Repeat("Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n", 200)} {
		if m := readOf(t, raw+"\r\n"); !utf8.ValidString(m.Text+m.HTML) || m.Headers == nil || m.Links == nil {
			t.Errorf("%.30q: %+v", raw, m)
		}
	}
	t.Log(time.Since(started))
}
