package redact_test

import (
	"strings"
	"testing"

	"postern/abuse/complaint/redact"
)

func TestMessage(t *testing.T) {
	r := redact.HMAC([]byte("key"))
	raw := "To: Ada <ADA@Example.com>\r\nSubject: for ada@example.com\r\n\r\nada@example.com, bob@example.com and eve@example.com\r\n"
	got := string(r.Message([]byte(raw), []string{"ada@example.com", "bob@example.com", "@", ""}))
	if strings.Contains(strings.ToLower(got), "ada@") || strings.Contains(got, "bob@") {
		t.Errorf("somebody is named: %s", got)
	}
	if !strings.Contains(got, "eve@example.com") || strings.Count(got, r.Address("ada@example.com")) != 3 || strings.Count(got, r.Address("bob@example.com")) != 1 {
		t.Errorf("%s", got)
	}
	if again := string(r.Message([]byte(raw), nil)); again != raw {
		t.Errorf("without anybody to hide it is another: %s", again)
	}
}
