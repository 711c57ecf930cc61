package textual_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"postern/internal/mime"
	"postern/internal/mime/textual"
)

func of(text string) string {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")
	return string(textual.Of(mime.Bytes([]byte(text), mime.DefaultLimits())))
}

const mixed = `Subject: Invoice
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b"

EVIL before the parts
--b
Content-Type: multipart/alternative; boundary="c"

--c
Content-Type: text/plain

Please pay.
--c
Content-Type: text/html

<p>Please <b>pay</b>.</p>
--c--
--b
Content-Type: application/pdf; name="invoice.pdf"
Content-Transfer-Encoding: base64

RVZJTA==
--b
Content-Type: text/plain; name="evil.txt"

EVIL in a file of text
--b
Content-Type: message/rfc822

Subject: Inner
Content-Type: multipart/mixed; boundary="d"

--d

Inner words
--d
Content-Type: application/zip

EVIL inside
--d--
--b--
EVIL behind the parts
`

// TestTextsStay and files go, wherever they are; what is left is read as before.
func TestTextsStay(t *testing.T) {
	got := of(mixed)
	if strings.Contains(got, "EVIL") || strings.Contains(got, "RVZJTA") {
		t.Errorf("a file is left:\n%s", got)
	}
	tree := mime.Bytes([]byte(got), mime.DefaultLimits())
	for _, want := range []string{"Please pay.", "Inner words"} {
		if !strings.Contains(tree.Text(), want) {
			t.Errorf("%q is lost:\n%s", want, got)
		}
	}
	if !strings.Contains(tree.HTMLText(), "<b>pay</b>") || tree.Subject() != "Invoice" || len(tree.Unscannable) > 0 {
		t.Errorf("the message is another:\n%s", got)
	}
	if names := strings.Join(tree.FileNames(), " "); names != "invoice.pdf evil.txt" {
		t.Errorf("the files are called %q", names)
	}
	before := mime.Bytes([]byte(strings.ReplaceAll(mixed, "\n", "\r\n")), mime.DefaultLimits())
	if len(before.Parts) != len(tree.Parts) {
		t.Errorf("%d parts of %d", len(tree.Parts), len(before.Parts))
	}
}

// TestNothingOfADoubt is left: neither what has several readings nor what is no text.
func TestNothingOfADoubt(t *testing.T) {
	wrapped := base64.StdEncoding.EncodeToString([]byte("Content-Type: application/zip\r\n\r\nEVIL"))
	for name, text := range map[string]string{
		"a file alone":      "Content-Type: application/octet-stream\n\nEVIL",
		"a text with NULs":  "Content-Type: text/plain\n\nMZ\x00\x00EVIL",
		"an attached text":  "Content-Type: text/html\nContent-Disposition: attachment\n\nEVIL",
		"an encoded letter": "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + wrapped,
		"no boundary":       "Content-Type: multipart/mixed\n\n--x\n\nEVIL\n--x--\n",
		"two boundaries":    "Content-Type: multipart/mixed; boundary=a; boundary=b\n\n--a\n\nhello\n--a\nContent-Type: application/zip\n\nEVIL\n--a--\n--b\nContent-Type: application/zip\n\nEVIL\n--b--\n",
	} {
		if got := of("Subject: x\n" + text); strings.Contains(got, "EVIL") || strings.Contains(got, wrapped) || !strings.HasPrefix(got, "Subject: x\r\n") {
			t.Errorf("%s:\n%q", name, got)
		}
	}
}

// FuzzOf never panics, never makes a message longer by more than its boundaries.
func FuzzOf(f *testing.F) {
	f.Add([]byte(strings.ReplaceAll(mixed, "\n", "\r\n")))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\n--a--"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		tree := mime.Bytes(raw, mime.DefaultLimits())
		if got := textual.Of(tree); len(got) > len(raw)+len(tree.Parts)*200 {
			t.Errorf("%d bytes of %d", len(got), len(raw))
		}
	})
}
