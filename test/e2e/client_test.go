package e2e

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// client speaks SMTP line by line, so that a test sees every answer.
type client struct {
	t    *testing.T
	conn net.Conn
	text *textproto.Conn
}

// dial connects and reads the greeting.
func dial(t *testing.T, addr string) *client {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(2 * time.Minute))
	c := &client{t: t, conn: conn, text: textproto.NewConn(conn)}
	c.read(220)
	return c
}

// dialProxied connects as a proxy that names another client.
func dialProxied(t *testing.T, addr, ip string) *client {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(2 * time.Minute))
	c := &client{t: t, conn: conn, text: textproto.NewConn(conn)}
	c.send("PROXY TCP4 " + ip + " 127.0.0.1 5000 25\r\n")
	c.read(220)
	return c
}

// read reads an answer, which must begin with one of the codes; none given: any.
func (c *client) read(codes ...int) (int, string) {
	c.t.Helper()
	code, text, err := c.text.ReadResponse(0)
	if code == 0 {
		c.t.Fatalf("no answer: %v", err)
	}
	for _, want := range codes {
		if code == want {
			return code, text
		}
	}
	if len(codes) > 0 {
		c.t.Fatalf("answer %d %s, want %v", code, text, codes)
	}
	return code, text
}

// say sends a line and returns the answer, whatever it is.
func (c *client) say(line string) (int, string) {
	c.t.Helper()
	c.send(line + "\r\n")
	return c.read()
}

// must sends a line whose answer must have the code, and returns its text.
func (c *client) must(code int, line string) string {
	c.t.Helper()
	got, text := c.say(line)
	if got != code {
		c.t.Fatalf("%s: %d %s, want %d", line, got, text, code)
	}
	return text
}

func (c *client) send(bytes string) {
	c.t.Helper()
	if _, err := c.conn.Write([]byte(bytes)); err != nil {
		c.t.Fatal(err)
	}
}

// startTLS encrypts and returns the certificate's serial number.
func (c *client) startTLS() string {
	c.t.Helper()
	c.must(220, "STARTTLS")
	enc := tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true})
	if err := enc.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.conn, c.text = enc, textproto.NewConn(enc)
	return enc.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// comesFrom says EHLO as the host at ip, by XCLIENT.
func (c *client) comesFrom(ip string) string {
	c.t.Helper()
	name := "mail.friend.example"
	if ip != friendIP {
		name = "host.other.example"
	}
	c.must(250, "EHLO tests.example")
	c.must(220, fmt.Sprintf("XCLIENT ADDR=%s NAME=%s", ip, name))
	return c.must(250, "EHLO "+name)
}

// logIn encrypts and logs in.
func (c *client) logIn(user, password string) (int, string) {
	c.t.Helper()
	c.must(250, "EHLO laptop.example.com")
	c.startTLS()
	c.must(250, "EHLO laptop.example.com")
	return c.say("AUTH PLAIN " + plainAuth(user, password))
}

func plainAuth(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
}

// body sends what follows DATA, dot-stuffed, and the final dot.
func (c *client) body(raw string) (int, string) {
	c.t.Helper()
	c.send(stuffed(raw) + ".\r\n")
	return c.read()
}

// stuffed doubles the dots at the beginning of lines.
func stuffed(raw string) string {
	if strings.HasPrefix(raw, ".") {
		raw = "." + raw
	}
	return strings.ReplaceAll(raw, "\r\n.", "\r\n..")
}

// transaction sends one message over an open session: the first refusal, or the answer to
// its end.
func (c *client) transaction(from string, to []string, raw string) (int, string) {
	c.t.Helper()
	lines := []string{"MAIL FROM:<" + from + ">"}
	for _, r := range to {
		lines = append(lines, "RCPT TO:<"+r+">")
	}
	for _, line := range append(lines, "DATA") {
		if code, text := c.say(line); code >= 400 {
			return code, text
		}
	}
	return c.body(raw)
}

// deliver sends one message as the friendly host does.
func (g *gateway) deliver(t *testing.T, to, raw string) (int, string) {
	t.Helper()
	c := dial(t, g.Addrs["mx"])
	defer c.conn.Close()
	c.comesFrom(friendIP)
	code, text := c.transaction("frank@friend.example", strings.Split(to, ","), raw)
	if code != 421 {
		c.must(221, "QUIT")
	}
	return code, text
}

// mustDeliver sends one message that must be answered with the code.
func (g *gateway) mustDeliver(t *testing.T, code int, to, raw string) string {
	t.Helper()
	got, text := g.deliver(t, to, raw)
	if got != code {
		t.Fatalf("to %s: %d %s, want %d", to, got, text, code)
	}
	return text
}

// letter is an ordinary message of a stranger's.
func letter(subject, text string) string {
	return letterFrom("Frank <frank@friend.example>", subject, text)
}

// letterFrom is an ordinary message.
func letterFrom(from, subject, text string) string {
	return fmt.Sprintf("From: %s\r\nTo: <ada@example.com>\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s@friend.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n",
		from, subject, time.Now().Format(time.RFC1123Z), sum(subject)[:12], text)
}

// sum is the SHA-256 of bytes, hex.
func sum(raw string) string {
	s := sha256.Sum256([]byte(raw))
	return hex.EncodeToString(s[:])
}
