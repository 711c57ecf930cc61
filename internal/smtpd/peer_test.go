package smtpd_test

import (
	"io"
	"net/netip"
	"strings"
	"testing"
)

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
