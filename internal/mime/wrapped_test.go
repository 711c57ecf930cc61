package mime_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"postern/internal/mailtest/samples"
	"postern/internal/mime"
)

// wrapping is a message with one part of base64.
func wrapping(fields string, data []byte) *mime.Tree {
	raw := "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=A\r\n\r\n--A\r\n\r\nhello\r\n--A\r\n" + fields +
		"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString(data) + "\r\n--A--\r\n"
	return mime.Bytes([]byte(raw), mime.Limits{})
}

// What Outlook wraps is there for everybody who looks at parts: names, texts, links, scanners (H-F17).
func TestOutlooksWrapping(t *testing.T) {
	data := samples.TNEF(`<p>An <a href="https://evil.example/x">inner</a> letter`, samples.Text("setup.exe", "MZ"))
	for _, fields := range []string{"Content-Type: application/ms-tnef; name=winmail.dat", "Content-Type: application/octet-stream; name=x.bin", "Content-Type: image/png"} {
		tree := wrapping(fields, data)
		if !slices.Contains(tree.FileNames(), "setup.exe") {
			t.Errorf("%s: names %q", fields, tree.FileNames())
		}
		if !strings.Contains(tree.Text(), "An inner letter") || len(tree.URLs()) != 1 || tree.URLs()[0].Host != "evil.example" {
			t.Errorf("%s: text %q, links %v", fields, tree.Text(), tree.URLs())
		}
		found := false
		for a := range tree.Alternatives() {
			found = found || string(a.Data) == "MZ"
		}
		if !found || !tree.Has("TNEF") || tree.Has("TNEF_BROKEN") || len(tree.Unscannable) > 0 {
			t.Errorf("%s: given to scanners %v, %+v", fields, found, tree.Anomalies)
		}
	}
	if tree := wrapping("Content-Type: application/ms-tnef", data[:len(data)-10]); !tree.Has("TNEF_BROKEN") {
		t.Errorf("cut off: %+v", tree.Anomalies)
	}
	if tree := wrapping("Content-Type: application/ms-tnef; name=winmail.dat", []byte("hello")); tree.Has("TNEF") {
		t.Errorf("another file: %+v", tree.Anomalies)
	}
	many := make([]samples.Member, 150)
	for i := range many {
		many[i] = samples.Text("a.txt", "x")
	}
	if tree := wrapping("Content-Type: application/ms-tnef", samples.TNEF("", many...)); len(tree.Unscannable) == 0 || len(tree.Parts) > 110 {
		t.Errorf("%d parts, %q", len(tree.Parts), tree.Unscannable)
	}
}

// A wrapping in a wrapping is taken apart no deeper than messages in messages are.
func TestWrappingsInWrappings(t *testing.T) {
	data := samples.TNEF("", samples.Text("in.exe", "MZ"))
	for range 50 {
		data = samples.TNEF("", samples.Member{Name: "winmail.dat", Data: data})
	}
	if tree := wrapping("Content-Type: application/ms-tnef", data); len(tree.Parts) > 10 {
		t.Errorf("%d parts", len(tree.Parts))
	}
}

// A multipart whose boundary is declared and empty is split at its delimiters.
func TestEmptyBoundary(t *testing.T) {
	raw := "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\nContent-Type: application/octet-stream; name=a.exe\r\n\r\nMZ\r\n----\r\n"
	if tree := mime.Bytes([]byte(raw), mime.Limits{}); !slices.Contains(tree.FileNames(), "a.exe") {
		t.Errorf("%d parts, %+v", len(tree.Parts), tree.Anomalies)
	}
	signed := "From: a@b.example\r\nContent-Type: multipart/mixed\r\n\r\nhello\r\n--\r\nAnn: your friend\r\n"
	if tree := mime.Bytes([]byte(signed), mime.Limits{}); len(tree.Parts) != 1 {
		t.Errorf("a signature is taken for a part: %d parts", len(tree.Parts))
	}
}
