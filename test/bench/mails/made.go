package main

import (
	"archive/zip"
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math"
	mrand "math/rand/v2"
	"os"
	"strings"

	"github.com/emersion/go-msgauth/dkim"
)

// signer signs for sender.bench.test.
type signer struct{ key *rsa.PrivateKey }

func newKey(path string) (*signer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	pub, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	line := "bench._domainkey.sender.bench.test\tv=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(pub) + "\n"
	return &signer{key}, os.WriteFile(path, []byte(line), 0o600)
}

func (s *signer) sign(raw []byte) ([]byte, error) {
	var b bytes.Buffer
	err := dkim.Sign(&b, bytes.NewReader(raw), &dkim.SignOptions{
		Domain: "sender.bench.test", Selector: "bench", Signer: s.key,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		HeaderKeys: []string{"From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"},
	})
	return b.Bytes(), err
}

var words = strings.Fields(`the report of last week is attached please read it before our meeting on monday and tell me what
you think about budget plan order invoice delivery customer project number team office question answer change page table
we have added some figures for march april may which differ from what was said in the first version thanks and best regards`)

func sentence(r *mrand.Rand, n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = words[r.IntN(len(words))]
	}
	return strings.Join(out, " ")
}

func lines(r *mrand.Rand, bytes int) string {
	var b strings.Builder
	for b.Len() < bytes {
		b.WriteString(sentence(r, 11) + ".\r\n")
	}
	return b.String()
}

// compose makes text, HTML and an attachment.
func compose(r *mrand.Rand, i int) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "From: Staff %d <staff%d@sender.bench.test>\r\nTo: User <user@inside.test>\r\nSubject: %s\r\n", i%20, i%20, sentence(r, 5))
	fmt.Fprintf(&b, "Date: Mon, 16 Nov 2026 10:%02d:%02d +0000\r\nMessage-ID: <made-%d@sender.bench.test>\r\nMIME-Version: 1.0\r\n", i%60, i*7%60, i)
	b.WriteString("Content-Type: multipart/mixed; boundary=mixed\r\n\r\n--mixed\r\nContent-Type: multipart/alternative; boundary=alt\r\n\r\n")
	text := lines(r, 600+r.IntN(2500))
	fmt.Fprintf(&b, "--alt\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n", text)
	html := strings.ReplaceAll(text, ".\r\n", `.</p>`+"\r\n"+`<p style="margin:0 0 1em">`)
	fmt.Fprintf(&b, "--alt\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body><p>%s</p>\r\n<a href=\"https://www.sender.bench.test/page/%d\">our page</a></body></html>\r\n--alt--\r\n", html, i)
	name, kind, content := attachment(r, int(math.Min(120_000, 11500*math.Exp(r.NormFloat64()))))
	fmt.Fprintf(&b, "--mixed\r\nContent-Type: %s; name=%q\r\nContent-Disposition: attachment; filename=%q\r\nContent-Transfer-Encoding: base64\r\n\r\n", kind, name, name)
	for s := base64.StdEncoding.EncodeToString(content); s != ""; {
		n := min(76, len(s))
		b.WriteString(s[:n] + "\r\n")
		s = s[n:]
	}
	b.WriteString("--mixed--\r\n")
	return []byte(b.String())
}

func attachment(r *mrand.Rand, size int) (name, kind string, content []byte) {
	noise := make([]byte, size)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	switch r.IntN(5) {
	case 0:
		return "photo.png", "image/png", append([]byte("\x89PNG\r\n\x1a\n"), noise...)
	case 1:
		return "figures.csv", "text/csv", []byte(strings.ReplaceAll(lines(r, size), " ", ";"))
	case 2:
		return "papers.zip", "application/zip", zipped(map[string][]byte{"notes.txt": []byte(lines(r, size)), "photo.jpg": noise[:size/2]})
	case 3:
		return "letter.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", zipped(map[string][]byte{
			"[Content_Types].xml": []byte(`<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`),
			"word/document.xml":   []byte("<w:document><w:body><w:t>" + lines(r, 2*size) + "</w:t></w:body></w:document>"),
		})
	}
	return "report.pdf", "application/pdf", fmt.Appendf(nil, "%%PDF-1.4\n1 0 obj\n<< /Length %d >>\nstream\n%s\nendstream\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%%%EOF\n", size, noise)
}

func zipped(files map[string][]byte) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range []string{"[Content_Types].xml", "word/document.xml", "notes.txt", "photo.jpg"} {
		content, ok := files[name]
		if !ok {
			continue
		}
		// Writing to memory does not fail.
		if f, err := z.Create(name); err == nil {
			_, _ = f.Write(content)
		}
	}
	_ = z.Close()
	return b.Bytes()
}
