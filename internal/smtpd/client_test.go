package smtpd_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

type client struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

func (w *world) raw() *client {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	return newClient(w.t, conn)
}

func newClient(t testing.TB, conn net.Conn) *client {
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &client{t, conn, bufio.NewReader(conn)}
}

func (w *world) dial() *client {
	w.t.Helper()
	c := w.raw()
	c.want("220")
	c.cmd("EHLO client.test", "250")
	return c
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, s); err != nil {
		c.t.Fatalf("sending: %v", err)
	}
}

func (c *client) reply() (string, error) {
	var lines []string
	for {
		l, err := c.r.ReadString('\n')
		if err != nil {
			return strings.Join(lines, "\n"), err
		}
		l, ok := strings.CutSuffix(l, "\r\n")
		if !ok || len(l) < 4 || len(l) > 512 {
			c.t.Errorf("malformed reply line %q", l)
		}
		lines = append(lines, l)
		if len(l) < 4 || l[3] != '-' {
			return strings.Join(lines, "\n"), nil
		}
	}
}

func (c *client) want(prefix string) string {
	c.t.Helper()
	r, err := c.reply()
	if err != nil {
		c.t.Fatalf("want %q: %v (read %q)", prefix, err, r)
	}
	if !strings.HasPrefix(r, prefix) {
		c.t.Fatalf("want %q, got %q", prefix, r)
	}
	return r
}

func (c *client) cmd(line, prefix string) string {
	c.t.Helper()
	c.send(line + "\r\n")
	r, err := c.reply()
	if err != nil || !strings.HasPrefix(r, prefix) {
		c.t.Fatalf("%q: want %q, got %q, %v", line[:min(len(line), 60)], prefix, r, err)
	}
	return r
}

func (c *client) mail() {
	c.t.Helper()
	c.cmd("MAIL FROM:<from@sender.test>", "250")
	c.cmd("RCPT TO:<to@example.com>", "250")
}

func (c *client) closed() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.r); len(rest) > 0 {
		c.t.Fatalf("after the end came %q, %v", rest, err)
	} else if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		c.t.Fatal("the connection was not closed")
	}
}

func (c *client) startTLS(cfg *tls.Config) *client {
	c.t.Helper()
	c.cmd("STARTTLS", "220")
	return c.upgrade(cfg)
}

func (c *client) upgrade(cfg *tls.Config) *client {
	c.t.Helper()
	tc := tls.Client(c.conn, cfg)
	if err := tc.Handshake(); err != nil {
		c.t.Fatalf("handshake: %v", err)
	}
	return newClient(c.t, tc)
}

func (a *authority) client(name string) *tls.Config {
	return &tls.Config{RootCAs: a.pool, ServerName: name, MinVersion: tls.VersionTLS12}
}
