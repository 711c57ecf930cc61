package smtpd_test

import (
	"context"
	"fmt"
	"io"
	"net/netip"
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

// H-B04
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

// H-B09
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

// Dead members of a list do not keep the mail from the others; somebody who only guesses is
// dropped.
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

// H-B10, H-B14
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

// H-B11
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

// H-B12
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

// H-B13
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

// H-B16
func TestHB16ProxyUntrusted(t *testing.T) {
	w := start(t)
	c := w.raw()
	c.send("PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n")
	c.want("220")
	c.want("421")
	c.closed()
	c = w.raw()
	c.send("\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff" + strings.Repeat("x", 65535) + "\r\n")
	c.want("220")
	for {
		r, err := c.reply()
		if err == nil && strings.HasPrefix(r, "421") {
			break
		}
		if err != nil || !strings.HasPrefix(r, "50") {
			t.Fatalf("got %s, %v", r, err)
		}
	}
	w.nothing()
	w.legit()
}

func TestProxyTrusted(t *testing.T) {
	w := start(t, func(w *world) { w.l.ProxyFrom = loopback })
	deliver := func(header, ip string) {
		t.Helper()
		before := len(w.messages())
		c := w.raw()
		c.send(header)
		c.want("220")
		c.cmd("EHLO client.test", "250")
		c.mail()
		c.cmd("DATA", "354")
		c.send("\r\n.\r\n")
		c.want("250")
		if g := w.messages()[before]; g.msg.Client.IP != netip.MustParseAddr(ip) {
			t.Fatalf("%q: client %s", header, g.msg.Client.IP)
		}
	}
	deliver("PROXY TCP4 192.0.2.1 192.0.2.2 1234 25\r\n", "192.0.2.1")
	deliver("PROXY TCP6 2001:db8::1 2001:db8::2 1234 25\r\n", "2001:db8::1")
	v2 := "\r\n\r\n\x00\r\nQUIT\n"
	deliver(v2+"\x21\x11\x00\x0c\xc0\x00\x02\x07\xc0\x00\x02\x02\x04\xd2\x00\x19", "192.0.2.7")
	deliver(v2+"\x20\x00\x00\x00", "127.0.0.1") // LOCAL: the proxy's own health check
	for _, bad := range []string{
		"EHLO client.test\r\n", "PROXY TCP4 x y 1 2\r\n", v2 + "\x21\x11\xff\xff" + strings.Repeat("x", 65535),
		v2 + "\x21\x11\x00\x01x", "PROXY " + strings.Repeat("x", 500) + "\r\n",
	} {
		c := w.raw()
		go func() { _, _ = io.WriteString(c.conn, bad) }()
		c.closed()
	}
	c := w.raw() // twice
	c.send("PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\nPROXY TCP4 192.0.2.9 192.0.2.2 1 25\r\n")
	c.want("220")
	c.want("421")
}

func TestProxySilent(t *testing.T) {
	w := start(t, func(w *world) {
		w.l.ProxyFrom = loopback
		w.cfg.Limits.Handshake = 50_000_000
	})
	w.raw().closed()
}

// H-B17
func TestHB17XClientUntrusted(t *testing.T) {
	w := start(t)
	c := w.raw()
	c.want("220")
	if r := c.cmd("EHLO client.test", "250"); strings.Contains(r, "XCLIENT") {
		t.Fatalf("offered: %s", r)
	}
	c.cmd("XCLIENT ADDR=192.0.2.1", "550")
	c.cmd("XFORWARD ADDR=192.0.2.1", "550")
	c.mail()
	c.cmd("DATA", "354")
	c.send("\r\n.\r\n")
	c.want("250")
	if g := w.only(); !g.msg.Client.IP.IsLoopback() {
		t.Fatalf("client %s", g.msg.Client.IP)
	}
}

func TestXClient(t *testing.T) {
	w := start(t, lenient, func(w *world) { w.l.XclientFrom = loopback })
	c := w.dial()
	for _, bad := range []string{"", "ADDR", "ADDR=x", "ADDR=fe80::1%eth0", "PORT=70000", "NOSUCH=1", "NAME=a+0ab", "NAME=a+zz", "HELO=" + strings.Repeat("x", 300)} {
		c.cmd("XCLIENT "+bad, "501")
	}
	c.cmd("XFORWARD ADDR=1.2.3.4", "502")
	c.mail()
	c.cmd("XCLIENT ADDR=192.0.2.1", "503")
	c.cmd("RSET", "250")
	c.cmd("XCLIENT NAME=mail.other.test ADDR=IPV6:2001:db8::7 PORT=4242 HELO=helo.other.test PROTO=ESMTP", "220 mx.test")
	c.cmd("MAIL FROM:<a@sender.test>", "503")
	c.cmd("EHLO gate.test", "250")
	c.mail()
	c.cmd("DATA", "354")
	c.send("\r\n.\r\n")
	c.want("250")
	cl := w.only().msg.Client
	if cl.IP != netip.MustParseAddr("2001:db8::7") || cl.Port != 4242 || cl.Name != "mail.other.test" || cl.Helo != "helo.other.test" {
		t.Fatalf("client %+v", cl)
	}
}

// H-B18
func TestHB18OtherProtocols(t *testing.T) {
	w := start(t)
	for _, hello := range []string{
		"POST / HTTP/1.1\r\n", "GET /evil HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<a@b.test>\r\n", "CONNECT www.evil.test:80 HTTP/1.1\r\n", "GET /\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abc\r\n", "SSH-2.0-x\r\n", "PRI * HTTP/2.0\r\n",
	} {
		c := w.raw()
		c.want("220")
		c.send(hello)
		c.want("421 4.7.0")
		c.closed()
	}
	w.nothing()
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

// Trap 8: <postmaster> has no domain, and takes mail from whoever is blocked.
func TestPostmaster(t *testing.T) {
	w := start(t, func(w *world) {
		w.steps = []filter.Step{check(filter.OnConnect, func(*filter.Message) []filter.Finding { return []filter.Finding{{Symbol: "OWN_BLOCK"}} })}
		w.judge = rejectBlocked
	})
	c := w.dial()
	c.cmd("MAIL FROM:<a@sender.test>", "250")
	c.cmd("RCPT TO:<to@example.com>", "550 5.7.1 you are blocked (ref ")
	c.cmd("RCPT TO:<PostMaster>", "250")
	c.cmd("RCPT TO:<postmaster@example.com>", "250")
	c.cmd("MAIL FROM:<postmaster>", "503")
	c.cmd("DATA", "354")
	c.send("\r\n.\r\n")
	c.want("250")
	if g := w.only(); len(g.msg.To) != 1 || g.msg.To[0].Address != "postmaster@example.com" {
		t.Fatalf("to %v", g.msg.To)
	}
	c.cmd("MAIL FROM:<postmaster>", "501")
}

func rejectBlocked(m *filter.Message, r filter.Report, policy string) filter.Verdict {
	for _, f := range r.Findings {
		if f.Symbol == "OWN_BLOCK" && m.Body == nil {
			return filter.Verdict{Action: filter.Reject, Policy: policy, Public: "you are blocked"}
		}
	}
	return filter.Verdict{Policy: policy}
}

// No path: what MAIL and RCPT take beside <address>.
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
