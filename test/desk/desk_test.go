// Package desk uses the desk as people do: the real program, a real browser.
package desk

import (
	"context"
	"fmt"
	"net/smtp"
	"os"
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

// browser is a browser of somebody's own.
type browser struct {
	context.Context
	t    *testing.T
	base string
	name string
	n    int
}

// browse starts a browser for a reader of a language.
func (n *node) browse(language string) *browser {
	n.t.Helper()
	return open(n.t, "http://"+n.Addrs["desk"], language)
}

// open starts a browser on a desk.
func open(t *testing.T, base, language string) *browser {
	t.Helper()
	bin := world.Need(t, "chromium", "/usr/bin/chromium")
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(bin), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("lang", language),
		chromedp.Flag("accept-lang", language), chromedp.Flag("disable-quic", true), chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 800))
	alloc, stop := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(alloc)
	t.Cleanup(end)
	if _, err := chromedp.Run(ctx, chromedp.Title()); err != nil { // starts it, without an end
		t.Fatal(err)
	}
	ctx, over := context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(over)
	return &browser{Context: ctx, t: t, base: base, name: strings.ReplaceAll(t.Name(), "/", "-")}
}

// do acts on the page, once its scripts are there.
func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	b.loaded()
	if err := chromedp.Do(b, actions...); err != nil {
		b.picture("failed")
		b.t.Fatal(err)
	}
}

// picture keeps what the browser shows, in the folder SCREENS or that of the test.
func (b *browser) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("SCREENS")
	if dir == "" {
		dir = b.t.ArtifactDir()
	}
	png, err := chromedp.Run(b, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Error(err)
		return
	}
	b.n++
	if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%02d-%s.png", b.name, b.n, name)), png, 0o600); err != nil {
		b.t.Error(err)
	}
}

func (b *browser) signIn(name string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.base+"/"), chromedp.WaitVisible("#password"), chromedp.SendKeys("#name", name), chromedp.SendKeys("#password", password+"\n"), chromedp.WaitVisible("header nav"))
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
		b.do(chromedp.Navigate(b.base+"/"), chromedp.WaitVisible("#password"))
		b.picture(lang + "-sign-in")
		b.signIn("olga")
		b.picture(lang + "-list")
		if got, err := chromedp.Run(b, chromedp.Evaluate[string]("document.documentElement.lang")); err != nil || got != lang {
			t.Errorf("a browser of %s reads %s, %v", lang, got, err)
		}
		b.do(chromedp.Navigate(b.base+"/held?q=script"), chromedp.Click("a[data-open]"), chromedp.WaitVisible(".tabs"))
		b.picture(lang + "-message")
		b.do(chromedp.Click(".tabs a:nth-child(2)"), chromedp.WaitVisible("iframe"))
		b.picture(lang + "-html")
	}
	// The second and the third message, by keys alone.
	b.do(chromedp.Navigate(b.base+"/held"), chromedp.WaitVisible("tr[data-row]"))
	b.do(chromedp.KeyEvent("j"), chromedp.KeyEvent("j"), chromedp.KeyEvent("x"), chromedp.KeyEvent("j"), chromedp.KeyEvent("x"), chromedp.KeyEvent("r"), chromedp.WaitVisible("#note"))
	b.picture("release")
	b.do(chromedp.SendKeys("#note", "known"), chromedp.Click("main button.main"))
	got := n.backend.WaitTransactions(t, 2)
	b.do(chromedp.Navigate(b.base+"/held?q=state:released"), chromedp.WaitVisible(".tag.good"))
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
