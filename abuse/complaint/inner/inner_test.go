package inner_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"postern/abuse/complaint/inner"
	"postern/internal/mime"
)

const message = "From: a@b.example\r\nSubject: x\r\n\r\nhi\r\n"

func TestMessages(t *testing.T) {
	const head = "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nwords\r\n--x\r\n"
	coded := base64.StdEncoding.EncodeToString([]byte(message))
	for name, c := range map[string]struct {
		mail, raw               string
		whole, encoded, shifted bool
	}{
		"as it is":        {head + "Content-Type: message/rfc822\r\n\r\n" + message + "\r\n--x--\r\n", message, true, false, false},
		"headers":         {head + "Content-Type: text/rfc822-headers\r\n\r\nFrom: a@b.example\r\n\r\n--x--\r\n", "From: a@b.example\r\n", false, false, false},
		"base64":          {head + "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" + coded + "\r\n--x--\r\n", message, true, true, false},
		"an eml":          {head + "Content-Type: application/x; name=a.eml\r\nContent-Transfer-Encoding: base64\r\n\r\n" + coded + "\r\n--x--\r\n", message, true, true, false},
		"an eml in words": {head + "Content-Type: text/plain; name=a.eml\r\n\r\n" + message + "\r\n--x--\r\n", message, true, false, false},
		"no eml":          {head + "Content-Type: application/x; name=a.eml\r\n\r\nhello\r\n\r\n--x--\r\n", "", false, false, false},
		"an empty line":   {head + "Content-Type: message/rfc822\r\n\r\n\r\n" + message + "\r\n--x--\r\n", message, true, false, true},
		"a mbox line":     {head + "Content-Type: message/rfc822\r\n\r\nFrom a@b Mon\r\n" + message + "\r\n--x--\r\n", message, true, false, true},
		"nothing in it":   {head + "Content-Type: message/rfc822\r\n\r\n\r\n--x--\r\n", "", false, false, false},
		"none":            {"From: a@b.example\r\n\r\nhello\r\n", "", false, false, false},
	} {
		found, odd := inner.Messages(mime.Bytes([]byte(c.mail), mime.Limits{}), 5)
		if c.raw == "" {
			if len(found) != 0 {
				t.Errorf("%s: %q", name, found[0].Raw)
			}
			continue
		}
		if len(found) != 1 || odd || string(found[0].Raw) != c.raw || found[0].Whole != c.whole || found[0].Encoded != c.encoded || found[0].Shifted != c.shifted {
			t.Errorf("%s: %+v", name, found)
		}
	}
}

// What only another reading of the bytes shows is found, and said to be that.
func TestMessagesOddly(t *testing.T) {
	part := "--x\r\nContent-Type: message/rfc822\r\n\r\n" + message + "\r\n--x--\r\n"
	raw := "Content-Type: multipart/mixed; boundary=x\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(part))
	found, odd := inner.Messages(mime.Bytes([]byte(raw), mime.Limits{}), 5)
	if len(found) != 1 || !odd || string(found[0].Raw) != message {
		t.Errorf("%v %+v", odd, found)
	}
}

// A message inside a message belongs to that one.
func TestTop(t *testing.T) {
	nested := "Content-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\nContent-Type: message/rfc822\r\n\r\n" + message + "\r\n--y--\r\n"
	raw := "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n" + nested + "\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n" + message + "\r\n--x--\r\n"
	tree := mime.Bytes([]byte(raw), mime.Limits{})
	var paths []string
	for p := range inner.Top(tree) {
		paths = append(paths, p.Path)
	}
	if got := strings.Join(paths, " "); got != "1 1.1 1.2" {
		t.Errorf("parts %s", got)
	}
	if found, _ := inner.Messages(tree, 1); len(found) != 1 || string(found[0].Raw) != nested {
		t.Errorf("%d messages", len(found))
	}
	if found, _ := inner.Messages(tree, 9); len(found) != 2 {
		t.Errorf("%d messages", len(found))
	}
}

func TestWhole(t *testing.T) {
	for raw, want := range map[string]bool{message: true, "From: a\r\n\r\n": false, "From: a\r\n\r\n \r\n": false, "From: a": false, "": false, "From: a\n\nb": true} {
		if got := inner.Whole([]byte(raw)); got != want {
			t.Errorf("%q: %v", raw, got)
		}
	}
}
