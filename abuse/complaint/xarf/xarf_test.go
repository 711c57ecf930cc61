package xarf_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"mime/multipart"
	"net/mail"
	"strings"
	"testing"
	"time"

	"postern/abuse/complaint/letter"
	"postern/abuse/complaint/xarf"
)

func TestRead(t *testing.T) {
	message := []byte("From: a@b.example\r\n\r\nhi\r\n")
	payload := base64.StdEncoding.EncodeToString(message)
	for name, c := range map[string]struct {
		doc      string
		problems string
		check    func(xarf.Document) bool
	}{
		"mark of byte order": {"\xef\xbb\xbf {\"xarf_version\":\"4.0.0\",\"timestamp\":\"2026-01-02T03:04:05Z\"}", "", func(d xarf.Document) bool { return d.Version == "4.0.0" && d.Time.Day() == 2 }},
		"a number where a string should be": {`{"xarf_version":"4.0.0","timestamp":5,"source_port":"25","report_id":7}`, "[the time of the incident cannot be read]",
			func(d xarf.Document) bool { return d.Port == 25 && d.ID == "7" }},
		"a port that is none":  {`{"xarf_version":"4.0.0","timestamp":"2026-01-02T03:04:05+08:00","source_port":70000}`, "[the source port is none]", func(d xarf.Document) bool { return d.Port == 0 && d.Time.Hour() == 19 }},
		"lists that are none":  {`{"xarf_version":"4.0.0","timestamp":"2026-01-02T03:04:05Z","evidence":{"a":1},"tags":"x","reporter":[]}`, "", func(d xarf.Document) bool { return d.Evidence == nil }},
		"items that are none":  {`{"xarf_version":"4.0.0","timestamp":"2026-01-02T03:04:05Z","evidence":[null,5,{"content_type":"message/rfc822","payload":"` + payload + `"}]}`, "", func(d xarf.Document) bool { m, ok := d.Message(); return ok && bytes.Equal(m.Data, message) }},
		"a name in other case": {`{"xarf_version":"4.0.0","timestamp":"2026-01-02T03:04:05Z","Category":"messaging"}`, "", func(d xarf.Document) bool { return d.Category == "" }},
		"the wrong hash": {`{"xarf_version":"4.0.0","timestamp":"2026-01-02T03:04:05Z","evidence":[{"content_type":"x","payload":"` + payload + `","hash":"sha256:00"}]}`,
			"[the hash of item 1 of the evidence is that of something else]", func(d xarf.Document) bool { return len(d.Evidence) == 1 }},
		"no base64": {`{"xarf_version":"4.0.0","timestamp":"2026-01-02T03:04:05Z","evidence":[{"content_type":"x","payload":"AA??!!"}]}`, "[item 1 of the evidence is damaged base64]", func(d xarf.Document) bool { return len(d.Evidence) == 1 }},
		"three in its real form": {`{"Version":"3","ReporterInfo":{"ReporterOrg":"O","ReporterOrgEmail":"a@o.example"},"Report":{"ReportClass":"Activity","ReportType":"Login-Attack","Date":"2026-01-02T03:04:05Z","SourceIp":"192.0.2.9","SourcePort":77,` +
			`"Samples":[{"ContentType":"message/rfc822","Base64Encoded":false,"Payload":"From: a@b.example\r\n\r\nhi\r\n"}]}}`, "", func(d xarf.Document) bool {
			m, ok := d.Message()
			return ok && bytes.Equal(m.Data, message) && d.Reporter.Domain == "o.example" && d.Type == "login_attack" && d.Category == "connection" && d.Port == 77
		}},
	} {
		d, problems, ok := xarf.Read([]byte(c.doc))
		want := c.problems
		if want == "" {
			want = "[]"
		}
		if got := fmt.Sprint(problems); !ok || !c.check(d) || got != want {
			t.Errorf("%s: %v %v %+v", name, ok, problems, d)
		}
	}
	for _, doc := range []string{"", "null", "[]", "{}", "{", `{"xarf_version":`, `{"Version":"3"}`, `"xarf_version"`, "\xff{}"} {
		if _, _, ok := xarf.Read([]byte(doc)); ok {
			t.Errorf("%q is taken for a report", doc)
		}
	}
}

// A document may not cost more than its size says.
func TestBombs(t *testing.T) {
	for name, doc := range map[string]string{
		"deep":    `{"xarf_version":"4.0.0","x":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}",
		"objects": `{"xarf_version":"4.0.0","x":` + strings.Repeat(`{"a":`, 50_000) + "1" + strings.Repeat("}", 50_000) + "}",
		"wide":    `{"xarf_version":"4.0.0","x":[` + strings.Repeat("0,", 1_000_000) + "0]}",
		"items":   `{"xarf_version":"4.0.0","evidence":[` + strings.Repeat(`{"payload":"QQ=="},`, 100_000) + "{}]}",
		"large":   `{"xarf_version":"4.0.0","x":"` + strings.Repeat("a", 9<<20) + `"}`,
	} {
		_, problems, ok := xarf.Read([]byte(doc))
		if ok || len(problems) != 1 || !strings.Contains(problems[0], xarf.ErrBounds.Error()) {
			t.Errorf("%s: %v %v", name, ok, problems)
		}
	}
	many := `{"xarf_version":"4.0.0","timestamp":"2026-01-02T03:04:05Z","evidence":[` + strings.Repeat(`{"payload":"QQ=="},`, 60) + "{}]}"
	if d, problems, ok := xarf.Read([]byte(many)); !ok || len(d.Evidence) != xarf.EvidenceMost || len(problems) != 1 {
		t.Errorf("61 items: %v %d %v", ok, len(d.Evidence), problems)
	}
}

func TestFeedback(t *testing.T) {
	for kind, want := range map[string]string{"messaging/spam": "abuse", "content/phishing": "fraud", "content/malware": "virus", "infrastructure/botnet": "virus", "connection/ddos": "other", "content/csam": "other", "/": "other"} {
		category, name, _ := strings.Cut(kind, "/")
		d := xarf.Document{Category: category, Type: name}
		if got := d.Feedback(); got != want {
			t.Errorf("%s is %s, want %s", kind, got, want)
		}
	}
	d := xarf.Document{Source: "Bad.Example"}
	if c := d.Claims(); c.SourceIP.IsValid() || len(c.Domains) != 1 || c.Domains[0] != "bad.example" {
		t.Errorf("a domain as the source: %+v", c)
	}
}

// By mail a document is the third part of a report.
func TestWriteMail(t *testing.T) {
	m := xarf.Mail{
		From: "abuse@here.example", To: "abuse@there.example", MessageID: "<1@here.example>", Date: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC),
		Subject: "Жалоба", Words: "Смотрите вложение.", Language: "ru", UserAgent: "Desk/1", Document: sample(),
	}
	raw, err := xarf.WriteMail(m)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "feedback-report" {
		t.Fatalf("%s %v %v", kind, params, err)
	}
	var types []string
	for r := multipart.NewReader(msg.Body, params["boundary"]); ; {
		p, err := r.NextPart()
		if err != nil {
			break
		}
		types = append(types, p.Header.Get("Content-Type"))
	}
	if got := strings.Join(types, " | "); got != `text/plain; charset=utf-8 | message/feedback-report | application/json; name="xarf.json"` {
		t.Errorf("parts %s", got)
	}
	if !bytes.Contains(raw, []byte("\r\nFeedback-Type: xarf\r\n")) {
		t.Error("the fields do not say what follows")
	}
	m.To = "a@b.example\r\nBcc: c@d.example"
	if _, err := xarf.WriteMail(m); !errors.Is(err, letter.ErrAddress) {
		t.Errorf("a recipient that is a header: %v", err)
	}
	m.Document.Port = 0
	if _, err := xarf.WriteMail(m); !errors.Is(err, xarf.ErrSMTP) {
		t.Errorf("no port: %v", err)
	}
}

// Whatever the bytes are, reading ends, and what was read can be told.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"xarf_version":"4.2.0","report_id":"x","timestamp":"2026-01-02T03:04:05Z","reporter":{"org":"o","contact":"a@b","domain":"b"},"source_identifier":"192.0.2.1","source_port":25,"category":"messaging","type":"spam","evidence":[{"content_type":"message/rfc822","payload":"RnJvbTogYQ0KDQpi","hash":"sha256:00"}]}`))
	f.Add([]byte(`{"Version":"3","ReporterInfo":{},"Report":{"Source":{"IP":"::1","Port":"9"},"Samples":[{"Payload":"x","Base64Encoded":false}]}}`))
	f.Add([]byte(`{"xarf_version":"4","evidence":[[[[[[[[[]]]]]]]]]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		d, problems, ok := xarf.Read(data)
		if !bytes.Equal(before, data) {
			t.Fatal("reading changed the bytes")
		}
		if !ok && d.Version != "" || len(problems) > 20 || len(d.Evidence) > xarf.EvidenceMost {
			t.Fatalf("%v %v %+v", ok, problems, d)
		}
		_, _ = d.Message()
		_ = d.Claims()
		if out, err := xarf.Write(d); err == nil {
			if _, _, ok := xarf.Read(out); !ok {
				t.Fatalf("what we wrote is not read: %s", out)
			}
		}
	})
}
