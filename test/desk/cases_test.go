package desk

import (
	"bytes"
	"fmt"
	"net/smtp"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse/cases"
	"postern/cmd/postern/casecalls"
	"postern/internal/mailtest"
	"postern/internal/people"
	"postern/test/world"
)

const casesYAML = `hostname: mx1.example.com
state: DIR/state
listeners:
  - {name: mx, kind: inbound, addr: "127.0.0.1:0"}
  - {name: servers, kind: smarthost, addr: "127.0.0.1:0", networks: [127.0.0.0/8], account_header: X-Account}
backends:
  mail: [{addr: %q, tls: none}]
  out: [{addr: %q, tls: none}]
routes:
  example.com: {backend: mail, recipients: any}
egress: out
dns: {servers: [%q]}
rules: {dir: DIR/rules.d}
admin: {addr: "127.0.0.1:0"}
desk: {addr: "127.0.0.1:0"}
`

// office is a node whose accounts send, and a stranger whose mail is proved.
type office struct {
	*node
	dns  *mailtest.DNS
	out  *mailtest.Backend
	sign func(string) string
}

// newOffice starts one, with more lines of configuration where they are given.
func newOffice(t *testing.T, more ...string) *office {
	t.Helper()
	return prepareOffice(t, func(_ *office, text string) string { return text + strings.Join(more, "") })
}

// prepareOffice starts one with what edit makes of its configuration; it may write files for it.
func prepareOffice(t *testing.T, edit func(o *office, text string) string) *office {
	t.Helper()
	dns := mailtest.NewDNS(t, mailtest.Zone{
		"example.com": {"MX 10 mx1.example.com", "A 127.0.0.1"}, "mx1.example.com": {"A 127.0.0.1"},
		"isp.example": {"MX 10 mail.isp.example", "TXT v=spf1 ip4:127.0.0.1 -all"}, "mail.isp.example": {"A 127.0.0.1"},
	})
	dns.SetTTL(0)
	n := &node{t: t, backend: mailtest.NewBackend(t, mailtest.Script{})}
	o := &office{node: n, dns: dns, out: mailtest.NewBackend(t, mailtest.Script{})}
	text := fmt.Sprintf(casesYAML, n.backend.Addr(), o.out.Addr(), dns.Addr())
	n.Gateway = world.NewGateway(t, text)
	n.Write(edit(o, text))
	t.Cleanup(func() {
		if log := n.Log(); t.Failed() {
			t.Logf("the end of its log:\n%s", log[max(0, len(log)-3000):])
		}
	})
	n.WriteFile("rules.d/own.yaml", rules)
	n.Start()
	n.Ready()
	n.control = dial(t, filepath.Join(n.Dir, "state", "postern.sock"))
	o.sign = world.Signs(t, dns, "isp.example")
	var made struct{ Record struct{ Name, Text string } }
	o.call("dkim.add", map[string]string{"domain": "example.com", "selector": "one"}, &made)
	if err := dns.Set(made.Record.Name, "TXT "+made.Record.Text); err != nil {
		t.Fatal(err)
	}
	o.call("dkim.dns", map[string]string{"domain": "example.com"}, nil)
	return o
}

func (o *office) call(name string, params, result any) {
	o.t.Helper()
	if err := o.control.Call(o.t.Context(), name, params, result); err != nil {
		o.t.Fatalf("%s: %v", name, err)
	}
}

// sells lets Anna write to somebody elsewhere, and returns what arrived there.
func (o *office) sells(to ...string) []byte {
	o.t.Helper()
	return o.sellsAs("anna@example.com", to...)
}

// sellsAs is sells for another account.
func (o *office) sellsAs(account string, to ...string) []byte {
	o.t.Helper()
	before := len(o.out.Transactions())
	raw := fmt.Sprintf("X-Account: %[1]s\r\nFrom: Anna <%[1]s>\r\nTo: <%[2]s>\r\nSubject: Our catalogue\r\nDate: %[3]s\r\nMessage-ID: <c%[4]d@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"+
		"Dear customer, our new catalogue of garden chairs, parasols and lamps is out. Visit http://shop.example/spring and save a quarter of the price.\r\n", account, to[0], time.Now().Format(time.RFC1123Z), time.Now().UnixNano())
	if err := smtp.SendMail(o.Addrs["servers"], nil, account, to, []byte(raw)); err != nil {
		o.t.Fatal(err)
	}
	body := o.out.WaitTransactions(o.t, before+1)[before].Body
	return body[max(0, bytes.Index(body, []byte("DKIM-Signature"))):]
}

// complains hands in a signed report of a stranger.
func (o *office) complains(from, subject string, original []byte, fields ...string) {
	o.t.Helper()
	raw := o.sign(world.ARF(time.Now(), from, subject, original, fields...))
	if err := smtp.SendMail(o.Addrs["mx"], nil, from, []string{"abuse@example.com"}, []byte(raw)); err != nil {
		o.t.Fatal(err)
	}
}

// counted are the cases whose reports are counted, the youngest first: a case is there for a
// moment before its first report is.
func (o *office) counted() []cases.Case {
	o.t.Helper()
	var p casecalls.Page
	o.call("case.list", map[string]any{"view": "all"}, &p)
	return slices.DeleteFunc(p.Cases, func(c cases.Case) bool { return c.Reports == 0 })
}

// cases waits for a number of cases and returns them, the youngest first.
func (o *office) cases(want int) (ids []string) {
	o.t.Helper()
	var all []cases.Case
	world.Await(o.t, fmt.Sprintf("%d cases", want), patience, func() bool { all = o.counted(); return len(all) >= want })
	for _, c := range all {
		ids = append(ids, c.ID)
	}
	return ids
}

const forged = "Received: from evil.example (evil.example [203.0.113.9]) by mail.isp.example; Sun, 22 Nov 2026 10:00:00 +0000\r\nFrom: \"Bank <script>alert(1)</script>\" <boss@example.com>\r\nTo: rcpt@isp.example\r\n" +
	"Subject: =?utf-8?q?<img_src=3Dx_onerror=3Dalert(1)>_win?=\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <x@evil.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n" +
	"<script>alert(1)</script><p onclick=alert(1)>You win <a href=\"javascript:alert(1)\">here</a> http://127.0.0.1:1/x <img src=http://127.0.0.1:1/y.png>\r\n"

// TestCases works a case whose report is proved, and one whose report is forged.
func TestCases(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.user("olga", people.Lead)
	o.complains("rcpt@isp.example", "phishing <script>alert(2)</script>", []byte(forged))
	o.cases(1)
	copyOf := o.sells("rcpt@isp.example", "other@isp.example", "third@isp.example")
	o.complains("rcpt@isp.example", "spam", copyOf, "Original-Rcpt-To: rcpt@isp.example")
	ids := o.cases(2)
	proven, false0 := ids[0], ids[1]
	for _, lang := range []string{"en", "zh-CN", "ru", "el"} {
		b := o.browse(lang)
		b.signIn("olga")
		b.do(navigate(b.base+"/cases"), visible("tr[data-row]"))
		b.picture(lang + "-queue")
		b.do(navigate(b.base+"/cases/"+proven), visible(".timeline"))
		b.picture(lang + "-case")
		for _, tab := range []string{"evidence", "similar", "letters", "log"} {
			b.do(navigate(b.base+"/cases/"+proven+"?tab="+tab), visible(".tabs"))
			b.picture(lang + "-" + tab)
		}
		b.do(navigate(b.base+"/cases/"+proven+"/measure?level=M3"), visible(".what-if"))
		b.picture(lang + "-measure")
		b.do(navigate(b.base+"/cases/"+false0+"?tab=evidence"), visible(".tabs"))
		b.picture(lang + "-forged")
		for _, path := range []string{"/cases/" + false0, "/cases/" + false0 + "?tab=evidence", "/cases/" + proven + "?tab=evidence", "/cases/" + proven + "?tab=letters"} {
			b.do(navigate(b.base+path), visible(".tabs"))
			if missing := b.ask(`[...document.querySelectorAll("main *")].filter(e => !e.children.length && /^cases\.[a-z]/.test(e.textContent)).map(e => e.textContent).join()`); missing != "" {
				t.Errorf("%s %s lacks texts: %s", lang, path, missing)
			}
			if got := b.ask(`document.querySelectorAll("main script, main img, main [onclick], main iframe").length + [...document.querySelectorAll("main a")].filter(a => !a.href.startsWith(location.origin)).length`); got != "0" {
				t.Errorf("%s %s: a stranger's words are in force: %s", lang, path, got)
			}
		}
	}
	if !strings.HasPrefix(proven, "A-") {
		t.Error(proven)
	}
}
