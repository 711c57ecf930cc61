package mime_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	stdmime "mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postern/internal/mailtest"
	"postern/internal/mime"
)

// stdLeaves reads a message with the standard library: media type and decoded body of each
// leaf. An error means that it is too strict for the message.
func stdLeaves(ct, cte string, body io.Reader, depth int) ([]string, error) {
	media, params, err := stdmime.ParseMediaType(ct)
	if ct == "" {
		media, err = "text/plain", nil
	}
	if err != nil || depth > 20 {
		return nil, errors.New("unreadable")
	}
	switch strings.ToLower(cte) {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	if !strings.HasPrefix(media, "multipart/") {
		if strings.HasPrefix(media, "message/") {
			return nil, errors.New("not compared")
		}
		b, err := io.ReadAll(body)
		return []string{fmt.Sprintf("%s %x", media, hashLF(noBlanks(b)))}, err
	}
	var out []string
	for r := multipart.NewReader(body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		sub, err := stdLeaves(p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, sub...)
	}
}

// noBlanks removes blanks before line ends, which the standard library drops from
// quoted-printable text and mail programs do not.
func noBlanks(b []byte) []byte {
	lines := bytes.Split(lf(b), []byte("\n"))
	for i := range lines {
		lines[i] = bytes.TrimRight(lines[i], " \t")
	}
	return bytes.Join(lines, []byte("\n"))
}

func ourLeaves(tree *mime.Tree) []string {
	var out []string
	for p := range tree.Leaves() {
		if !p.Alternate {
			out = append(out, fmt.Sprintf("%s %x", p.MediaType, hashLF(noBlanks(p.Decoded()))))
		}
	}
	return out
}

// TestStandardLibraryAgrees compares the leaves of every ham with the standard library's,
// where that can read the message at all.
func TestStandardLibraryAgrees(t *testing.T) {
	compared, strict := 0, 0
	mails(t, mailtest.Corpora(t, "ham"), func(path string, raw []byte) {
		raw = crlf(raw)
		m, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			strict++
			return
		}
		want, err := stdLeaves(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body, 0)
		if err != nil {
			strict++
			return
		}
		compared++
		if got := ourLeaves(mime.Bytes(raw, mime.Limits{})); !slices.Equal(got, want) {
			t.Errorf("%s: %d leaves, the standard library has %d", path, len(got), len(want))
		}
	})
	t.Logf("%d mails compared, %d too odd for the standard library", compared, strict)
	if compared < 4000 {
		t.Errorf("only %d mails compared", compared)
	}
}

// enmimeShapes are the trees of the messages that the enmime suite expects its builder to
// write.
var enmimeShapes = map[string]string{
	"nocontent-with-children.golden":                  "multipart/alternative(text/html text/plain)",
	"part-with-children.golden":                       "multipart/alternative(text/html text/plain)",
	"part-message-rfc822.golden":                      "message/rfc822(text/plain)",
	"part-plain.golden":                               "text/plain",
	"part-bin-content.golden":                         "image/jpeg",
	"part-bin-header.golden":                          "text/plain",
	"part-content-only.golden":                        "text/plain",
	"part-content-only-qp.golden":                     "text/plain",
	"part-default-headers.golden":                     "application/zip",
	"part-empty.golden":                               "text/plain",
	"part-file-mod-date.golden":                       "text/plain",
	"part-header-only.golden":                         "text/plain",
	"part-quotable-content.golden":                    "text/plain",
	"part-quoted-content.golden":                      "text/plain",
	"part-quoted-headers.golden":                      "application/zip",
	"build-qp-addr-headers.golden":                    "text/plain",
	"part-header-only-default-encoding.golden":        "text/plain",
	"part-quoted-printable-headers.golden":            "application/zip",
	"parser-raw-content-html-option-false.raw.golden": "text/html",
	"parser-raw-content-html-option-true.raw.golden":  "text/html",
	"parser-raw-content-text-option-false.raw.golden": "text/plain",
	"parser-raw-content-text-option-true.raw.golden":  "text/plain",
	"utf8-to.raw.golden":                              "text/plain",
}

func mediaShape(p *mime.Part) string {
	var sub []string
	for _, c := range p.Children {
		if !c.Alternate {
			sub = append(sub, mediaShape(c))
		}
	}
	if len(sub) == 0 {
		return p.MediaType
	}
	return p.MediaType + "(" + strings.Join(sub, " ") + ")"
}

func TestEnmimeGoldens(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(mailtest.Suites(t, "mime/enmime/encode"), "*.golden"))
	if err != nil || len(files) != 23 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tree := mime.Bytes(raw, mime.Limits{})
		if got := mediaShape(tree.Root); got != enmimeShapes[filepath.Base(file)] {
			t.Errorf("%q: %q,", filepath.Base(file), got)
		}
		if len(tree.Unscannable) > 0 {
			t.Errorf("%s: %v", file, tree.Unscannable)
		}
	}
}

// FuzzWalk compares with the standard library on what that reads without complaint, and
// asserts the limits on everything.
func FuzzWalk(f *testing.F) {
	f.Add([]byte(top + "Content-Type: multipart/mixed; boundary=\"B\"\n" + body("B")))
	f.Add([]byte(top + "Content-Type: multipart/mixed; boundary=B; boundary=C\n" + body("C")))
	f.Add([]byte(top + "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + b64))
	f.Add([]byte(" x: y\r\nbad\n \nContent-Type: text/html\r\r\n\r\n<a href=http://x.example>y</a>"))
	f.Add([]byte("Content-Type: text/plain\n\nbegin 644 x.exe\n#0V%T\n`\nend\n"))
	f.Add([]byte("Content-Type: multipart/digest; boundary=x\n\n--x\n\nA: b\n\nc\n--xy\n--x--\nContent-Type: a/b\n\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		tree := mime.Bytes(raw, mime.Limits{Parts: 50, Depth: 8})
		if len(tree.Parts) > 50 || tree.Work > int64(len(raw))*17+2<<20 {
			t.Errorf("%d parts, %d bytes looked at", len(tree.Parts), tree.Work)
		}
		tree.Text()
		tree.From()
		tree.Subject()
		tree.FileNames()
		for p := range tree.Leaves() {
			if p.BodyStart < p.Start || p.End < p.BodyStart {
				t.Errorf("part %s lies at %d %d %d", p.Path, p.Start, p.BodyStart, p.End)
			}
			p.Readings()
		}
		for a := range tree.Alternatives() {
			if a.Part == nil || len(a.Data) == 0 {
				t.Error("an empty alternative")
			}
		}
	})
}
