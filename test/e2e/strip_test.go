package e2e

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/mail"
	"slices"
	"strings"
	"testing"

	"postern/cmd/postern/calls"
	"postern/filter/auth/arc"
	"postern/internal/mailtest"
	"postern/quarantine"
)

const stripRules = `policies:
  strip: {extends: default, unscannable: tag, antivirus: {infected: strip}}
  forget: {extends: strip, antivirus: {keep_original: false}}
  keep: {extends: default, antivirus: {infected: quarantine}}
recipients:
  strip@example.com: strip
  strip2@example.com: strip
  forget@example.com: forget
  keep@example.com: keep
`

// withFiles is a message with attachments, in the order of their names.
func withFiles(subject string, files map[string][]byte) string {
	whole, _ := strings.CutSuffix(withFile(subject, "first.txt", []byte("first")), "--=_e2e--\r\n")
	for _, name := range slices.Sorted(maps.Keys(files)) {
		_, part, _ := strings.Cut(withFile("", name, files[name]), "See attached.\r\n")
		part, _ = strings.CutSuffix(part, "--=_e2e--\r\n")
		whole += part
	}
	return whole + "--=_e2e--\r\n"
}

// parts reads the files and texts of a mixed message as a mail program does.
func parts(t *testing.T, raw []byte) (files map[string]string, texts []string) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	files = map[string]string{}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return files, texts
		}
		if err != nil {
			t.Fatal(err)
		}
		var body io.Reader = p
		if p.Header.Get("Content-Transfer-Encoding") == "base64" {
			body = base64.NewDecoder(base64.StdEncoding, p)
		}
		content, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		if p.FileName() == "" {
			texts = append(texts, string(content))
			continue
		}
		files[p.FileName()] = string(content)
	}
}

// Whose policy strips gets the mail without the infected file, whatever becomes of the other
// copies; what came in is kept as it came.
func TestInfectedFileIsTakenOut(t *testing.T) {
	t.Parallel()
	c := mailtest.StartRealClamd(t, mailtest.ClamdOptions{})
	g, b := startWith(t, stripRules, plan{ClamAV: c.Endpoint, More: "auth: {arc_seal: true}\n"})
	key := runJSON[calls.DKIMKey](t, g, 0, "dkim", "add", "--json", "--alg", "ed25519", "mx1.example.com")
	g.set(t, key.Record.Name, "TXT "+key.Record.Text)
	g.run(t, 0, "dkim", "dns", "mx1.example.com")
	report := bytes.Repeat([]byte("all numbers are well\x00\xff\r\n.\r\n"), 500)
	for to, want := range map[string][]quarantine.Class{
		"strip@example.com":                    {quarantine.Evidence},
		"strip@example.com,strip2@example.com": {quarantine.Evidence},
		"strip@example.com,ada@example.com":    {quarantine.Evidence, quarantine.RejectedBeside}, // her policy refuses
		"strip@example.com,keep@example.com":   {quarantine.Evidence, quarantine.ByVerdict},
		"forget@example.com":                   nil,
		"strip@example.com,noscan@example.com": {quarantine.Evidence},
	} {
		raw := withFiles("Files for "+to, map[string][]byte{"bill.zip": zipped(t, "bill.com", mailtest.EICAR()), "report.pdf": report})
		before := len(b.Transactions())
		g.mustDeliver(t, 250, to, raw)
		copies := b.WaitTransactions(t, before+1)[before:]
		checkStripped(t, to, copies, raw, string(report))
		for _, tx := range copies {
			if c := g.chain(t, tx.Body); c.Result != arc.Pass {
				t.Errorf("%s: the seal does not cover what %q got: %+v", to, tx.To, c)
			}
		}
		var kept []quarantine.Class
		for _, h := range holds(t, g, "") {
			if h.SHA256 == sum(raw) {
				kept = append(kept, h.Class)
			}
		}
		slices.Sort(kept)
		if !slices.Equal(kept, want) {
			t.Errorf("%s: kept as %q, want %q", to, kept, want)
		}
	}
}

// checkStripped looks at all copies that went out.
func checkStripped(t *testing.T, to string, all []mailtest.Transaction, raw, report string) {
	t.Helper()
	stripped := 0
	for _, tx := range all {
		if slices.Contains(tx.To, "noscan@example.com") {
			if !strings.HasSuffix(string(tx.Body), raw) {
				t.Errorf("%s: whoever is not scanned for got other bytes", to)
			}
			continue
		}
		stripped++
		files, texts := parts(t, tx.Body)
		if len(files) != 2 || files["report.pdf"] != report || files["first.txt"] != "first" {
			t.Errorf("%s: files %q", to, slices.Sorted(maps.Keys(files)))
		}
		if len(texts) != 2 || !strings.Contains(texts[1], "bill.zip") || !strings.Contains(texts[1], "was removed") {
			t.Errorf("%s: texts %q", to, texts)
		}
		head, _, _ := strings.Cut(string(tx.Body), "\r\nFrom:")
		if !strings.Contains(head, "\r\nX-Postern-Stripped:") || !strings.Contains(head, "VIRUS") {
			t.Errorf("%s: above the message stands\n%s", to, head)
		}
		if slices.Contains(tx.To, "ada@example.com") || slices.Contains(tx.To, "keep@example.com") {
			t.Errorf("%s: %q got\n%s", to, tx.To, tx.Body)
		}
	}
	if stripped != 1 {
		t.Errorf("%s: %d stripped copies", to, stripped)
	}
}

// What can be read in two ways is never taken apart: it is held whole.
func TestAmbiguousMailIsHeldNotStripped(t *testing.T) {
	t.Parallel()
	c := mailtest.StartRealClamd(t, mailtest.ClamdOptions{})
	g, b := startWith(t, stripRules, plan{ClamAV: c.Endpoint})
	infected := withFiles("Odd", map[string][]byte{"bill.com": mailtest.EICAR()})
	twice := strings.Replace(infected, `boundary="=_e2e"`, `boundary="=_e2e"; boundary="=_other"`, 1)
	two := strings.Replace(infected, "MIME-Version: 1.0\r\n", "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n", 1)
	whole := letter("Only text", string(mailtest.EICAR()))
	for name, raw := range map[string]string{"boundary twice": twice, "type twice": two, "the text itself": whole} {
		text := g.mustDeliver(t, 250, "strip@example.com", raw)
		found := false
		for _, h := range holds(t, g, "state:held class:quarantine") {
			found = found || strings.Contains(text, h.ID) && h.SHA256 == sum(raw)
		}
		if name != "the text itself" && !found {
			t.Errorf("%s: %q and no hold", name, text)
		}
	}
	for _, tx := range b.Transactions() {
		if bytes.Contains(tx.Body, mailtest.EICAR()) {
			t.Errorf("infected mail went out:\n%s", tx.Body)
		}
	}
}

// A stripped copy whose server is away goes out later as it was stripped, never as it came.
func TestStrippedCopyWaitsForItsServer(t *testing.T) {
	t.Parallel()
	c := mailtest.StartRealClamd(t, mailtest.ClamdOptions{})
	g, b := startWith(t, stripRules, plan{ClamAV: c.Endpoint, LMTP: true})
	b.Set(mailtest.Script{LMTP: true, EndFor: map[string]mailtest.Step{"strip@example.com": {Reply: "451 4.3.0 later"}}})
	raw := withFiles("Later", map[string][]byte{"bill.zip": zipped(t, "bill.com", mailtest.EICAR())})
	g.mustDeliver(t, 250, "strip@example.com,noscan@example.com", raw)
	all := outboxOf(t, g)
	if len(all) != 1 || all[0].To[0].Address != "strip@example.com" {
		t.Fatalf("outbox %+v", all)
	}
	g.Kill()
	b.Set(mailtest.Script{LMTP: true})
	before := len(b.Transactions())
	g.Start()
	g.Ready()
	g.run(t, 0, "outbox", "retry", all[0].ID)
	late := b.WaitTransactions(t, before+1)[before]
	files, texts := parts(t, late.Body)
	if len(files) != 1 || files["first.txt"] != "first" || len(texts) != 2 || !bytes.Contains(late.Body, []byte("\r\nX-Postern-Stripped:")) || !slices.Equal(late.To, []string{"strip@example.com"}) {
		t.Errorf("%q got\n%s", late.To, late.Body)
	}
	kept := holds(t, g, "class:evidence")
	if len(kept) != 1 || kept[0].SHA256 != sum(raw) {
		t.Errorf("evidence %+v", kept)
	}
}
