package scenarios

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"postern/abuse"
	"postern/cmd/postern/home"
	"postern/test/world"
)

// pdf is a small true PDF with a sentence.
func pdf(text string) []byte {
	var b bytes.Buffer
	var at []int
	b.WriteString("%PDF-1.4\n")
	stream := "BT /F1 12 Tf 72 720 Td (" + text + ") Tj ET"
	for i, object := range []string{
		"<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>",
		"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
		fmt.Sprintf("<</Length %d>>stream\n%s\nendstream", len(stream), stream),
	} {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj%s endobj\n", i+1, object)
	}
	table := b.Len()
	b.WriteString("xref\n0 5\n0000000000 65535 f \n")
	for _, n := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", n)
	}
	fmt.Fprintf(&b, "trailer<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", table)
	return b.Bytes()
}

// attached is a letter with files.
func (n *node) attached(from, subject, text string, files map[string][]byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "From: %s\r\nTo: abuse@example.com\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%d@forged.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n%s\r\n", from, subject, n.Clock.Now().Format(time.RFC1123Z), len(subject)*1000+len(text), text)
	for name, content := range files {
		fmt.Fprintf(&b, "--b\r\nContent-Type: application/octet-stream; name=\"%s\"\r\nContent-Disposition: attachment; filename=\"%s\"\r\nContent-Transfer-Encoding: base64\r\n\r\n%s\r\n", name, name, folded(content))
	}
	return b.String() + "--b--\r\n"
}

// zipped are 500 forged complaints in one archive, each about another account.
func zipped(t *testing.T, accounts []string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i, a := range accounts {
		w, err := z.Create(fmt.Sprintf("complaint-%03d.eml", i))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(w, "From: %s\r\nTo: rcpt@isp.example\r\nMessage-ID: <%d@x.example>\r\n\r\nspam\r\n", a, i)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// H-L10 with real files: complaints about five hundred accounts as an archive, a table, XARF and
// forwarded messages that are attached. However they come, automation holds at most three of those
// whose own mail speaks against them, and none because of the files. Then a guarantee that nobody
// of ours took in, with its three parts as true files, comes by mail: no suspension ends by it.
func TestHL10RealFiles(t *testing.T) {
	t.Parallel()
	const guilty = 8
	var accounts, hit []string
	for i := range 500 {
		a := fmt.Sprintf("u%d@tenant%02d.example", i, i%50)
		if i < guilty {
			a = fmt.Sprintf("shop@tenant%02d.example", i)
			hit = append(hit, a)
		}
		accounts = append(accounts, a)
	}
	n, page := senders(t, plan{Abuse: acting + ", intake: {rates: {unproved: 1000, network: 1000}}"}, hit...)
	n.before(func(s *home.Home, now time.Time) {
		enabled(t, s, now)
		for i, a := range accounts {
			if i < guilty {
				mails{account: a, n: 15, to: 10, every: 3 * time.Minute, action: "quarantine"}.fill(t, s.Sent, now)
			} else {
				mails{account: a, n: 1, to: 1, every: time.Hour}.fill(t, s.Sent, now)
			}
		}
	})
	n.serve()
	var table, forwards strings.Builder
	table.WriteString("account,kind\n")
	for i, a := range accounts {
		fmt.Fprintf(&table, "%s,spam\n", a)
		if i < 100 {
			fmt.Fprintf(&forwards, "--b\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment; filename=\"%d.eml\"\r\n\r\nFrom: %s\r\nTo: rcpt@isp.example\r\nMessage-ID: <f%d@x.example>\r\n\r\nspam\r\n", i, a, i)
		}
	}
	xarf := []byte(`{"xarf_version":"4.0.0","report_id":"1","timestamp":"2030-01-01T00:00:00Z","category":"messaging","type":"spam","source_identifier":"203.0.113.7","smtp_from":"` + accounts[9] + `","evidence":[{"content_type":"message/rfc822","payload":"` + base64.StdEncoding.EncodeToString([]byte("From: "+accounts[9]+"\r\n\r\nspam\r\n")) + `"}]}`)
	for i, raw := range []string{
		n.attached("rcpt@isp.example", "all of these", "See the files.", map[string][]byte{"complaints.zip": zipped(t, accounts), "list.csv": []byte(table.String())}),
		n.attached("rcpt@isp.example", "a report", "XARF.", map[string][]byte{"xarf.json": xarf}),
		strings.TrimSuffix(n.attached("rcpt@isp.example", "forwarded", "These.", nil), "--b--\r\n") + forwards.String() + "--b--\r\n",
	} {
		n.writes("rcpt@isp.example", "abuse@example.com", raw)
		n.complaints(i + 1)
	}
	n.due()
	held := map[string]bool{}
	for _, m := range n.standing("") {
		if m.Level >= abuse.M2 {
			held[m.Target] = true
			if !strings.HasPrefix(m.Target, "shop@") {
				t.Errorf("for the files alone: %+v", m)
			}
		}
	}
	if len(held) == 0 || len(held) > 3 {
		t.Errorf("%d accounts are held or suspended: %v", len(held), held)
	}
	n.await("somebody is paged", func() bool { return len(page.pages("breaker:")) > 0 })
	n.forgedGuarantee(hit[0])
}

// forgedGuarantee sends the three parts of a guarantee for an account by all ways but the desk: as a
// letter of somebody proved, of nobody, and inside of a report.
func (n *node) forgedGuarantee(account string) {
	n.t.Helper()
	m := n.command("measure", "apply", "suspend", account, "--reason", "spam was proved")
	c := n.caseOf(account)
	files := map[string][]byte{
		"letter.pdf":    pdf("We promise that " + account + " sends no more. Scope: mailbox. Signed."),
		"statement.pdf": pdf("Statement of suspension of " + account),
		"licence.png":   append([]byte("\x89PNG\r\n\x1a\n"), pdf("licence")...),
	}
	before := len(n.complaints(0))
	raw := n.attached("director@tenant00.example", "Guarantee for "+account+" ["+c.ID+"]", "Restore the account at once, approved by the postmaster.", files)
	n.writes("director@tenant00.example", "abuse@example.com", raw)
	n.complaints(before + 1)
	if code, text := n.forges("192.0.2.66:4000", "", "abuse@example.com", raw); code != 250 {
		n.t.Errorf("%d %s", code, text)
	}
	n.writes("rcpt@isp.example", "abuse@example.com", world.ARF(n.Clock.Now(), "rcpt@isp.example", "a guarantee inside", []byte(raw)))
	n.complaints(before + 3)
	n.pass(6 * time.Hour)
	if got := n.level(account); got < abuse.M3 {
		n.t.Errorf("%s is %s after a forged guarantee\n%s", account, got, m)
	}
	if c := n.caseOf(account); c.State == "PROBATION" || c.State == "GUARANTEE_IN" || c.State == "RESOLVED" {
		n.t.Errorf("%+v", c)
	}
}
