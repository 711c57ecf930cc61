package writing_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/abuse/complaint/redact"
	"postern/abuse/external/told"
	"postern/abuse/external/writing"
)

// The evidence of a report names no recipient, unless the operator wants them named.
func TestDocumentNamesNobody(t *testing.T) {
	hide := redact.HMAC([]byte("key"))
	m := writing.Message{
		Raw:    []byte("From: x@bad.example\r\nTo: ada@example.com\r\nSubject: ada@example.com, buy\r\n\r\nDear ada@example.com\r\n"),
		RcptTo: []string{"ada@example.com"}, IP: netip.MustParseAddr("203.0.113.9"), Arrival: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	for _, redactor := range []*redact.Redactor{&hide, nil} {
		doc := writing.Writer{From: "abuse@example.com", Redact: redactor}.Document(told.Notice{ID: "00112233445566778899aabbccddeeff"}, m)
		named := strings.Contains(string(doc.Evidence[0].Data)+doc.Subject, "ada@example.com")
		if named != (redactor == nil) {
			t.Errorf("named: %v in %s %s", named, doc.Subject, doc.Evidence[0].Data)
		}
	}
	if !strings.Contains(string(m.Raw), "ada@example.com") {
		t.Error("the kept message was changed")
	}
}
