package attach_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postern/filter"
	"postern/filter/attach"
	"postern/internal/archive"
	"postern/internal/mailtest"
	"postern/internal/mailtest/samples"
	"postern/internal/mime"
)

// check runs the check over raw and returns the symbols it found.
func check(t *testing.T, raw []byte, lim archive.Limits) ([]string, []filter.Finding) {
	t.Helper()
	m := &filter.Message{Parts: func() (*mime.Tree, error) { return mime.Bytes(raw, mime.Limits{}), nil }}
	found, err := (&attach.Check{Limits: lim}).Check(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	found = slices.DeleteFunc(found, func(f filter.Finding) bool { return f.Symbol == attach.Type }) // see TestTypes
	var out []string
	for _, f := range found {
		if !slices.Contains(out, f.Symbol) {
			out = append(out, f.Symbol)
		}
	}
	return out, found
}

// mail is a message with attachments, each given as "type; name" and content.
func mail(list ...any) []byte {
	var sb strings.Builder
	sb.WriteString("From: a@example.com\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"B\"\r\n\r\n--B\r\nContent-Type: text/plain\r\n\r\nhello\r\n")
	for i := 0; i < len(list); i += 2 {
		fmt.Fprintf(&sb, "--B\r\nContent-Type: %s\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment\r\n\r\n", list[i])
		enc := base64.StdEncoding.EncodeToString(list[i+1].([]byte))
		for len(enc) > 76 {
			sb.WriteString(enc[:76] + "\r\n")
			enc = enc[76:]
		}
		sb.WriteString(enc + "\r\n")
	}
	sb.WriteString("--B--\r\n")
	return []byte(sb.String())
}

func zipped(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for name, text := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, text)
	}
	z.Close()
	return buf.Bytes()
}

func office(t *testing.T) []byte {
	return zipped(t, map[string]string{
		"[Content_Types].xml": "<Types/>", "_rels/.rels": "<r/>", "word/document.xml": strings.Repeat("<w:p>text</w:p>", 500),
	})
}

// TestOrdinaryMailIsClean: what offices send every day has no finding at all.
func TestOrdinaryMailIsClean(t *testing.T) {
	pdf := []byte("%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\nstream\n" + strings.Repeat("x\x9cK\xca\xc9", 200) + "\nendstream\ntrailer<<>>\nstartxref\n9\n%%EOF\n")
	tnef := append([]byte("\x78\x9f\x3e\x22\x01\x00"), make([]byte, 300)...)
	p7 := append([]byte{0x30, 0x82, 0x05, 0x00, 0x06, 0x09}, make([]byte, 1000)...)
	signed := "From: a@example.com\r\nContent-Type: multipart/signed; protocol=\"application/%s\"; micalg=sha-256;\r\n boundary=\"----S\"\r\n\r\n" +
		"This is a signed message\r\n------S\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe\r\n" +
		"------S\r\nContent-Type: application/%s; name=\"%s\"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"%s\"\r\n\r\n%s\r\n------S--\r\n"
	for name, raw := range map[string][]byte{
		"plain text":    []byte("From: a@example.com\r\nSubject: x\r\n\r\nhello\r\n"),
		"docx":          mail("application/vnd.openxmlformats-officedocument.wordprocessingml.document; name=\"a.docx\"", office(t)),
		"zip":           mail("application/zip; name=a.zip", zipped(t, map[string]string{"a.txt": "text", "b/c.txt": "more"})),
		"docx in zip":   mail("application/zip; name=a.zip", zipped(t, map[string]string{"a.docx": string(office(t))})),
		"pdf":           mail("application/pdf; name=\"a.pdf\"", pdf),
		"doc":           mail("application/msword; name=a.doc", samples.Compound(nil, samples.Text("WordDocument", "letter"))),
		"winmail.dat":   mail("application/ms-tnef; name=winmail.dat", tnef),
		"S/MIME signed": fmt.Appendf(nil, signed, "pkcs7-signature", "pkcs7-signature", "smime.p7s", "smime.p7s", base64.StdEncoding.EncodeToString(p7)),
		"PGP signed":    fmt.Appendf(nil, signed, "pgp-signature", "pgp-signature", "signature.asc", "signature.asc", base64.StdEncoding.EncodeToString([]byte("-----BEGIN PGP SIGNATURE-----"))),
		"S/MIME opaque": mail("application/pkcs7-mime; smime-type=signed-data; name=\"smime.p7m\"", p7),
		"empty pkcs7":   mail("application/pkcs7-mime; smime-type=signed-data; name=\"smime.p7m\"", []byte{}),
		"image":         mail("image/png; name=a.png", []byte("\x89PNG\r\n\x1a\n")),
		"calendar":      mail("text/calendar; method=REQUEST; charset=utf-8", []byte("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")),
		"bounce": []byte("From: MAILER-DAEMON@example.com\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=R\r\n\r\n" +
			"--R\r\n\r\nfailed\r\n--R\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\nFinal-Recipient: rfc822; a@b\r\n\r\n" +
			"--R\r\nContent-Type: message/rfc822\r\n\r\n" + string(mail("application/zip; name=a.zip", office(t))) + "\r\n--R--\r\n"),
	} {
		got, found := check(t, raw, archive.Limits{})
		if name == "winmail.dat" && len(got) == 1 && got[0] == "MIME_TNEF" {
			continue // said, and worth nothing
		}
		if len(got) > 0 {
			t.Errorf("%s: %v", name, found)
		}
	}
	for name, raw := range map[string][]byte{
		"S/MIME": mail("application/pkcs7-mime; smime-type=enveloped-data; name=\"smime.p7m\"", p7),
		"PGP/MIME": []byte("From: a@example.com\r\nContent-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=E\r\n\r\n" +
			"--E\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--E\r\nContent-Type: application/octet-stream; name=\"encrypted.asc\"\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n--E--\r\n"),
	} {
		if got, found := check(t, raw, archive.Limits{}); !slices.Equal(got, []string{attach.MailEncrypted}) {
			t.Errorf("%s: %v", name, found)
		}
	}
}

func TestFindings(t *testing.T) {
	z := zipped(t, map[string]string{"a.txt": strings.Repeat("text", 100)})
	bomb := zipped(t, map[string]string{"zeros": string(make([]byte, 8<<20))})
	encOLE := append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), make([]byte, 1024)...)
	for _, c := range "EncryptedPackage" {
		encOLE = append(encOLE, byte(c), 0)
	}
	rar5 := []byte("Rar!\x1a\x07\x01\x00\x00\x00\x00\x00\x05\x04\x00\x00\x00\x00\x00\x00\x00\x00")
	rar4 := []byte("Rar!\x1a\x07\x00\x00\x00\x73\x80\x00\x0d\x00\x00\x00\x00\x00\x00\x00")
	seven := append([]byte("7z\xbc\xaf\x27\x1c\x00\x04\x00\x00\x00\x00"), make([]byte, 20)...)
	binary.LittleEndian.PutUint64(seven[20:], 8)
	seven = append(seven, "\x17\x06\xf1\x07\x01\x00\x00\x00"...)
	for name, tc := range map[string]struct {
		raw  []byte
		want []string
	}{
		"locked zip":       {mail("application/zip; name=a.zip", samples.Locked(z)), []string{attach.Encrypted}},
		"locked in zip":    {mail("application/zip; name=a.zip", zipped(t, map[string]string{"in.zip": string(samples.Locked(z))})), []string{attach.ArchiveNested, attach.NestedLocked, attach.Encrypted}},
		"locked office":    {mail("application/msword; name=a.docx", encOLE), []string{attach.Encrypted}},
		"locked rar 5":     {mail("application/x-rar; name=a.rar", rar5), []string{attach.Encrypted}},
		"locked rar 4":     {mail("application/x-rar; name=a.rar", rar4), []string{attach.Encrypted}},
		"locked 7z":        {mail("application/x-7z-compressed; name=a.7z", seven), []string{attach.Encrypted}},
		"bomb":             {mail("application/zip; name=a.zip", bomb), []string{attach.ArchiveBomb, attach.Unscannable}},
		"bomb called text": {mail("text/plain; name=a.txt", bomb), []string{attach.ArchiveBomb, attach.Unscannable}},
		"cut off":          {mail("application/zip; name=a.zip", z[:len(z)-30]), []string{attach.ArchiveBroken, attach.Unscannable}},
		"message/partial": {[]byte("From: a@example.com\r\nContent-Type: message/partial; id=a; number=1\r\n\r\nA: b\r\n\r\nx"),
			[]string{attach.Unscannable, "MIME_PARTIAL"}},
		"two From": {[]byte("From: a@example.com\r\nFrom: b@example.com\r\n\r\nx"), []string{"MIME_FROM_TWICE"}},
	} {
		got, found := check(t, tc.raw, archive.Limits{})
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, found, tc.want)
		}
	}
}

// TestBudgetIsShared: many attachments together may not cost more than one.
func TestBudgetIsShared(t *testing.T) {
	z := zipped(t, map[string]string{"a": strings.Repeat("abcdefgh", 5000)})
	lim := archive.Limits{Bytes: 100_000}
	if got, found := check(t, mail("application/zip; name=1.zip", z, "application/zip; name=2.zip", z), lim); len(got) > 0 {
		t.Errorf("two: %v", found)
	}
	if got, _ := check(t, mail("application/zip; name=1.zip", z, "application/zip; name=2.zip", z, "application/zip; name=3.zip", z), lim); !slices.Contains(got, attach.Unscannable) {
		t.Errorf("three: %v", got)
	}
}

func TestEverySymbolIsListed(t *testing.T) {
	all := attach.Symbols()
	for i, s := range all {
		if slices.Contains(all[:i], s) || strings.ToUpper(s) != s {
			t.Errorf("%s is listed twice or badly written", s)
		}
	}
	if len(all) != 6+33+len(mime.Kinds()) {
		t.Errorf("%d symbols", len(all))
	}
}

func TestErrors(t *testing.T) {
	broken := &filter.Message{Parts: func() (*mime.Tree, error) { return nil, errors.New("disk") }}
	var plain filter.PlainError
	if _, err := (&attach.Check{}).Check(t.Context(), broken); !errors.As(err, &plain) {
		t.Errorf("err = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := &filter.Message{Parts: func() (*mime.Tree, error) {
		return mime.Bytes(mail("application/zip; name=a.zip", office(t)), mime.Limits{}), nil
	}}
	if _, err := (&attach.Check{}).Check(ctx, m); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
}

// TestNestedBeyondClamd: the one archive of the suite that clamd does not find inside a
// mail is unscannable here; the others that are read here are not.
func TestNestedBeyondClamd(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(mailtest.Suites(t, "av/clamav-testfiles"), "clam*"))
	if err != nil || len(files) != 44 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, found := check(t, mail("application/octet-stream; name=\""+filepath.Base(file)+"\"", b), archive.Limits{})
		if un := slices.Contains(got, attach.Unscannable); un != (filepath.Base(file) == "clam_cache_emax.tgz") {
			t.Errorf("%s: %v", filepath.Base(file), found)
		}
	}
}

// TestHamIsClean counts what the check says about good mail.
func TestHamIsClean(t *testing.T) {
	count := map[string]int{}
	n := 0
	err := filepath.WalkDir(mailtest.Corpora(t, "ham"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n++
		raw = bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
		got, found := check(t, raw, archive.Limits{})
		for _, s := range got {
			count[s]++
		}
		if slices.Contains(got, attach.Unscannable) {
			t.Logf("%s: %v", path, found)
		}
		return nil
	})
	t.Logf("%d mails: %v", n, count)
	if err != nil || count[attach.Unscannable]*1000 > n {
		t.Errorf("%d of %d ham unscannable, %v", count[attach.Unscannable], n, err)
	}
}
