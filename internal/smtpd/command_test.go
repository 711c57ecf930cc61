package smtpd_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"postern/filter"
	"postern/internal/smtpd"
)

func lenient(w *world) {
	w.cfg.Limits.Errors = 1 << 20
	w.cfg.Limits.Commands = 1 << 20
}

// H-B01
func TestHB01OutOfTurn(t *testing.T) {
	w := start(t, lenient)
	c := w.raw()
	c.want("220")
	for _, line := range []string{"MAIL FROM:<a@b.test>", "RCPT TO:<to@example.com>", "DATA", "AUTH PLAIN"} {
		c.cmd(line, "503 5.5.1")
	}
	c.cmd("EHLO client.test", "250")
	c.cmd("DATA", "503 5.5.1")
	c.cmd("RCPT TO:<to@example.com>", "503 5.5.1")
	c.cmd(".", "500")
	c.cmd("MAIL FROM:<a@sender.test>", "250 2.1.0")
	c.cmd("MAIL FROM:<b@sender.test>", "503 5.5.1")
	c.cmd("DATA", "503 5.5.1")
	c.cmd("RCPT TO:<to@example.com>", "250 2.1.5")
	c.cmd("MAIL FROM:<c@sender.test>", "503 5.5.1")
	c.cmd("DATA", "354")
	c.send("x: y\r\n\r\n.\r\n")
	c.want("250")
	c.cmd("RCPT TO:<to@example.com>", "503 5.5.1")
	c.cmd("DATA", "503 5.5.1")
	if g := w.only(); g.msg.From != "a@sender.test" || len(g.msg.To) != 1 {
		t.Fatalf("envelope: %s -> %v", g.msg.From, g.msg.To)
	}
}

// H-B02
func TestHB02Reset(t *testing.T) {
	w := start(t, withTLS)
	for _, verb := range []string{"RSET", "EHLO again.test", "HELO again.test"} {
		c := w.dial()
		c.mail()
		c.cmd(verb, "250")
		c.cmd("RCPT TO:<to@example.com>", "503")
		c.cmd("MAIL FROM:<b@sender.test>", "250")
		c.cmd("RCPT TO:<two@example.com>", "250")
		c.cmd("DATA", "354")
		c.send("\r\n.\r\n")
		c.want("250")
		all := w.messages()
		if g := all[len(all)-1]; g.msg.From != "b@sender.test" || len(g.msg.To) != 1 || g.msg.To[0].Address != "two@example.com" {
			t.Fatalf("%s: %s -> %v", verb, g.msg.From, g.msg.To)
		}
	}
	c := w.dial()
	c.mail()
	c.cmd("STARTTLS", "503 5.5.1")
	c.cmd("RCPT TO:<to@example.com>", "503")
	w.legit()
}

// H-B03
func TestHB03AfterRefusal(t *testing.T) {
	w := start(t, func(w *world) {
		w.deliver = func(_ context.Context, d smtpd.Delivery) filter.Outcome {
			if d.Message.From == "from@sender.test" && strings.Contains(d.Message.Client.Helo, "bad") {
				return filter.Outcome{Reply: "550 5.7.1 spam (ref x)"}
			}
			return filter.Outcome{Reply: "250 2.0.0 ok"}
		}
	})
	c := w.raw()
	c.want("220")
	c.cmd("EHLO bad.test", "250")
	c.mail()
	c.cmd("DATA", "354")
	c.send("\r\n.\r\n")
	c.want("550 5.7.1 spam")
	c.cmd("RCPT TO:<to@example.com>", "503")
	c.cmd("DATA", "503")
	if n := len(w.messages()); n != 1 {
		t.Fatalf("%d messages", n)
	}
	w.legit()
}

// What the backends cannot take is not offered, and refused.
func TestExtensionsOffered(t *testing.T) {
	w := start(t, lenient, func(w *world) {
		w.l.Extensions = func() smtpd.Extensions { return smtpd.Extensions{Size: 5000} }
	})
	c := w.raw()
	c.want("220 mx.test ESMTP")
	r := c.cmd("EHLO client.test", "250")
	if r != "250-mx.test\n250-PIPELINING\n250-ENHANCEDSTATUSCODES\n250 SIZE 5000" {
		t.Fatalf("offered:\n%s", r)
	}
	c.cmd("MAIL FROM:<a@sender.test> BODY=8BITMIME", "555 5.5.4")
	c.cmd("MAIL FROM:<a@sender.test> SMTPUTF8", "555 5.5.4")
	c.cmd("MAIL FROM:<a@sender.test> SIZE=5001", "552 5.3.4")
	c.cmd("MAIL FROM:<a@sender.test> BODY=BINARYMIME", "504")
	for _, p := range []string{"REQUIRETLS", "RET=FULL", "ENVID=x", "BY=1", "MT-PRIORITY=3"} {
		c.cmd("MAIL FROM:<a@sender.test> "+p, "555 5.5.4")
	}
	c.cmd("MAIL FROM:<a@sender.test> BODY=7BIT SIZE=5000", "250")
	c.cmd("RCPT TO:<to@example.com> NOTIFY=NEVER", "555 5.5.4")
	c.cmd("RCPT TO:<to@example.com> ORCPT=rfc822;x", "555 5.5.4")
}

// H-B05
func TestHB05EarlyTalker(t *testing.T) {
	w := start(t, func(w *world) { w.l.GreetPause = patience })
	c := w.raw()
	c.send("EHLO spam.test\r\n")
	c.want("421 4.7.0")
	c.closed()
}

func TestHB05Pause(t *testing.T) {
	w := start(t, func(w *world) { w.l.GreetPause = 1 })
	w.legit()
}

func TestHB05EarlyBody(t *testing.T) {
	w := start(t)
	c := w.dial()
	c.mail()
	c.send("DATA\r\nSubject: early\r\n\r\nx\r\n.\r\n")
	c.want("354")
	c.want("250")
	g := w.only()
	if string(g.body) != "Subject: early\r\n\r\nx\r\n" || symbols(g.report) != "EARLY_TALKER" {
		t.Fatalf("%s, %s", quote(g.body), symbols(g.report))
	}
	c.mail()
	c.cmd("DATA", "354")
	c.send("\r\n.\r\n")
	c.want("250")
	if g := w.messages()[1]; symbols(g.report) != "EARLY_TALKER" {
		t.Fatalf("findings %q", symbols(g.report))
	}
	// A body sent behind a refused DATA is not read as commands.
	c.send("DATA\r\nMAIL FROM:<evil@sender.test>\r\n")
	c.want("503")
	c.want("421")
	c.closed()
}

func TestHB05PipelinedEHLO(t *testing.T) {
	w := start(t)
	c := w.raw()
	c.want("220")
	c.send("EHLO client.test\r\nMAIL FROM:<a@sender.test>\r\nRCPT TO:<to@example.com>\r\nRCPT TO:<nobody@example.com>\r\nDATA\r\n")
	for _, code := range []string{"250-mx.test", "250 2.1.0", "250 2.1.5", "550 5.1.1", "354"} {
		c.want(code)
	}
	c.send("\r\n.\r\nQUIT\r\nMAIL FROM:<a@sender.test>\r\n")
	c.want("250")
	c.want("221")
	c.closed()
	if g := w.only(); symbols(g.report) != "EARLY_TALKER" {
		t.Fatalf("findings %q", symbols(g.report))
	}
}

// H-B06
func TestHB06LongCommands(t *testing.T) {
	w := start(t)
	c := w.dial()
	c.cmd("NOSUCH "+strings.Repeat("x", 513), "500")
	c.cmd("NOOP "+strings.Repeat("x", 64<<10), "500 5.5.2")
	c.cmd("NOOP", "250")
	c.mail()
	c.cmd("RSET", "250")
	go func() { _, _ = io.Copy(c.conn, &repeat{}) }()
	c.want("500")
	c.want("421")
	w.legit()
}

// repeat is an endless line.
type repeat struct{}

func (repeat) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// H-B07
func TestHB07Controls(t *testing.T) {
	w := start(t, lenient)
	c := w.raw()
	c.want("220")
	for _, bad := range []string{"a\x00b", "a\x1b[2Jb", "a\u2028b", "a\xffb", "a\x7fb", "a\rb"} {
		c.cmd("HELO "+bad, "501")
	}
	for _, bad := range []string{"", "a b", "a<b", "a(b)", strings.Repeat("x", 256)} {
		c.cmd("EHLO "+bad, "501")
	}
	c.cmd("EHLO client.test", "250")
	for _, bad := range []string{"\x00", "\x1b", "\x07", "\x7f", "\u2028", "\u0085"} {
		for _, ext := range []string{"", " SMTPUTF8"} {
			r := c.cmd("MAIL FROM:<a"+bad+"b@sender.test>"+ext, "5")
			if !strings.HasPrefix(r, "501") && !strings.HasPrefix(r, "553") {
				t.Fatalf("%q: %s", bad, r)
			}
		}
	}
	c.cmd("MAIL FROM:<a@sender.test>", "250")
	c.cmd("RCPT TO:<a\x00b@example.com>", "501")
	if strings.ContainsAny(w.log.String(), "\x00\x1b\u2028") {
		t.Fatal("a control character reached the log")
	}
	w.legit()
}

// H-B08
func TestHB08Parameters(t *testing.T) {
	w := start(t, lenient)
	c := w.dial()
	for params, want := range map[string]string{
		"SIZE=18446744073709551616":     "552",
		"SIZE=9223372036854775808":      "552",
		"SIZE=5000000000":               "552",
		"SIZE=-1":                       "501",
		"SIZE=":                         "501",
		"SIZE=1x":                       "501",
		"SIZE=999999999999999999999999": "501",
		"SIZE=1 SIZE=2":                 "501",
		"SIZE=1 size=1":                 "501",
		"BODY=X":                        "501",
		"=":                             "501",
		"SIZE=1=2":                      "501",
		"X=Y":                           "555",
	} {
		c.cmd("MAIL FROM:<a@sender.test> "+params, want)
	}
	var many strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&many, " A%d", i)
	}
	c.cmd("MAIL FROM:<a@sender.test>"+many.String(), "50")
	c.cmd("MAIL FROM:<a@sender.test> SIZE=0", "250")
}

// H-B15
func TestHB15Junk(t *testing.T) {
	w := start(t)
	for verb, code := range map[string]string{"VRFY x": "252", "HELP": "214", "NOOP": "250", "NOOP x": "250", "RSET": "250"} {
		c := w.dial()
		n := 0
		for ; n < 10_000; n++ {
			c.send(verb + "\r\n")
			r, err := c.reply()
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(r, "421") {
				break
			}
			if !strings.HasPrefix(r, code) {
				t.Fatalf("%s: %s", verb, r)
			}
		}
		if n > w.cfg.Limits.Commands {
			t.Errorf("%s: %d passed", verb, n)
		}
		c.closed()
	}
	for _, verb := range []string{"EXPN x", "ETRN x", "SEND", "TURN", "SAML", "NOSUCH", "LHLO x", ""} {
		c := w.dial()
		for n := 1; ; n++ {
			if n == w.cfg.Limits.Errors {
				c.cmd(verb, "50")
				c.want("421 4.7.0")
				break
			}
			c.cmd(verb, "50")
		}
		c.closed()
	}
	w.legit()
}

// A command that ends in a bare LF is none, unless the listener normalises.
func TestBareLFCommand(t *testing.T) {
	w := start(t)
	c := w.dial()
	c.send("NOOP\n")
	c.want("500 5.5.2")
	w = start(t, func(w *world) { w.l.Framing = smtpd.Normalize })
	c = w.dial()
	c.send("NOOP\n")
	c.want("250")
}

func TestHELO(t *testing.T) {
	w := start(t)
	c := w.raw()
	c.want("220")
	if r := c.cmd("HELO client.test", "250"); r != "250 mx.test" {
		t.Fatal(r)
	}
	c.mail()
	c.cmd("DATA", "354")
	c.send("\r\n.\r\n")
	c.want("250")
	c.cmd("QUIT now", "221")
}

// H-B20
