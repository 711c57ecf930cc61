package e2e

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/listcalls"

	"postern/blocklist"
	"postern/internal/mailtest"
	"postern/test/world"
)

func TestOwnListIsLiveAtOnce(t *testing.T) {
	t.Parallel()
	g, _ := startBefore(t, mailtest.Script{}, plan{})
	c := dial(t, g.Addrs["mx"])
	c.comesFrom(friendIP)
	rcpt := func() int {
		c.must(250, "MAIL FROM:<frank@friend.example>")
		code, _ := c.say("RCPT TO:<ada@example.com>")
		c.must(250, "RSET")
		return code
	}
	for value, of := range map[string]string{
		"friend.example": "frank@friend.example", "frank@friend.example": "frank@friend.example", friendIP: friendIP, "192.0.2.0/24": friendIP,
	} {
		if code := rcpt(); code != 250 {
			t.Fatalf("before %s: %d", value, code)
		}
		e := runJSON[blocklist.Entry](t, g, 0, "blocklist", "add", "--json", "--reason", "for a test", value)
		world.Await(t, value+" is blocked", time.Second, func() bool { return rcpt() == 550 })
		if all := runJSON[listcalls.Entries](t, g, 0, "blocklist", "list", "--json").Entries; len(all) != 1 || all[0].Reason != "for a test" || all[0].Author == "" {
			t.Errorf("list %+v", all)
		}
		if out := g.run(t, 0, "blocklist", "why", of); !strings.Contains(out, "LISTED") || !strings.Contains(out, "for a test") {
			t.Errorf("why %s: %s", of, out)
		}
		if out := g.run(t, 0, "blocklist", "why", value); !strings.Contains(out, "LISTED") {
			t.Errorf("why %s, the entry itself: %s", value, out)
		}
		g.run(t, 0, "blocklist", "remove", e.Key())
		world.Await(t, value+" flows", time.Second, func() bool { return rcpt() == 250 })
		if got := actions(t, g, e.Key()); !slices.Equal(got, []string{"list-add", "list-remove"}) {
			t.Errorf("audit of %s: %q", e.Key(), got)
		}
	}
	if out := g.run(t, 0, "blocklist", "why", "203.0.113.1"); !strings.Contains(out, "not listed") {
		t.Errorf("why of what is not listed: %q", out)
	}
	g.run(t, 2, "blocklist", "why", "not an address at all")
	for _, empty := range [][]string{{"blocklist", "list"}, {"outbox", "list"}, {"account", "list"}} {
		if out := g.run(t, 0, append(empty, "--json")...); strings.TrimSpace(out) != "[]" && !strings.Contains(out, `"entries": []`) {
			t.Errorf("%v with nothing to list: %q", empty, out)
		}
	}
	for _, bad := range []string{"not an address at all", "300.1.1.1/99", ""} {
		g.run(t, 2, "blocklist", "add", "--reason", "x", bad)
	}
	g.run(t, 1, "blocklist", "remove", "block nobody.example all")
}

// outgoing starts a gateway with a submission and a smarthost listener before a scripted
// server with TLS and users. It returns that server.
func outgoing(t *testing.T) (*gateway, *mailtest.Backend) {
	t.Helper()
	g, egress, _ := outgoingWith(t, "")
	return g, egress
}

// outgoingWith is outgoing with more lines of configuration; it returns the server of inbound
// mail too.
func outgoingWith(t *testing.T, more string) (*gateway, *mailtest.Backend, *mailtest.Backend) {
	t.Helper()
	certPEM, _, pair := newCertificate()
	egress := mailtest.NewBackend(t, mailtest.Script{
		Hostname: "localhost", TLS: &tls.Config{Certificates: []tls.Certificate{pair}},
		Users: map[string]string{"ada@example.com": "ada-pw", "bob@example.com": "bob-pw"},
	})
	mx := mailtest.NewBackend(t, mailtest.Script{})
	g := prepare(t, plan{
		Backend: mx.Addr(),
		Listeners: `  - {name: submission, kind: submission, addr: "127.0.0.1:0", tls: {cert: DIR/cert.pem, key: DIR/key.pem}, backend: out}
  - {name: tls, kind: submission, addr: "127.0.0.1:0", tls: {cert: DIR/cert.pem, key: DIR/key.pem, implicit: true}, backend: out}
  - {name: servers, kind: smarthost, addr: "127.0.0.1:0", networks: [127.0.0.0/8], proxy_from: [127.0.0.1], account_header: X-Account, framing: normalize}`,
		Backends: fmt.Sprintf(`  out: [{addr: %q, tls: required, ca: DIR/out.pem, server_name: localhost}]`, egress.Addr()),
		More:     "egress: out\nsenders: {allow: {ada@elsewhere.example: [ada@example.com]}}\n" + more,
	})
	g.WriteFile("out.pem", string(certPEM))
	g.Start()
	g.Ready()
	return g, egress, mx
}

func TestSubmissionGoesOutOnItsOwnLogin(t *testing.T) {
	t.Parallel()
	g, egress := outgoing(t)
	c := dial(t, g.Addrs["submission"])
	if code, text := c.logIn("ada@example.com", "ada-pw"); code != 235 {
		t.Fatalf("%d %s", code, text)
	}
	raw := letterFrom("Ada <ada@example.com>", "Out", "hello")
	if code, text := c.transaction("ada@example.com", []string{"x@far.example"}, raw); code != 250 {
		t.Fatalf("%d %s", code, text)
	}
	tx := egress.WaitTransactions(t, 1)[0]
	if tx.User != "ada@example.com" || !tx.TLS || !strings.HasSuffix(string(tx.Body), raw) {
		t.Errorf("behind: user %q, TLS %v", tx.User, tx.TLS)
	}
	if got := string(tx.Body[:len(tx.Body)-len(raw)]); strings.Contains(got, "X-Postern-V") || strings.Contains(got, "X-Spam") || !strings.Contains(got, "ESMTPSA") {
		t.Errorf("before outbound mail stands %q", got)
	}
	imp, err := tls.Dial("tcp", g.Addrs["tls"], &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	imp.Close()
}

func TestAuthNeedsTLS(t *testing.T) {
	t.Parallel()
	g, egress := outgoing(t)
	c := dial(t, g.Addrs["submission"])
	if offer := c.must(250, "EHLO laptop.example.com"); strings.Contains(offer, "AUTH") {
		t.Errorf("in clear we offer %q", offer)
	}
	if code, _ := c.say("AUTH PLAIN " + plainAuth("ada@example.com", "ada-pw")); code < 500 {
		t.Errorf("AUTH in clear: %d", code)
	}
	if code, _ := c.say("MAIL FROM:<ada@example.com>"); code != 530 {
		t.Errorf("MAIL without a login: %d", code)
	}
	mx := dial(t, g.Addrs["mx"])
	mx.must(250, "EHLO laptop.example.com")
	mx.startTLS()
	if offer := mx.must(250, "EHLO laptop.example.com"); strings.Contains(offer, "AUTH") {
		t.Errorf("the mx offers %q", offer)
	}
	for _, line := range egress.Lines() {
		if strings.HasPrefix(line, "AUTH") {
			t.Errorf("the backend was asked: %s", line)
		}
	}
}

func TestWrongPasswordsAreLimited(t *testing.T) {
	t.Parallel()
	g, egress := outgoing(t)
	for i := range 10 {
		c := dial(t, g.Addrs["submission"])
		if code, text := c.logIn("ada@example.com", "secret-of-ada"); code != 535 {
			t.Fatalf("try %d: %d %s", i, code, text)
		}
		c.conn.Close()
	}
	asked := len(egress.Lines())
	c := dial(t, g.Addrs["submission"])
	if code, _ := c.logIn("ada@example.com", "ada-pw"); code != 454 {
		t.Errorf("after ten: %d", code)
	}
	if n := len(egress.Lines()); n != asked {
		t.Errorf("the backend was asked again: %q", egress.Lines()[asked:])
	}
	for _, secret := range []string{"secret-of-ada", "ada-pw", plainAuth("ada@example.com", "ada-pw")} {
		if strings.Contains(g.Log(), secret) {
			t.Errorf("%s stands in the log", secret)
		}
	}
}

func TestSuspensionStopsAnOpenSession(t *testing.T) {
	t.Parallel()
	g, egress := outgoing(t)
	c := dial(t, g.Addrs["submission"])
	if code, text := c.logIn("ada@example.com", "ada-pw"); code != 235 {
		t.Fatalf("%d %s", code, text)
	}
	if code, text := c.transaction("ada@example.com", []string{"x@far.example"}, letterFrom("Ada <ada@example.com>", "one", "x")); code != 250 {
		t.Fatalf("%d %s", code, text)
	}
	g.run(t, 0, "account", "suspend", "--reason", "sends spam", "ada@example.com")
	if code, text := c.say("MAIL FROM:<ada@example.com>"); code != 550 || !strings.Contains(text, "suspended") {
		t.Errorf("MAIL after the suspension: %d %s", code, text)
	}
	if out := g.run(t, 0, "account", "show", "ada@example.com"); !strings.Contains(out, "suspended") || !strings.Contains(out, "sends spam") {
		t.Errorf("show: %s", out)
	}
	g.run(t, 0, "account", "restore", "--reason", "clean again", "ada@example.com")
	if code, text := c.transaction("ada@example.com", []string{"x@far.example"}, letterFrom("Ada <ada@example.com>", "two", "x")); code != 250 {
		t.Errorf("after restore: %d %s", code, text)
	}
	if n := len(egress.Transactions()); n != 2 {
		t.Errorf("%d messages went out", n)
	}
	if out := g.run(t, 0, "audit", "list"); !strings.Contains(out, "sends spam") || !strings.Contains(out, "clean again") {
		t.Errorf("audit:\n%s", out)
	}
	g.run(t, 2, "account", "suspend", "ada@example.com")
}

func TestSuspensionDuringDataIsSeen(t *testing.T) {
	t.Parallel()
	g, egress := outgoing(t)
	c := dial(t, g.Addrs["submission"])
	if code, text := c.logIn("bob@example.com", "bob-pw"); code != 235 {
		t.Fatalf("%d %s", code, text)
	}
	c.must(250, "MAIL FROM:<bob@example.com>")
	c.must(250, "RCPT TO:<x@far.example>")
	c.must(354, "DATA")
	g.run(t, 0, "account", "suspend", "--reason", "now", "bob@example.com")
	if code, text := c.body(letterFrom("Ada <ada@example.com>", "late", "x")); code != 550 {
		t.Errorf("%d %s", code, text)
	}
	for _, tx := range egress.Transactions() {
		if tx.Complete {
			t.Error("it went out")
		}
	}
}

func TestSmarthostTakesOnlyItsNetworks(t *testing.T) {
	t.Parallel()
	g, egress := outgoing(t)
	from := func(ip string) *client {
		c := dialProxied(t, g.Addrs["servers"], ip)
		c.must(250, "EHLO server.example.com")
		return c
	}
	raw := "X-Account: carol\r\n" + letter("From a server", "x")
	if code, text := from("127.0.0.9").transaction("carol@example.com", []string{"x@far.example"}, raw); code != 250 {
		t.Errorf("a listed network: %d %s", code, text)
	}
	if code, text := from("203.0.113.5").say("MAIL FROM:<carol@example.com>"); code != 550 {
		t.Errorf("an unlisted network: %d %s", code, text)
	}
	if n := len(egress.WaitTransactions(t, 1)); n != 1 {
		t.Errorf("%d messages went out", n)
	}
	g.awaitLog(t, `"msg":"message"`, `"account":"carol"`)
	g.run(t, 0, "account", "suspend", "--reason", "x", "carol")
	if code, _ := from("127.0.0.9").transaction("carol@example.com", []string{"x@far.example"}, raw); code != 550 {
		t.Errorf("suspended account of a server: %d", code)
	}
}
