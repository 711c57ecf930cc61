package e2e

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"postern/abuse/sent"
	"postern/cmd/postern/calls"
	"postern/internal/dns"
	"postern/internal/mailtest"
	"postern/internal/record"
)

// told is what postern trace --token prints.
type told struct {
	Serial  string    `json:"serial"`
	Account string    `json:"account"`
	Problem string    `json:"problem"`
	Row     *sent.Row `json:"row"`
}

// published makes a key of a domain that is in the DNS.
func published(t *testing.T, g *gateway, domain string) {
	t.Helper()
	k := runJSON[calls.DKIMKey](t, g, 0, "dkim", "add", "--json", domain)
	if err := g.DNS.Set(k.Record.Name, "TXT "+k.Record.Text); err != nil {
		t.Fatal(err)
	}
	g.run(t, 0, "dkim", "dns", domain)
}

// field is the value of a header field.
func field(body []byte, name string) string {
	head, _, _ := bytes.Cut(body, []byte("\r\n\r\n"))
	m := regexp.MustCompile(`(?mi)^` + name + `:[ \t]*((?:.*)(?:\r\n[ \t].*)*)`).FindSubmatch(head)
	if m == nil {
		return ""
	}
	return strings.TrimSpace(string(m[1]))
}

// traced checks what every outbound message carries, and returns its row.
func traced(t *testing.T, g *gateway, body []byte, account string) sent.Row {
	t.Helper()
	token := field(body, "X-Postern-Trace")
	if !strings.HasPrefix(token, "v1.") || field(body, "CFBL-Address") != "abuse@example.com; report=arf" || field(body, "CFBL-Feedback-ID") != strings.Replace(token, ".", ":", 1) {
		t.Fatalf("the trace of\n%s", body)
	}
	resolver, err := dns.New(dns.Config{Servers: []string{g.DNS.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	defer resolver.Close()
	all, err := dkim.VerifyWithOptions(bytes.NewReader(body), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) { return resolver.TXT(dns.Fresh(t.Context()), name) }})
	if err != nil {
		t.Fatal(err)
	}
	var domains []string
	for _, v := range all {
		if v.Err != nil || !slices.Contains(v.HeaderKeys, "X-Postern-Trace") || !slices.Contains(v.HeaderKeys, "CFBL-Address") {
			t.Errorf("%s: %v, h=%v", v.Domain, v.Err, v.HeaderKeys)
		}
		domains = append(domains, v.Domain)
	}
	if !slices.Equal(domains, []string{"example.com", "gw.example"}) {
		t.Errorf("signed by %v", domains)
	}
	got := runJSON[told](t, g, 0, "trace", "--json", "--token", token)
	if got.Account != account || got.Row == nil || got.Problem != "" || got.Row.Account != account {
		t.Fatalf("the token says %+v", got)
	}
	return *got.Row
}

// signing is outgoing whose gateway signs for itself as well.
func signing(t *testing.T) (*gateway, func(n int) []byte, func(n int) []byte) {
	t.Helper()
	g, egress, mx := outgoingWith(t, "abuse: {trace: {sign_as: gw.example}}\n")
	published(t, g, "example.com")
	published(t, g, "gw.example")
	return g, func(n int) []byte { return egress.WaitTransactions(t, n)[n-1].Body }, func(n int) []byte { return mx.WaitTransactions(t, n)[n-1].Body }
}

// bounceOf is a delivery report about a message.
func bounceOf(original []byte, to string) string {
	head, _, _ := bytes.Cut(original, []byte("\r\n\r\n"))
	return "From: MAILER-DAEMON@far.example\r\nTo: ada@example.com\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\nDate: " + time.Now().Format(time.RFC1123Z) +
		"\r\nMessage-ID: <b" + fmt.Sprint(time.Now().UnixNano()) + "@far.example>\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n" +
		"--b\r\nContent-Type: text/plain\r\n\r\nIt could not be delivered.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mail.far.example\r\n\r\n" +
		"Final-Recipient: rfc822; " + to + "\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n" + string(head) + "\r\n--b--\r\n"
}

func TestOutboundMailIsTraced(t *testing.T) {
	t.Parallel()
	g, out, _ := signing(t)
	c := dial(t, g.Addrs["submission"])
	if code, text := c.logIn("ada@example.com", "ada-pw"); code != 235 {
		t.Fatalf("%d %s", code, text)
	}
	const forged = "X-Postern-Trace: v1.forged\r\nCFBL-Address: x@far.example\r\nFrom: Ada <ada@example.com>\r\nTo: x@far.example\r\nSubject: Out\r\nMessage-ID: <one@example.com>\r\n\r\nhello there, all of you\r\n"
	if code, text := c.transaction("ada@example.com", []string{"x@far.example", "y@far.example"}, forged); code != 250 {
		t.Fatalf("%d %s", code, text)
	}
	row := traced(t, g, out(1), "ada@example.com")
	if bytes.Contains(out(1), []byte("forged")) || row.Login != "ada@example.com" || row.MessageID != "one@example.com" || row.BodyHash == "" || row.Fuzzy == "" || !row.Client.IsValid() || row.Client.Port() == 0 || len(row.Copies) != 2 {
		t.Errorf("%+v", row)
	}
	if want := "bh=" + row.BodyHash; !bytes.Contains(out(1), []byte(want)) {
		t.Errorf("no signature has %s", want)
	}

	s := dialProxied(t, g.Addrs["servers"], "127.0.0.5")
	s.must(250, "EHLO server.example.com")
	if code, text := s.transaction("ada@example.com", []string{"z@far.example"}, "X-Account: ada@example.com\r\n"+forged); code != 250 {
		t.Fatalf("%d %s", code, text)
	}
	row = traced(t, g, out(2), "ada@example.com")
	if row.Login != "" || row.Listener != "servers" {
		t.Errorf("%+v", row)
	}

	mx := dial(t, g.Addrs["mx"])
	mx.must(250, "EHLO mail.far.example")
	if code, text := mx.transaction("", []string{"ada@example.com"}, bounceOf(out(1), "Y@far.example")); code != 250 {
		t.Fatalf("%d %s", code, text)
	}
	waitFor(t, "the report completes the row", func() bool {
		row = *runJSON[told](t, g, 0, "trace", "--json", "--token", field(out(1), "X-Postern-Trace")).Row
		return row.Copies[1].Bounced == "5.1.1"
	})
	if row.Copies[0].Bounced != "" || row.Copies[0].State != sent.Delivered {
		t.Errorf("%+v", row.Copies)
	}
	if got := symbols(t, g, "Undelivered"); slices.Contains(got, "BACKSCATTER") {
		t.Errorf("a report about mail of ours: %v", got)
	}
	stranger := []byte("From: ada@example.com\r\nTo: y@far.example\r\nMessage-ID: <never@example.com>\r\nDate: " + time.Now().Add(time.Second).Format(time.RFC1123Z) + "\r\nSubject: pills\r\n\r\n")
	if code, text := mx.transaction("", []string{"ada@example.com"}, strings.Replace(bounceOf(stranger, "y@far.example"), "Undelivered", "Forged report", 1)); code/100 > 5 {
		t.Fatalf("%d %s", code, text)
	}
	waitFor(t, "backscatter is seen", func() bool { return slices.Contains(symbols(t, g, "Forged"), "BACKSCATTER") })
	g.run(t, 1, "trace", "--token", "v1."+strings.Repeat("A", 99))
}

// symbols are those of the newest message with a word in its subject.
func symbols(t *testing.T, g *gateway, word string) []string {
	t.Helper()
	page := runJSON[record.Page](t, g, 0, "trace", "--json", "--subject", word)
	if len(page.Rows) == 0 {
		return nil
	}
	return page.Rows[0].Symbols
}

// waitFor waits for what happens after an answer.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// Killed when the next server has the message and has not answered yet: the row is there.
func TestRowIsThereBeforeTheHandOver(t *testing.T) {
	t.Parallel()
	g, egress, _ := outgoingWith(t, "")
	c := dialProxied(t, g.Addrs["servers"], "127.0.0.5")
	c.must(250, "EHLO server.example.com")
	arrived := make(chan []byte, 1)
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	egress.Change(func(s *mailtest.Script) {
		s.Done = func(tx mailtest.Transaction) { // before the answer
			arrived <- tx.Body
			<-never
		}
	})
	c.must(250, "MAIL FROM:<ada@example.com>")
	c.must(250, "RCPT TO:<x@far.example>")
	c.must(354, "DATA")
	c.send("X-Account: ada@example.com\r\nFrom: ada@example.com\r\nMessage-ID: <held@example.com>\r\n\r\nhello\r\n.\r\n")
	body := <-arrived
	g.Kill()
	g.Start()
	g.Ready()
	got := runJSON[told](t, g, 0, "trace", "--json", "--token", field(body, "X-Postern-Trace"))
	if got.Account != "ada@example.com" || got.Row.Copies[0].State != sent.Handing || got.Row.MessageID != "held@example.com" {
		t.Errorf("%+v", got)
	}
}
