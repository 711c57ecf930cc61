package smtpd_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"postern/filter"
)

func TestHB04UTF8(t *testing.T) {
	w := start(t, lenient)
	c := w.dial()
	c.cmd("MAIL FROM:<jürgen@sender.test>", "553 5.6.7")
	c.cmd("VRFY jürgen", "501")
	c.cmd("MAIL FROM:<a@sender.test>", "250")
	c.cmd("RCPT TO:<jürgen@example.com>", "553 5.6.7")
	c.cmd("DATA", "503")
	c.cmd("RSET", "250")
	c.cmd("MAIL FROM:<jürgen@sender.test> SMTPUTF8", "250")
	c.cmd("RCPT TO:<büro@example.com>", "250")
	c.cmd("DATA", "354")
	c.send("\r\n.\r\n")
	c.want("250")
	if g := w.only(); g.msg.From != "jürgen@sender.test" || g.msg.To[0].Address != "büro@example.com" || !g.msg.SMTPUTF8 {
		t.Fatalf("%s -> %v", g.msg.From, g.msg.To)
	}
	c.cmd("MAIL FROM:<\xff@sender.test> SMTPUTF8", "501")
}

func TestHB09Recipients(t *testing.T) {
	w := start(t, func(w *world) { w.cfg.Limits.Recipients = 20 })
	c := w.dial()
	c.cmd("MAIL FROM:<a@sender.test>", "250")
	for i := range 20 {
		c.cmd(fmt.Sprintf("RCPT TO:<u%d@example.com>", i%15), "250")
	}
	for range 100 { // a list that sends on and on keeps what it got
		c.cmd("RCPT TO:<more@example.com>", "452 4.5.3")
	}
	c.cmd("DATA", "354")
	c.send("\r\n.\r\n")
	c.want("250")
	if g := w.only(); len(g.msg.To) != 15 {
		t.Fatalf("%d recipients", len(g.msg.To))
	}
	c.cmd("MAIL FROM:<a@sender.test>", "250")
	var all strings.Builder
	for range 10_000 {
		all.WriteString("RCPT TO:<one@example.com>\r\n")
	}
	go func() { _, _ = io.WriteString(c.conn, all.String()) }()
	accepted := 0
	for {
		r, err := c.reply()
		if err != nil || strings.HasPrefix(r, "421") {
			break
		}
		if strings.HasPrefix(r, "250") {
			accepted++
		} else if !strings.HasPrefix(r, "452 4.5.3") {
			t.Fatal(r)
		}
	}
	if accepted != 20 {
		t.Fatalf("%d accepted", accepted)
	}
	w.nothingMore(1)
	w.legit()
}

func TestRefusedRecipients(t *testing.T) {
	w := start(t)
	c := w.dial()
	c.cmd("MAIL FROM:<a@sender.test>", "250")
	for range 4 * w.cfg.Limits.Errors {
		c.cmd("RCPT TO:<nobody@example.com>", "550 5.1.1")
		c.cmd("RCPT TO:<broken@example.com>", "451")
	}
	c.cmd("RCPT TO:<to@example.com>", "250")
	c.cmd("DATA", "354")
	c.send("\r\n.\r\n")
	c.want("250")
	c.cmd("MAIL FROM:<a@sender.test>", "250")
	for range w.cfg.Limits.Errors - 1 {
		c.cmd("RCPT TO:<nobody@example.com>", "550 5.1.1")
	}
	c.cmd("RCPT TO:<nobody@example.com>", "550 5.1.1")
	c.want("421 4.7.0")
}

func TestHB10Routes(t *testing.T) {
	w := start(t, lenient)
	c := w.dial()
	c.cmd("MAIL FROM:<a@sender.test>", "250")
	for _, to := range []string{
		"@a.test,@b.test:c@d.test", "@example.com:x@example.com", "user%other.test@example.com", "other.test!user@example.com",
		"user@other.test@example.com", `"user@other.test"@example.com`, "a@elsewhere.test", "a@[127.0.0.1]", "a@[IPv6:::ffff:127.0.0.1]",
		"a@localhost.", "a@localhost", "a@example.com.", "a@[]", "a@[IPv6:127.0.0.1]",
	} {
		if r := c.cmd("RCPT TO:<"+to+">", "5"); !strings.HasPrefix(r, "550") && !strings.HasPrefix(r, "501") {
			t.Errorf("%s: %s", to, r)
		}
	}
	c.cmd("DATA", "503")
	w.nothing()
}

func TestHB11Quoted(t *testing.T) {
	w := start(t, lenient)
	c := w.dial()
	for path, want := range map[string]string{
		`"victim@other.org> "@d.test`: `"victim@other.org> "@d.test`,
		`"plain"@d.test`:              "plain@d.test",
		`"a b"@d.test`:                `"a b"@d.test`,
		`"x'/**/UNION--"@d.test`:      `x'/**/UNION--@d.test`, // needs no quotes
		`"a\"b\\c"@d.test`:            `"a\"b\\c"@d.test`,
		`"a..b"@D.TEST`:               `"a..b"@d.test`,
	} {
		before := len(w.messages())
		c.cmd("MAIL FROM:<"+path+">", "250")
		c.cmd("RCPT TO:<to@example.com>", "250")
		c.cmd("DATA", "354")
		c.send("\r\n.\r\n")
		c.want("250")
		if g := w.messages()[before]; g.msg.From != want {
			t.Errorf("%s became %s", path, g.msg.From)
		}
	}
	for _, bad := range []string{`"open@d.test`, `"a"b@d.test`, `""@d.test`, `"a"`, "a b@d.test", "a..b@d.test", ".a@d.test", "a\"b@d.test", "<a@d.test"} {
		c.cmd("MAIL FROM:<"+bad+">", "501")
	}
	c.cmd("MAIL FROM:<a@d.test> <b@d.test>", "555")
	c.cmd("MAIL FROM:<x@d.test> ORCPT=rfc822;y <z@d.test>", "555")
}

func TestHB12Data(t *testing.T) {
	w := start(t)
	c := w.dial()
	c.cmd("MAIL FROM:<;id;@sender.test>", "501") // ";" is no atom
	c.cmd("MAIL FROM:<|sh@sender.test>", "250")
	c.cmd("RCPT TO:<$(x)@example.com>", "501")
	c.cmd(`RCPT TO:<"$(x);id;"@example.com>`, "250")
	c.cmd("RCPT TO:<`id`@example.com>", "250")
	c.cmd("DATA", "354")
	c.send("\r\n.\r\n")
	c.want("250")
	if g := w.only(); g.msg.From != "|sh@sender.test" || g.msg.To[0].Address != `"$(x);id;"@example.com` {
		t.Fatalf("%s -> %v", g.msg.From, g.msg.To)
	}
}

func TestHB13NullSender(t *testing.T) {
	w := start(t, func(w *world) { w.cfg.Limits.Recipients = 50 })
	c := w.dial()
	c.cmd("MAIL FROM:<>", "250")
	n := 0
	for i := range 100 {
		c.send(fmt.Sprintf("RCPT TO:<u%d@example.com>\r\n", i))
		r, err := c.reply()
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(r, "250") {
			n++
		}
	}
	c.cmd("DATA", "354")
	c.send("\r\n.\r\n")
	c.want("250")
	if g := w.only(); n != 50 || g.msg.From != "" || len(g.msg.To) != 50 {
		t.Fatalf("%d accepted, from %q", n, g.msg.From)
	}
}

func TestPaths(t *testing.T) {
	w := start(t, lenient)
	c := w.dial()
	for _, bad := range []string{"MAIL", "MAIL FROM", "MAIL FROM:", "MAIL LALA:<>", "MAIL FROM:<pepe>", "MAIL FROM:<a@xn--->", "MAIL FROM:<a@b..c>", "MAIL FROM:<@", "MAIL FROM:<a@-b.test>",
		"MAIL FROM:<" + strings.Repeat("l", 65) + "@d.test>", "MAIL FROM:<a@" + strings.Repeat("d.", 130) + "test>", "MAIL FROM:<a@b.test>SIZE=1"} {
		c.cmd(bad, "501")
	}
	c.cmd("mail from: <a@sender.test>", "250")
	c.cmd("rcpt to: to@example.com", "250")
	c.cmd("RCPT TO:<>", "501")
	c.cmd("DATA now", "501")
	c.cmd("RSET now", "501")
	c.cmd("data", "354")
	c.send("\r\n.\r\n")
	c.want("250")
}

func TestHB20TwoPolicies(t *testing.T) {
	scans := 0
	w := start(t, func(w *world) {
		w.route = func(addr string) (filter.Recipient, error) {
			return filter.Recipient{Address: addr, Policy: addr[:1], Backend: addr[:1]}, nil
		}
		w.steps = []filter.Step{check(filter.OnData, func(*filter.Message) []filter.Finding { scans++; return nil })}
	})
	c := w.dial()
	c.cmd("MAIL FROM:<a@sender.test>", "250")
	c.cmd("RCPT TO:<a@example.com>", "250")
	c.cmd("RCPT TO:<b@example.com>", "250")
	c.cmd("DATA", "354")
	c.send("\r\n.\r\n")
	c.want("250")
	if g := w.only(); scans != 1 || g.msg.To[0].Policy != "a" || g.msg.To[1].Backend != "b" {
		t.Fatalf("%d scans, to %v", scans, g.msg.To)
	}
}

func (w *world) nothingMore(n int) {
	w.t.Helper()
	if got := len(w.messages()); got != n {
		w.t.Fatalf("%d messages, want %d", got, n)
	}
}
