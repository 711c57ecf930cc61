package desk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	"net/http/cookiejar"
	"net/mail"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/internal/mailtest"
	"postern/test/world"
)

const publicYAML = `hostname: mx1.example.com
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
public: {addr: "127.0.0.1:%d", url: "http://127.0.0.1:%d"}
`

// startPublic is a gateway with public pages in front of a Postfix.
func startPublic(t *testing.T, boxes ...string) (*node, *world.Postfix) {
	t.Helper()
	dns := mailtest.NewDNS(t, mailtest.Zone{"friend.example": {"MX 10 mail.friend.example"}, "mail.friend.example": {"A 127.0.0.1"}})
	behind := world.StartPostfix(t, boxes)
	port := world.FreePort(t)
	n := &node{t: t}
	n.Gateway = world.NewGateway(t, fmt.Sprintf(publicYAML, behind.Addr, dns.Addr(), port, port))
	t.Cleanup(func() {
		if log := n.Log(); t.Failed() {
			t.Logf("the end of its log:\n%s", log[max(0, len(log)-4000):])
		}
	})
	n.WriteFile("rules.d/own.yaml", rules)
	n.Start()
	n.Ready()
	n.control = dial(t, filepath.Join(n.Dir, "state", "postern.sock"))
	return n, behind
}

// letter is a message as its reader has it: the text, and the page.
type letter struct {
	mail.Header
	text, html string
}

func readLetter(t *testing.T, raw []byte) letter {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	l := letter{Header: m.Header}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return l
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
			l.html = string(body)
		} else {
			l.text = string(body)
		}
	}
}

// waitMail waits until a mailbox has n messages and returns them.
func waitMail(t *testing.T, behind *world.Postfix, box string, n int) [][]byte {
	t.Helper()
	var all [][]byte
	world.Await(t, fmt.Sprintf("%d messages for %s", n, box), time.Minute, func() bool { all = behind.Mails(box); return len(all) >= n })
	return all
}

var aLink = regexp.MustCompile(`http://127\.0\.0\.1:\d+/[^\s"<>]+`)

// links are those of a letter that begin with a path.
func (l letter) links(path string) (all []string) {
	for _, u := range aLink.FindAllString(l.text, -1) {
		if strings.Contains(u, path) {
			all = append(all, u)
		}
	}
	return all
}

func (n *node) status(c *http.Client, method, to string, form url.Values) (int, string) {
	n.t.Helper()
	r, err := http.NewRequestWithContext(n.t.Context(), method, to, strings.NewReader(form.Encode()))
	if err != nil {
		n.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := c.Do(r)
	if err != nil {
		n.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// person is somebody with cookies of their own.
func person() *http.Client {
	jar, _ := cookiejar.New(nil) // never fails
	return &http.Client{Jar: jar, Timeout: time.Minute}
}

func (n *node) run(args ...string) string {
	n.t.Helper()
	out, errs, code := n.Run(args...)
	if code != 0 {
		n.t.Fatalf("%v: %d %s", args, code, errs)
	}
	return out
}

// TestDigest: mail is held, a letter tells of it, a scanner follows all of its links and nothing
// happens, its reader does and the message arrives, once.
func TestDigest(t *testing.T) {
	t.Parallel()
	n, behind := startPublic(t, "ada@example.com", "bob@example.com")
	n.send("ada@example.com", "=?utf-8?q?<b>Offer</b>_at_http://evil.example/x_please_hold?=", "Content-Type: text/plain\r\n\r\nThe offer.")
	n.send("bob@example.com", "To Bob please hold", "Content-Type: text/plain\r\n\r\nFor Bob.")
	preview := n.run("digest", "preview", "ada@example.com")
	if !strings.Contains(preview, "Auto-Submitted: auto-generated") || strings.Contains(preview, "To Bob") {
		t.Errorf("preview:\n%s", preview)
	}
	n.run("digest", "send", "ada@example.com")
	l := readLetter(t, waitMail(t, behind, "ada@example.com", 1)[0])
	for _, text := range []string{l.text, l.html} {
		if strings.Contains(text, "http://evil") || strings.Contains(text, "evil.example") || strings.Contains(text, "<b>Offer") && text == l.html || strings.Contains(text, "Bob") {
			t.Errorf("not inert, or of others:\n%s", text)
		}
	}
	if l.Get("Auto-Submitted") != "auto-generated" || l.Get("To") != "<ada@example.com>" {
		t.Errorf("%v", l.Header)
	}
	links := l.links("/d/")
	if len(links) != 4 {
		t.Fatalf("%d links:\n%s", len(links), l.text)
	}
	scanner := person()
	for range 2 {
		for _, u := range aLink.FindAllString(l.html, -1) {
			if code, _ := n.status(scanner, http.MethodGet, strings.ReplaceAll(u, "&amp;", "&"), nil); code != http.StatusOK {
				t.Errorf("a scanner at %s: %d", u, code)
			}
			_, _ = n.status(scanner, http.MethodHead, u, nil)
		}
	}
	if got := n.run("quarantine", "list", "--json"); !strings.Contains(got, `"held"`) || strings.Contains(got, `"released"`) {
		t.Errorf("a scanner changed something: %s", got)
	}
	b := n.browse("en")
	b.do(navigate(links[0]), visible("button.main"))
	b.picture("release")
	b.do(click("button.main"), visible(".said"))
	b.picture("released")
	waitMail(t, behind, "ada@example.com", 2)
	b.do(navigate(links[0]), visible(".said.warn"))
	b.picture("used")
	if code, _ := n.status(person(), http.MethodPost, links[0], url.Values{}); code != http.StatusOK {
		t.Errorf("again: %d", code)
	}
	if got := len(behind.Mails("ada@example.com")); got != 2 {
		t.Errorf("%d messages for ada, not the letter and what it told of", got)
	}
	if out := n.run("digest", "list", "--json"); !strings.Contains(out, `"delivered"`) {
		t.Errorf("the letter is not known as delivered: %s", out)
	}
}
