// Package desk uses the desk as people do: the real program, a real browser.
package desk

import (
	"fmt"
	"net/smtp"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"postern/cmd/postern/access"
	"postern/internal/control"
	"postern/internal/mailtest"
	"postern/internal/people"
	"postern/test/world"
)

const yaml = `hostname: mx1.example.com
state: DIR/state
listeners:
  - {name: mx, kind: inbound, addr: "127.0.0.1:0"}
backends:
  mail: [{addr: %q, tls: none}]
routes:
  example.com: {backend: mail, recipients: any}
dns: {servers: [%q]}
rules: {dir: DIR/rules.d}
admin: {addr: "127.0.0.1:0"}
desk: {addr: "127.0.0.1:0"}
`

const rules = `patterns:
  - id: HOLD_THIS
    describe: The subject asks to be held
    in: subject
    match: 'please hold'
    action: quarantine
    tests: {hit: ["please hold this"], miss: ["hello"]}
`

// node is a gateway with people and held mail.
type node struct {
	*world.Gateway
	t       *testing.T
	backend *mailtest.Backend
	control *control.Client
}

// start starts one; desk, if given, stands in place of the listener's line.
func start(t *testing.T, desk ...string) *node {
	t.Helper()
	text := yaml
	if len(desk) > 0 {
		text = strings.Replace(yaml, "desk: {addr: \"127.0.0.1:0\"}\n", desk[0], 1)
	}
	dns := mailtest.NewDNS(t, mailtest.Zone{"friend.example": {"MX 10 mail.friend.example"}, "mail.friend.example": {"A 127.0.0.1"}})
	n := &node{t: t, backend: mailtest.NewBackend(t, mailtest.Script{})}
	n.Gateway = world.NewGateway(t, fmt.Sprintf(text, n.backend.Addr(), dns.Addr()))
	t.Cleanup(func() {
		if log := n.Log(); t.Failed() {
			t.Logf("the end of its log:\n%s", log[max(0, len(log)-3000):])
		}
	})
	n.WriteFile("rules.d/own.yaml", rules)
	n.Start()
	n.Ready()
	n.control = dial(t, filepath.Join(n.Dir, "state", "postern.sock"))
	return n
}

func dial(t *testing.T, path string) *control.Client {
	t.Helper()
	c, err := control.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

const password = "correct horse battery"

func (n *node) user(name string, role people.Role, more ...func(*access.NewUser)) {
	n.t.Helper()
	u := access.NewUser{Name: name, Role: role, Password: password}
	for _, m := range more {
		m(&u)
	}
	if err := n.control.Call(n.t.Context(), "user.add", u, nil); err != nil {
		n.t.Fatal(err)
	}
}

// send sends a message of a stranger.
func (n *node) send(to, subject, body string) {
	n.t.Helper()
	raw := fmt.Sprintf("From: Frank <frank@friend.example>\r\nTo: <%s>\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%d@friend.example>\r\nMIME-Version: 1.0\r\n%s\r\n",
		to, subject, time.Now().Format(time.RFC1123Z), time.Now().UnixNano(), body)
	if err := smtp.SendMail(n.Addrs["mx"], nil, "frank@friend.example", []string{to}, []byte(raw)); err != nil {
		n.t.Fatal(err)
	}
}

func TestHeldMail(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.user("olga", people.Postmaster)
	n.send("ada@example.com", "Offer one please hold", "Content-Type: text/plain\r\n\r\nBuy now.")
	n.send("ada@example.com", "<script>alert(1)</script> please hold", "Content-Type: text/html\r\n\r\n<p onclick=alert(1)>Hello <b>you</b><img src=http://127.0.0.1:1/x.png><script>alert(1)</script>")
	for i := range 5 {
		n.send("bob@example.com", fmt.Sprintf("Number %d please hold", i), "Content-Type: text/plain\r\n\r\nA letter.")
	}
	b := n.browse("en")
	for _, lang := range []string{"en", "zh-CN", "ru", "el"} {
		if lang != "en" {
			b = n.browse(lang)
		}
		b.do(navigate(b.base+"/"), visible("#password"))
		b.picture(lang + "-sign-in")
		b.signIn("olga")
		b.picture(lang + "-list")
		if got := b.ask("document.documentElement.lang"); got != lang {
			t.Errorf("a browser of %s reads %s", lang, got)
		}
		b.do(navigate(b.base+"/held?q=script"), click("a[data-open]"), visible(".tabs"))
		b.picture(lang + "-message")
		b.do(click(".tabs a:nth-child(2)"), visible("iframe"))
		b.picture(lang + "-html")
	}
	// The second and the third message, by keys alone.
	b.do(navigate(b.base+"/held"), visible("tr[data-row]"))
	b.do(chromedp.KeyEvent("j"), chromedp.KeyEvent("j"), chromedp.KeyEvent("x"), chromedp.KeyEvent("j"), chromedp.KeyEvent("x"), chromedp.KeyEvent("r"), visible("#note"))
	b.picture("release")
	b.do(keys("#note", "known"), click("main button.main"))
	got := n.backend.WaitTransactions(t, 2)
	b.finds("/held?q=state:released", ".tag.good")
	b.picture("released")
	if len(got) != 2 {
		t.Fatalf("%d messages reached the backend, not the two that were picked", len(got))
	}
	for _, m := range got {
		if raw := string(m.Body); !strings.Contains(raw, "Subject: Number 3 ") && !strings.Contains(raw, "Subject: Number 2 ") {
			t.Errorf("released: %s", raw)
		}
	}
}
