package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"postern/internal/mailtest"
	"postern/internal/record"
	"postern/test/world"
)

// sending is one thing an account tries: MAIL FROM, From, and the answer.
type sending struct {
	envelope, from string
	code           int
}

// writers starts a gateway whose listeners differ in what accounts may write as.
func writers(t *testing.T) (*gateway, *mailtest.Backend) {
	t.Helper()
	g, egress := outgoing(t)
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	p := g.plan
	for _, mode := range []string{"hosted", "any"} {
		p.Listeners += fmt.Sprintf("\n  - {name: %s, kind: submission, addr: \"127.0.0.1:0\", tls: {cert: DIR/cert.pem, key: DIR/key.pem}, backend: out, senders: %s}", mode, mode)
	}
	p.More = "egress: out\nsenders: {allow: {\"sales@example.com\": [ada@example.com], \"@shop.example\": [bob@example.com]}, file: DIR/senders}\n"
	g.WriteFile("senders", "press@example.com ada@example.com\n")
	g.plan = p
	g.configure(p)
	g.Start()
	g.Ready()
	return g, egress
}

// try sends as an account and holds the answers against what is wanted.
func (g *gateway) try(t *testing.T, listener, account string, all ...sending) {
	t.Helper()
	name, _, _ := strings.Cut(account, "@")
	c := dial(t, g.Addrs[listener])
	if code, text := c.logIn(account, name+"-pw"); code != 235 {
		t.Fatalf("%d %s", code, text)
	}
	for _, s := range all {
		raw := letterFrom(s.from, fmt.Sprintf("%s as %s, %s at %s", account, s.envelope, s.from, listener), "x")
		code, text := c.transaction(s.envelope, []string{"x@far.example"}, raw)
		if code != s.code || code == 550 && !strings.HasPrefix(text, "5.7.1 ") {
			t.Errorf("%s at %s as <%s>, From %s: %d %s", account, listener, s.envelope, s.from, code, text)
		}
		c.must(250, "RSET")
	}
}

// Accounts write as themselves and as what the postmaster granted, on each kind of listener.
func TestAccountsWriteAsWhatIsTheirs(t *testing.T) {
	t.Parallel()
	g, egress := writers(t)
	g.try(t, "submission", "ada@example.com",
		sending{"ada@example.com", "Ada <ada@example.com>", 250},
		sending{"ada+news@example.com", "ada+news@example.com", 250},
		sending{"ADA@Example.COM", "ada@example.com", 250},
		sending{"", "ada@example.com", 250}, // a vacation notice
		sending{"sales@example.com", "Sales <sales@example.com>", 250},
		sending{"press@example.com", "press@example.com", 250},
		sending{"bob@example.com", "ada@example.com", 550},
		sending{"ada@example.com", "Bob <bob@example.com>", 550},
		sending{"ada@example.com", "ada@example.com, bob@example.com", 550},
		sending{"ada@example.com", "ada@example.com <ceo@bank.example>", 550},
		sending{"x@shop.example", "x@shop.example", 550},
	)
	g.try(t, "submission", "bob@example.com",
		sending{"any@shop.example", "Shop <other@shop.example>", 250},
		sending{"x@sub.shop.example", "x@sub.shop.example", 550},
		sending{"sales@example.com", "bob@example.com", 550},
		sending{"press@example.com", "bob@example.com", 550},
	)
	g.try(t, "hosted", "bob@example.com",
		sending{"ceo@example.com", "ceo@example.com", 250},
		sending{"ceo@elsewhere.example", "ceo@example.com", 550},
		sending{"ceo@example.com", "ceo@elsewhere.example", 550},
	)
	g.try(t, "any", "bob@example.com", sending{"ceo@elsewhere.example", "ceo@bank.example", 250})
	if n := len(egress.Transactions()); n != 9 {
		t.Errorf("%d messages went out", n)
	}
}

// refusals counts what is audited of an account that wrote as others.
func refusals(t *testing.T, g *gateway, account, address string) (n int) {
	t.Helper()
	for _, e := range runJSON[[]record.Entry](t, g, 0, "audit", "list", "--json") {
		if e.Action == "sender-refused" && e.Object == account && strings.Contains(string(e.After), address) {
			n++
		}
	}
	return n
}

// The audit names each foreign address once, however often it is tried; the file of grants is
// read again while the gateway runs, and a broken one changes nothing.
func TestGrantsChangeWhileRunning(t *testing.T) {
	t.Parallel()
	g, _ := writers(t)
	foreign := sending{"desk@example.com", "desk@example.com", 550}
	header := sending{"ada@example.com", "desk@example.com", 550}
	g.try(t, "submission", "ada@example.com", foreign, foreign, header, header)
	world.Await(t, "the audit has both", 5*time.Second, func() bool { return refusals(t, g, "ada@example.com", "desk@example.com") >= 2 })
	if n := refusals(t, g, "ada@example.com", "desk@example.com"); n != 2 {
		t.Errorf("%d rows for one address at MAIL FROM and at From", n)
	}
	granted := func(code int) func() bool {
		return func() bool {
			c := dial(t, g.Addrs["submission"])
			defer c.conn.Close()
			if got, text := c.logIn("ada@example.com", "ada-pw"); got != 235 {
				t.Fatalf("%d %s", got, text)
			}
			got, _ := c.transaction("desk@example.com", []string{"x@far.example"}, letterFrom("desk@example.com", "x", "x"))
			return got == code
		}
	}
	g.WriteFile("senders", "press@example.com ada@example.com\ndesk@example.com ada@example.com\n")
	world.Await(t, "the new line counts", 15*time.Second, granted(250))
	g.WriteFile("senders", "desk@example.com\n\x00not a line at all\n")
	world.Await(t, "the broken file is told of", 15*time.Second, func() bool { // it is read when somebody sends
		if !granted(250)() {
			t.Fatal("a broken file took away what was granted")
		}
		return g.logged("the file of senders cannot be read", "senders:1:") != ""
	})
	g.WriteFile("senders", "press@example.com ada@example.com\n")
	world.Await(t, "the line is gone", 15*time.Second, granted(550))
	g.run(t, 0, "audit", "verify")
}
