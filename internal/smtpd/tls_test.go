package smtpd_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postern/internal/smtpd"
)

func TestSTARTTLS(t *testing.T) {
	w := start(t, withTLS)
	c := w.dial()
	c.cmd("STARTTLS now", "501")
	c.mail()
	c.cmd("RSET", "250")
	c = c.startTLS(w.ca.client("mx.test"))
	// All that was said in clear is forgotten, and the client says EHLO again.
	for _, line := range []string{"MAIL FROM:<a@sender.test>", "RCPT TO:<to@example.com>", "DATA"} {
		c.cmd(line, "503 5.5.1")
	}
	if r := c.cmd("EHLO inside.test", "250"); strings.Contains(r, "STARTTLS") {
		t.Fatalf("offered inside TLS: %s", r)
	}
	c.mail()
	c.cmd("DATA", "354")
	c.send("\r\n.\r\n")
	c.want("250")
	cl := w.only().msg.Client
	if cl.Helo != "inside.test" || cl.TLS.Version != "TLS 1.3" || !strings.HasPrefix(cl.TLS.Cipher, "TLS_") || cl.TLS.Verified {
		t.Fatalf("client %+v", cl)
	}
}

// H-C01
func TestHC01Injection(t *testing.T) {
	w := start(t, withTLS)
	c := w.dial()
	c.send("STARTTLS\r\nEHLO evil.test\r\nMAIL FROM:<evil@sender.test>\r\n")
	c.want("503 5.5.1")
	c.closed()

	// The plain commands arrive after the 220: they break the handshake, nothing else.
	c = w.dial()
	c.cmd("STARTTLS", "220")
	c.send("EHLO evil.test\r\nMAIL FROM:<evil@sender.test>\r\n")
	rest, _ := io.ReadAll(c.r)
	if bytes.Contains(rest, []byte("250")) {
		t.Fatalf("answered in clear: %q", rest)
	}
	w.nothing()
	w.legit()
}

// Trap 5: after a failed handshake nothing is said in clear.
func TestFailedHandshake(t *testing.T) {
	w := start(t, withTLS)
	c := w.dial()
	c.cmd("STARTTLS", "220")
	if err := tls.Client(c.conn, w.ca.client("other.test")).Handshake(); err == nil {
		t.Fatal("the wrong name was accepted")
	}
	rest, _ := io.ReadAll(c.conn)
	if strings.Contains(string(rest), "250") || strings.Contains(string(rest), "550") {
		t.Fatalf("said in clear: %q", rest)
	}
	w.legit()
}

// H-C03
func TestHC03Twice(t *testing.T) {
	w := start(t, withTLS)
	c := w.dial()
	c.mail()
	c.cmd("STARTTLS", "503")
	c.cmd("DATA", "503")
	c = c.startTLS(w.ca.client("mx.test"))
	c.cmd("STARTTLS", "503")
	c.cmd("EHLO x.test", "250")
	c.cmd("STARTTLS", "503")
	w = start(t)
	w.dial().cmd("STARTTLS", "502")
}

// H-C04
func TestHC04SlowHandshake(t *testing.T) {
	w := start(t, withTLS, func(w *world) { w.cfg.Limits.Handshake = 100 * time.Millisecond })
	c := w.dial()
	c.cmd("STARTTLS", "220")
	c.send("\x16") // and no more
	c.closed()
	w = start(t, withTLS, func(w *world) {
		w.l.ImplicitTLS = true
		w.cfg.Limits.Handshake = 100 * time.Millisecond
	})
	c = w.raw() // half-open: not a byte
	c.closed()
}

func TestImplicitTLS(t *testing.T) {
	w := start(t, withTLS, func(w *world) { w.l.ImplicitTLS = true })
	c := w.raw().upgrade(w.ca.client("mx.test"))
	c.want("220")
	if r := c.cmd("EHLO client.test", "250"); strings.Contains(r, "STARTTLS") {
		t.Fatal(r)
	}
	c.cmd("STARTTLS", "503")
	c.mail()
	c.cmd("QUIT", "221")
	c.closed()
}

// keyWatch gets the client's traffic secret.
type keyWatch struct{ secret []byte }

func (k *keyWatch) Write(line []byte) (int, error) {
	f := strings.Fields(string(line))
	if len(f) == 3 && f[0] == "CLIENT_TRAFFIC_SECRET_0" {
		k.secret, _ = hex.DecodeString(f[2])
	}
	return len(line), nil
}

// expand is HKDF-Expand-Label of RFC 8446 section 7.1 with an empty context.
func expand(t *testing.T, secret []byte, label string, n int) []byte {
	t.Helper()
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(info, byte(len(label)+6))
	info = append(info, "tls13 "+label...)
	info = append(info, 0)
	out, err := hkdf.Expand(sha256.New, secret, string(info), n)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// keyUpdate is one encrypted KeyUpdate record, the first under its secret.
func keyUpdate(t *testing.T, secret []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(expand(t, secret, "key", 16))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	inner := []byte{24, 0, 0, 1, 0, 22} // key_update, update_not_requested; content type handshake
	head := []byte{23, 3, 3, 0, byte(len(inner) + aead.Overhead())}
	return aead.Seal(head, expand(t, secret, "iv", 12), inner, head)
}

// H-C05: a flood of post-handshake messages ends the connection.
func TestHC05KeyUpdateFlood(t *testing.T) {
	w := start(t, withTLS)
	c := w.dial()
	c.cmd("STARTTLS", "220")
	watch := &keyWatch{}
	cfg := w.ca.client("mx.test")
	cfg.KeyLogWriter = watch
	tc := tls.Client(c.conn, cfg)
	if err := tc.Handshake(); err != nil {
		t.Fatal(err)
	}
	if tc.ConnectionState().CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		t.Log("the flood is written for TLS_AES_128_GCM_SHA256, which this machine does not choose")
		return
	}
	var flood []byte
	for range 2000 {
		flood = append(flood, keyUpdate(t, watch.secret)...)
		watch.secret = expand(t, watch.secret, "traffic upd", sha256.Size)
	}
	_, _ = c.conn.Write(flood)
	// An alert, then the end: not a timeout.
	_, err := io.Copy(io.Discard, c.conn)
	if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		t.Fatal("the connection is still open")
	}
	w.legit()
}

// H-C06
func TestHC06ManyNames(t *testing.T) {
	var names []string
	for range 10_000 {
		names = append(names, strings.Repeat("n", 60)+".test")
	}
	w := start(t, withTLS, func(w *world) {
		base := w.l.TLS()
		base.ClientCAs, base.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven // trusts nobody
	})
	c := w.dial()
	c.cmd("STARTTLS", "220")
	cfg := w.ca.client("mx.test")
	cfg.Certificates = []tls.Certificate{w.ca.issue(t, names...)}
	tc := tls.Client(c.conn, cfg)
	if err := tc.Handshake(); err == nil {
		_, _ = io.WriteString(tc, "EHLO x.test\r\n")
		got, _ := io.ReadAll(tc)
		if len(got) > 0 {
			t.Fatalf("went on with %q", got)
		}
	}
	w.legit()
	if n := len(w.log.String()); n > 10_000 {
		t.Fatalf("%d bytes were logged", n)
	}
}

// H-C07: a ticket of one listener means nothing to another, even when both have the very
// same configuration.
func TestHC07Tickets(t *testing.T) {
	one := start(t, withTLS)
	cfg := one.l.TLS()
	other := start(t, func(w *world) { w.l.Name = "other"; w.ca = one.ca; w.l.TLS = func() *tls.Config { return cfg } })
	client := one.ca.client("mx.test")
	client.ClientSessionCache = tls.NewLRUClientSessionCache(10)
	resumed := func(w *world) bool {
		t.Helper()
		c := w.dial()
		c.cmd("STARTTLS", "220")
		tc := tls.Client(c.conn, client)
		if err := tc.Handshake(); err != nil {
			t.Fatal(err)
		}
		in := newClient(t, tc)
		in.cmd("EHLO x.test", "250") // reads the tickets
		in.cmd("QUIT", "221")
		return tc.ConnectionState().DidResume
	}
	if resumed(one) {
		t.Fatal("resumed without a ticket")
	}
	if !resumed(one) {
		t.Fatal("a listener does not know its own ticket")
	}
	if resumed(other) {
		t.Fatal("a listener took the ticket of another")
	}
}

// A certificate is asked for per connection, so that a new one counts at once.
func TestCertificateReload(t *testing.T) {
	var cfg atomic.Pointer[tls.Config]
	var ca *authority
	w := start(t, withTLS, func(w *world) {
		ca = w.ca
		w.l.TLS = cfg.Load
	})
	if r := w.dial().cmd("EHLO x.test", "250"); strings.Contains(r, "STARTTLS") {
		t.Fatal("TLS is offered without a certificate")
	}
	serial := func() string {
		t.Helper()
		c := w.dial().startTLS(ca.client("mx.test"))
		defer c.cmd("EHLO x.test", "250")
		return c.conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	cfg.Store(&tls.Config{Certificates: []tls.Certificate{ca.issue(t, "mx.test")}})
	first := serial()
	if serial() != first {
		t.Fatal("the certificate changed by itself")
	}
	cfg.Store(&tls.Config{Certificates: []tls.Certificate{ca.issue(t, "mx.test")}})
	if serial() == first {
		t.Fatal("the old certificate is still served")
	}
}

func TestAuthOnlyInTLS(t *testing.T) {
	w := start(t, submission)
	c := w.dial()
	if r := c.cmd("EHLO x.test", "250"); strings.Contains(r, "AUTH") {
		t.Fatalf("AUTH offered in clear: %s", r)
	}
	c.cmd(plain("user", "secret"), "538 5.7.11")
	c = c.startTLS(w.ca.client("mx.test"))
	if r := c.cmd("EHLO x.test", "250"); !strings.Contains(r, "AUTH PLAIN LOGIN XOAUTH2") {
		t.Fatalf("not offered: %s", r)
	}
	c.cmd(plain("user", "secret"), "235")

	w = start(t, submission, func(w *world) { w.l.Kind = smtpd.KindInbound })
	c = w.secure()
	if r := c.cmd("EHLO x.test", "250"); strings.Contains(r, "AUTH") {
		t.Fatal("AUTH offered to strangers")
	}
	c.cmd(plain("user", "secret"), "502")
}
