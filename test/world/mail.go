package world

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"postern/internal/mailtest"
)

// ARF is a feedback report about a message to abuse@example.com.
func ARF(at time.Time, from, subject string, original []byte, fields ...string) string {
	id := sha256.Sum256([]byte(subject))
	return fmt.Sprintf("From: %s\r\nTo: abuse@example.com\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s@arf.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n"+
		"--b\r\nContent-Type: text/plain\r\n\r\nThis is a report.\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nUser-Agent: test/1\r\nVersion: 1\r\n%s\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n%s\r\n--b--\r\n",
		from, subject, at.Format(time.RFC1123Z), hex.EncodeToString(id[:6]), strings.Join(append(fields, ""), "\r\n"), original)
}

// Signs makes a DKIM key of a domain, publishes it beside a DMARC record that wants nothing, and
// returns what signs with it.
func Signs(t testing.TB, names *mailtest.DNS, domain string) func(raw string) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"_dmarc." + domain: "v=DMARC1; p=none", "k._domainkey." + domain: "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public),
	} {
		if err := names.Set(name, "TXT "+text); err != nil {
			t.Fatal(err)
		}
	}
	return func(raw string) string {
		var b bytes.Buffer
		if err := dkim.Sign(&b, strings.NewReader(raw), &dkim.SignOptions{Domain: domain, Selector: "k", Signer: private}); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
}
