package e2e

import (
	"bytes"
	"fmt"
	"net/mail"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/mailtest"
	"postern/test/world"
)

// arrived waits for the only mail of a mailbox.
func arrived(t *testing.T, p *world.Postfix, mailbox string) string {
	t.Helper()
	world.Await(t, "mail for "+mailbox, 20*time.Second, func() bool { return len(p.Mails(mailbox)) > 0 })
	all := p.Mails(mailbox)
	if len(all) != 1 {
		t.Fatalf("%d mails for %s", len(all), mailbox)
	}
	return string(all[0])
}

// fieldNames are the names of the header fields of a message, in order.
func fieldNames(raw string) []string {
	head, _, _ := strings.Cut(raw, "\r\n\r\n")
	var names []string
	for line := range strings.SplitSeq(head, "\r\n") {
		if name, _, ok := strings.Cut(line, ":"); ok && line[0] != ' ' && line[0] != '\t' {
			names = append(names, name)
		}
	}
	return names
}

func TestMailGoesThroughUnchanged(t *testing.T) {
	t.Parallel()
	p := world.StartPostfix(t, []string{"ada@example.com"})
	g := start(t, plan{Backend: p.Addr, Recipients: "verify", MX: ", framing: refuse"})
	raw := letter("Greetings", "one\r\n.\r\n..two dots\r\n\tTab and  blanks   \r\n\r\nlast line with an ä")
	text := g.mustDeliver(t, 250, "ada@example.com", raw)
	if !strings.Contains(text, "queued as") {
		t.Errorf("the answer is not that of Postfix: %s", text)
	}
	got := arrived(t, p, "ada@example.com")
	if !strings.HasSuffix(got, raw) {
		t.Fatalf("the message is not what was sent:\n%s", got)
	}
	block := fieldNames(got[:len(got)-len(raw)] + "\r\n")
	want := []string{"Return-Path", "X-Original-To", "Delivered-To", "Received", "Received", "Authentication-Results",
		"X-Postern-Verdict", "X-Postern-Reasons", "X-Postern-Unchecked", "X-Spam-Flag", "X-Spam-Score"}
	slices.Sort(block)
	slices.Sort(want)
	block = slices.DeleteFunc(block, func(s string) bool { return s == "X-Original-To" })
	want = slices.DeleteFunc(want, func(s string) bool { return s == "X-Original-To" })
	if !slices.Equal(block, want) {
		t.Errorf("before the message stand %q, want %q", block, want)
	}
}

func TestOurHeadersAreAsAgreed(t *testing.T) {
	t.Parallel()
	p := world.StartPostfix(t, []string{"ada@example.com"})
	g := start(t, plan{Backend: p.Addr})
	g.mustDeliver(t, 250, "ada@example.com", letter("Greetings", "hello"))
	m, err := mail.ReadMessage(strings.NewReader(arrived(t, p, "ada@example.com")))
	if err != nil {
		t.Fatal(err)
	}
	for name, pattern := range map[string]string{
		"X-Postern-Verdict":      `^accept; score=-?\d+\.\d\d; policy=default; id=[0-9a-hjkmnp-tv-z]{26}; rules=\S+; av="?[^;]+"?$`,
		"X-Postern-Reasons":      `^[A-Z0-9_]+ [+-]\d+\.\d\d [^;]+(; [A-Z0-9_]+ [+-]\d+\.\d\d [^;]+)*$`,
		"X-Postern-Unchecked":    `^none$`,
		"X-Spam-Flag":            `^NO$`,
		"X-Spam-Score":           `^-?\d+\.\d\d$`,
		"Authentication-Results": `^mx1\.example\.com;.*spf=pass.*`,
	} {
		got := m.Header[name]
		if len(got) != 1 || !regexp.MustCompile(pattern).MatchString(got[0]) {
			t.Errorf("%s is %q, want once %s", name, got, pattern)
		}
	}
	received := m.Header["Received"]
	if len(received) != 2 || !strings.Contains(received[1], "from mail.friend.example (mail.friend.example [192.0.2.10])") || !strings.Contains(received[1], "by mx1.example.com") {
		t.Errorf("our Received is %q", received)
	}
	sum := regexp.MustCompile(` ([+-]\d+)\.(\d\d) `)
	total := 0
	for _, hit := range sum.FindAllStringSubmatch(m.Header.Get("X-Postern-Reasons"), -1) {
		var n int
		fmt.Sscanf(hit[1]+hit[2], "%d", &n)
		total += n
	}
	if want := fmt.Sprintf("%d.%02d", total/100, total%100); m.Header.Get("X-Spam-Score") != want {
		t.Errorf("score %s, the reasons add up to %s", m.Header.Get("X-Spam-Score"), want)
	}
}

func TestForgedCopiesAreRemoved(t *testing.T) {
	t.Parallel()
	p := world.StartPostfix(t, []string{"ada@example.com"})
	g := start(t, plan{Backend: p.Addr})
	forged := "X-Postern-Verdict: accept; score=-100\r\nx-postern-REASONS: none\r\n\tfolded\r\nX-Postern-Unchecked : none\r\nX-Spam-Flag: NO\r\nX-Spam-Score: -9\r\nAuthentication-Results: mx1.example.com;\r\n dkim=pass header.d=bank.example\r\n"
	kept := "Authentication-Results: elsewhere.example; spf=fail\r\nX-Spam-Status: No\r\nX-Postern-Other: stays\r\n"
	raw := letter("Forged", "hello")
	g.mustDeliver(t, 250, "ada@example.com", forged+kept+raw)
	got := arrived(t, p, "ada@example.com")
	if !strings.HasSuffix(got, "\r\n"+kept+raw) {
		t.Errorf("not what was sent without the forged fields:\n%s", got)
	}
	for _, bad := range []string{"score=-100", "bank.example", "folded", "Score: -9"} {
		if strings.Contains(got, bad) {
			t.Errorf("%q passed", bad)
		}
	}
}

func TestCertificateIsReloadedWhileServing(t *testing.T) {
	t.Parallel()
	g, b := startBefore(t, mailtest.Script{}, plan{})
	open := dial(t, g.Addrs["mx"])
	open.must(250, "EHLO tests.example")
	first := open.startTLS()
	fresh := g.newCertificate()
	second := dial(t, g.Addrs["mx"])
	second.must(250, "EHLO tests.example")
	serial := second.startTLS()
	if want := fresh.Leaf.SerialNumber.String(); serial != want || serial == first {
		t.Errorf("serial %s, want the new one %s", serial, want)
	}
	open.must(250, "EHLO tests.example")
	if code, text := open.transaction("frank@friend.example", []string{"ada@example.com"}, letter("Old session", "x")); code != 250 {
		t.Errorf("the open session: %d %s", code, text)
	}
	g.WriteFile("cert.pem", "no certificate")
	third := dial(t, g.Addrs["mx"])
	third.must(250, "EHLO tests.example")
	if got := third.startTLS(); got != serial {
		t.Errorf("serial %s after a broken file, want still %s", got, serial)
	}
	g.awaitLog(t, "certificate", "listener mx", "cannot be used")
	b.WaitTransactions(t, 1)
}

func TestExtensionsAreThoseOfTheBackend(t *testing.T) {
	t.Parallel()
	p := world.StartPostfix(t, []string{"ada@example.com"}, "smtputf8_enable = no")
	g := start(t, plan{Backend: p.Addr})
	c := dial(t, g.Addrs["mx"])
	offer := c.must(250, "EHLO tests.example")
	if strings.Contains(offer, "SMTPUTF8") || !strings.Contains(offer, "8BITMIME") {
		t.Errorf("Postfix without SMTPUTF8, we offer %q", offer)
	}
	for _, word := range []string{"PIPELINING", "ENHANCEDSTATUSCODES", "SIZE ", "STARTTLS"} {
		if !strings.Contains(offer, word) {
			t.Errorf("%s is missing from %q", word, offer)
		}
	}
	if code, text := c.say("MAIL FROM:<jörg@friend.example> SMTPUTF8"); code < 500 {
		t.Errorf("SMTPUTF8 is taken though it is not offered: %d %s", code, text)
	}
}

func TestInternationalMailGoesThrough(t *testing.T) {
	t.Parallel()
	p := world.StartPostfix(t, []string{"ada@example.com"}, "smtputf8_enable = yes")
	g := start(t, plan{Backend: p.Addr})
	c := dial(t, g.Addrs["mx"])
	if offer := c.comesFrom(friendIP); !strings.Contains(offer, "SMTPUTF8") {
		t.Fatalf("not offered: %q", offer)
	}
	c.must(250, "MAIL FROM:<jörg@friend.example> SMTPUTF8 BODY=8BITMIME")
	c.must(250, "RCPT TO:<ada@example.com>")
	c.must(354, "DATA")
	raw := letter("Grüße", "Schöne Grüße")
	if code, text := c.body(raw); code != 250 {
		t.Fatalf("%d %s", code, text)
	}
	got := arrived(t, p, "ada@example.com")
	if !strings.HasSuffix(got, raw) || !strings.Contains(got, "Return-Path: <jörg@friend.example>") || !strings.Contains(got, "UTF8SMTP") {
		t.Errorf("arrived as\n%s", got)
	}
}

func TestUnknownRecipientIsRefusedByProbe(t *testing.T) {
	t.Parallel()
	p := world.StartPostfix(t, []string{"ada@example.com"})
	g := start(t, plan{Backend: p.Addr, Recipients: "verify"})
	text := g.mustDeliver(t, 550, "nobody@example.com", letter("x", "x"))
	if !strings.HasPrefix(text, "5.1.1 ") || !strings.Contains(text, "ref ") {
		t.Errorf("answer %q", text)
	}
	g.mustDeliver(t, 550, "ada@elsewhere.example", letter("x", "x"))
	g.mustDeliver(t, 250, "ada@example.com", letter("x", "x"))
	arrived(t, p, "ada@example.com")
}

func TestManyProbesDoNotAnnoyPostfix(t *testing.T) {
	t.Parallel()
	var boxes []string
	for i := range 60 {
		boxes = append(boxes, fmt.Sprintf("user%d@example.com", i))
	}
	p := world.StartPostfix(t, boxes)
	g := start(t, plan{Backend: p.Addr, Recipients: "verify", More: "limits: {errors: 1000}\n"})
	c := dial(t, g.Addrs["mx"])
	c.comesFrom(friendIP)
	c.must(250, "MAIL FROM:<frank@friend.example>")
	for i := range 60 {
		c.must(250, "RCPT TO:<"+boxes[i]+">")
		if i < 30 {
			c.must(550, fmt.Sprintf("RCPT TO:<nobody%d@example.com>", i))
		}
	}
	c.must(250, "RSET")
	log := p.Log()
	for _, bad := range []string{"too many errors", "improper command pipelining", "lost connection after RCPT", "lost connection after RSET"} {
		if strings.Contains(log, bad) {
			t.Errorf("Postfix logs %q", bad)
		}
	}
	if n := strings.Count(log, "disconnect from"); n == 0 {
		t.Error("no probe connection was renewed")
	}
}

func TestXclientTellsPostfixTheRealClient(t *testing.T) {
	t.Parallel()
	p := world.StartPostfix(t, []string{"ada@example.com"}, "smtpd_authorized_xclient_hosts = 127.0.0.1")
	g := start(t, plan{Backend: p.Addr, XClient: true, Recipients: "verify"})
	g.mustDeliver(t, 250, "ada@example.com", letter("x", "x"))
	got := arrived(t, p, "ada@example.com")
	if !regexp.MustCompile(`smtpd\[\d+\]: [0-9A-F]+: client=mail\.friend\.example\[192\.0\.2\.10\]`).MatchString(p.Log()) {
		t.Errorf("the log of Postfix does not name the client:\n%s", p.Log())
	}
	if !strings.Contains(got, "from mail.friend.example (mail.friend.example [192.0.2.10])") {
		t.Errorf("Received of Postfix:\n%s", got)
	}
}

func TestSwaksAsUsersSendMail(t *testing.T) {
	t.Parallel()
	p := world.StartPostfix(t, []string{"ada@example.com"})
	g := start(t, plan{Backend: p.Addr, Recipients: "verify"})
	host, port, _ := strings.Cut(g.Addrs["mx"], ":")
	swaks := func(args ...string) (string, int) {
		cmd := exec.Command("swaks", append([]string{"--server", host, "--port", port, "--from", "frank@friend.example", "--helo", "tests.example"}, args...)...)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
			t.Fatalf("swaks (package swaks): %v", err)
		}
		return out.String(), cmd.ProcessState.ExitCode()
	}
	attached := filepath.Join(g.Dir, "postern.yaml")
	if out, code := swaks("--to", "ada@example.com", "--attach", "@"+attached, "--header", "Subject: with a file"); code != 0 {
		t.Errorf("swaks with a file: exit %d\n%s", code, out)
	}
	arrived(t, p, "ada@example.com")
	if out, code := swaks("--to", "nobody@example.com"); code != 24 || !strings.Contains(out, "550 5.1.1") {
		t.Errorf("unknown recipient: exit %d\n%s", code, out)
	}
	if out, code := swaks("--to", "x@elsewhere.example"); code != 24 || !strings.Contains(out, "550 5.7.1") {
		t.Errorf("open relay? exit %d\n%s", code, out)
	}
}

func TestOverQuotaBesideDelivered(t *testing.T) {
	t.Parallel()
	d := world.StartDovecot(t)
	g := start(t, plan{Backend: d.Addr, LMTP: true, Recipients: "verify"})
	raw := letter("For two", "hello")
	g.mustDeliver(t, 250, "ada@example.com,full@example.com", raw)
	if all := d.Mails("ada@example.com"); len(all) != 1 || !strings.HasSuffix(string(all[0]), raw) {
		t.Errorf("%d mails for ada", len(all))
	}
	held := holds(t, g, "class:backend-refused")
	if len(held) != 1 || !slices.Equal(held[0].To, []string{"full@example.com"}) || !strings.HasPrefix(held[0].Reply, "552") {
		t.Errorf("holds %+v", held)
	}
	if all := d.Mails("full@example.com"); len(all) != 0 {
		t.Errorf("%d mails for full", len(all))
	}
	if all := outboxOf(t, g); len(all) != 0 {
		t.Errorf("outbox %+v", all)
	}
	g.awaitLog(t, `"msg":"alert"`, "refused")
	text := g.mustDeliver(t, 552, "full@example.com", letter("For one", "hello"))
	if !strings.Contains(text, "quota") && !strings.Contains(text, "Quota") {
		t.Errorf("alone: %s", text)
	}
	if all := holds(t, g, ""); len(all) != 1 {
		t.Errorf("%d holds after a refusal for all", len(all))
	}
}

// Who has read our answer and sends the same bytes again means it.
func TestSameMailSentTwiceArrivesTwice(t *testing.T) {
	t.Parallel()
	g, b := startBefore(t, mailtest.Script{}, plan{})
	raw := letter("Again", "the same")
	g.mustDeliver(t, 250, "ada@example.com", raw)
	g.mustDeliver(t, 250, "ada@example.com", raw)
	if n := len(b.WaitTransactions(t, 2)); n != 2 {
		t.Errorf("%d messages behind", n)
	}
}
