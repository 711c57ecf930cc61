package smtpd_test

import (
	"crypto/tls"
	"encoding/base64"
	"net/netip"
	"strings"
	"testing"

	"postern/filter"
	"postern/internal/smtpd"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestAuthMechanisms(t *testing.T) {
	var seen []string
	w := start(t, submission, func(w *world) {
		inner := w.auth
		w.auth = func(mech, user, secret string) (smtpd.Login, error) {
			seen = append(seen, mech+" "+user+" "+secret)
			return inner(mech, user, secret)
		}
	})
	c := w.secure()
	c.cmd("MAIL FROM:<a@example.com>", "530 5.7.0")
	c.cmd("AUTH PLAIN", "334 ")
	c.cmd(b64("\x00user\x00secret"), "235 2.7.0")
	c.cmd("AUTH PLAIN", "503")
	c.mail()
	c.cmd("AUTH PLAIN", "503")

	c = w.secure()
	c.cmd("AUTH LOGIN", "334 "+b64("Username:"))
	c.cmd(b64("user"), "334 "+b64("Password:"))
	c.cmd(b64("secret"), "235")

	c = w.secure()
	c.cmd("auth login "+b64("user"), "334 "+b64("Password:"))
	c.cmd(b64("secret"), "235")

	c = w.secure()
	c.cmd("AUTH XOAUTH2 "+b64("user=user\x01auth=Bearer secret\x01\x01"), "235")
	want := "PLAIN user secret|LOGIN user secret|LOGIN user secret|XOAUTH2 user secret"
	if got := strings.Join(seen, "|"); got != want {
		t.Fatalf("replayed %s", got)
	}
}

// H-B19
func TestHB19Bounds(t *testing.T) {
	w := start(t, submission, lenient, func(w *world) { w.cfg.Limits.AuthTries = 1 << 20 })
	c := w.secure()
	for _, line := range []string{"AUTH", "AUTH NOSUCH", "AUTH CRAM-MD5"} {
		c.cmd(line, "50")
	}
	for _, ir := range []string{"!!!", "dXNlckB0ZXN0c2VydmVyAHlalala==", "=", b64("x"), b64("\x00\x00"), b64("\x00user\x00"), b64("\x00\x00secret"), b64("other\x00user\x00secret"), b64("\x00us\ner\x00secret"),
		b64("\x00" + strings.Repeat("u", 300) + "\x00secret")} {
		c.cmd("AUTH PLAIN "+ir, "501")
	}
	for _, ir := range []string{b64("user=u\x01auth=Basic x\x01\x01"), b64("user=u\x01auth=Bearer x"), b64("auth=Bearer x\x01\x01"), b64("user=u\x01auth=Bearer a b\x01\x01")} {
		c.cmd("AUTH XOAUTH2 "+ir, "501")
	}
	c.cmd("AUTH PLAIN", "334")
	c.cmd("*", "501")
	c.cmd("AUTH PLAIN", "334")
	c.cmd("", "501")
	c.cmd("AUTH PLAIN", "334")
	c.cmd(strings.Repeat("A", 20_000), "501") // too long for a response; the next line is a command again
	c.cmd("NOOP", "250")
	c.cmd("AUTH PLAIN", "334")
	c.cmd(b64("\x00user\x00"+strings.Repeat("s", 8000)), "535")
	c.cmd("AUTH PLAIN", "334")
	go func() { _, _ = c.conn.Write([]byte(strings.Repeat("A", 10<<20))) }()
	c.want("500")
	c.want("421")
	w.nothing()
}

// Failures count per address and per account; while they do nothing reaches the backend.
func TestHB19Tries(t *testing.T) {
	asked := 0
	w := start(t, submission, lenient, func(w *world) {
		w.cfg.Limits.AuthTries = 5
		inner := w.auth
		w.auth = func(mech, user, secret string) (smtpd.Login, error) {
			asked++
			return inner(mech, user, secret)
		}
	})
	c := w.secure()
	for range 5 {
		c.cmd(plain("user", "wrong"), "535 5.7.8")
	}
	for range 995 {
		c.cmd(plain("user", "secret"), "454 4.7.0")
	}
	c.cmd(plain("another", "secret"), "454 4.7.0")
	if asked != 5 {
		t.Fatalf("the backend was asked %d times", asked)
	}
}

func TestAuthBackendAway(t *testing.T) {
	w := start(t, submission)
	c := w.secure()
	for range 5 { // no fault of the user's
		c.cmd(plain("broken", "secret"), "454 4.7.0")
	}
	c.cmd(plain("user", "secret"), "235")
	if strings.Contains(c.cmd("NOOP", "250"), "secret cause") || !strings.Contains(w.log.String(), "secret cause") {
		t.Fatal("the cause belongs into the log alone")
	}
}

func TestLoginIsKeptAndClosed(t *testing.T) {
	login := &account{"user@example.com", make(chan struct{})}
	w := start(t, submission, func(w *world) {
		w.auth = func(string, string, string) (smtpd.Login, error) { return login, nil }
	})
	c := w.login()
	c.mail()
	c.cmd("DATA", "354")
	c.send("\r\n.\r\n")
	c.want("250")
	g := w.only()
	if g.login != smtpd.Login(login) || g.msg.Account != "user@example.com" || g.msg.Direction != filter.Outbound {
		t.Fatalf("%+v", g.msg)
	}
	select {
	case <-login.closed:
		t.Fatal("closed with the session open")
	default:
	}
	c.cmd("QUIT", "221")
	<-login.closed
}

func TestSuspended(t *testing.T) {
	w := start(t, submission)
	c := w.login()
	c.mail()
	c.cmd("DATA", "354")
	w.suspend("user@example.com") // between DATA and its end
	c.send("\r\n.\r\n")
	c.want("550 5.7.1")
	c.cmd("MAIL FROM:<a@example.com>", "550 5.7.1") // in the session that was open
	d := w.observed()
	if d.out.Fates[0].State != filter.Rejected {
		t.Fatalf("%+v", d.out)
	}
	c.cmd("QUIT", "221")
	if d := w.observed(); d.msg.Account != "user@example.com" || !strings.HasPrefix(d.out.Reply, "550 5.7.1") || len(d.out.Fates) != 0 {
		t.Fatalf("%+v", d.out)
	}
	w.nothing()
}

func TestSuspendedAtTheNextRecipient(t *testing.T) {
	w := start(t, submission)
	c := w.login()
	c.cmd("MAIL FROM:<a@example.com>", "250")
	c.cmd("RCPT TO:<a@example.com>", "250")
	w.suspend("user@example.com")
	c.cmd("RCPT TO:<b@example.com>", "550 5.7.1")
	c.cmd("QUIT", "221")
}

func TestLoginOff(t *testing.T) {
	var told []bool
	w := start(t, submission, func(w *world) {
		w.off = "user@example.com"
		w.loggedIn = func(account string, _ netip.Addr, ok bool) { told = append(told, ok && account == w.off) }
	})
	c := w.secure()
	c.cmd(plain("user@example.com", "secret"), "535 5.7.8")
	c.cmd("MAIL FROM:<a@example.com>", "530 5.7.0")
	c.cmd("QUIT", "221")
	if len(told) != 1 || !told[0] {
		t.Error(told)
	}
}

// smarthost makes a listener for local servers on loopback.
func smarthost(w *world) {
	w.l.Name, w.l.Kind, w.l.Networks, w.l.Framing = "servers", smtpd.KindSmarthost, loopback, smtpd.Normalize
	w.route = func(addr string) (filter.Recipient, error) {
		return filter.Recipient{Address: addr, Backend: "out"}, nil
	}
}

func accountOf(t *testing.T, w *world, c *client, head string) string {
	t.Helper()
	before := len(w.messages())
	c.cmd("MAIL FROM:<from@example.com>", "250")
	c.cmd("RCPT TO:<x@elsewhere.test>", "250")
	c.cmd("DATA", "354")
	c.send(head + "Subject: x\r\n\r\nb\r\n.\r\n")
	c.want("250")
	return w.messages()[before].msg.Account
}

func TestSmarthostAccount(t *testing.T) {
	header := func(w *world) { w.l.AccountHeader = "X-Sasl-User" }
	mailFrom := func(w *world) { w.l.MailFromIsAccount = true }
	for _, tt := range []struct {
		name, head, want string
		setup            []func(*world)
	}{
		{"network", "", "127.0.0.0/8", nil},
		{"mail from", "", "from@example.com", []func(*world){mailFrom}},
		{"header", "X-Sasl-User: alice@example.com\r\n", "alice@example.com", []func(*world){header, mailFrom}},
		{"header folded", "x-sasl-user:\r\n <alice@example.com>\r\n", "alice@example.com", []func(*world){header}},
		{"header missing", "", "from@example.com", []func(*world){header, mailFrom}},
		{"header twice", "X-Sasl-User: alice\r\nX-Sasl-User: bob\r\n", "127.0.0.0/8", []func(*world){header}},
		{"header not asked for", "X-Sasl-User: alice\r\n", "127.0.0.0/8", nil},
		{"header in the body", "Subject: y\r\n\r\nX-Sasl-User: alice\r\n", "127.0.0.0/8", []func(*world){header}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := start(t, append([]func(*world){smarthost}, tt.setup...)...)
			if got := accountOf(t, w, w.dial(), tt.head); got != tt.want {
				t.Fatalf("account %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSmarthostXClientLogin(t *testing.T) {
	w := start(t, smarthost, func(w *world) {
		w.l.XclientFrom, w.l.AccountHeader, w.l.MailFromIsAccount = loopback, "X-Sasl-User", true
	})
	c := w.dial()
	c.cmd("XCLIENT LOGIN=carol@example.com", "220")
	c.cmd("EHLO x.test", "250")
	if got := accountOf(t, w, c, "X-Sasl-User: alice\r\n"); got != "carol@example.com" {
		t.Fatalf("account %q", got)
	}
	w.suspend("carol@example.com")
	c.cmd("MAIL FROM:<from@example.com>", "550 5.7.1")
}

// Behind a proxy that speaks for many, a login is one client's.
func TestXClientAfterLogin(t *testing.T) {
	w := start(t, submission, func(w *world) { w.l.XclientFrom = loopback })
	c := w.login()
	c.cmd("XCLIENT ADDR=192.0.2.9", "503")
}

func TestSmarthostHeaderSuspended(t *testing.T) {
	w := start(t, smarthost, func(w *world) { w.l.AccountHeader = "X-Sasl-User" })
	w.suspend("alice")
	c := w.dial()
	c.cmd("MAIL FROM:<from@example.com>", "250")
	c.cmd("RCPT TO:<x@elsewhere.test>", "250")
	c.cmd("DATA", "354")
	c.send("X-Sasl-User: alice\r\n\r\n.\r\n")
	c.want("550 5.7.1")
	w.nothing()
}

// Never an open relay: who is in no network, has no certificate and no login gets nothing.
func TestSmarthostStranger(t *testing.T) {
	elsewhere := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	w := start(t, smarthost, withTLS, func(w *world) {
		w.l.Networks, w.l.XclientFrom = elsewhere, loopback
		base := w.l.TLS()
		base.ClientCAs, base.ClientAuth = w.ca.pool, tls.VerifyClientCertIfGiven
	})
	c := w.dial()
	c.cmd("MAIL FROM:<from@example.com>", "550 5.7.1")
	c.cmd("RCPT TO:<x@elsewhere.test>", "503")
	c.cmd("XCLIENT ADDR=192.0.2.5", "220") // an address somebody claims opens nothing
	c.cmd("EHLO x.test", "250")
	c.cmd("MAIL FROM:<from@example.com>", "550 5.7.1")

	c = w.dial()
	cfg := w.ca.client("mx.test")
	cfg.Certificates = []tls.Certificate{w.ca.issue(t, "web1.example.com")}
	c = c.startTLS(cfg)
	c.cmd("EHLO x.test", "250")
	if got := accountOf(t, w, c, ""); got != "certificate web1.example.com" {
		t.Fatalf("account %q", got)
	}
	if g := w.only(); !g.msg.Client.TLS.Verified {
		t.Fatal("not verified")
	}

	// A certificate of another authority is none.
	other := newAuthority(t)
	c = w.dial()
	c.cmd("STARTTLS", "220")
	cfg = w.ca.client("mx.test")
	cfg.Certificates = []tls.Certificate{other.issue(t, "web1.example.com")}
	tc := tls.Client(c.conn, cfg)
	if err := tc.Handshake(); err == nil {
		if _, err := tc.Read(make([]byte, 1)); err == nil {
			t.Fatal("a stranger's certificate was accepted")
		}
	}
	w.nothingMore(1)
}
