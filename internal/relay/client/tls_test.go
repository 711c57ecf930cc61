package client_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"postern/internal/mailtest"
	"postern/internal/relay/client"
)

// certificate makes a self-signed one and the pool that trusts it.
func certificate(t *testing.T, names ...string) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, pool
}

func TestTLSModes(t *testing.T) {
	cert, ca := certificate(t, "mail.example.com")
	refuses := steps{mailtest.AtTLS: {Reply: "454 4.7.0 no TLS today"}}
	breaks := steps{mailtest.AtTLS: {Do: mailtest.CloseAfter}}
	for _, c := range []struct {
		name     string
		mode     client.TLSMode
		ca       *x509.CertPool
		server   string
		script   mailtest.Script
		tls, ver bool
		fails    bool
		conns    int
	}{
		{"none", client.TLSNone, ca, "mail.example.com", mailtest.Script{TLS: cert}, false, false, false, 1},
		{"opportunistic, trusted", client.TLSOpportunistic, ca, "mail.example.com", mailtest.Script{TLS: cert}, true, true, false, 1},
		{"opportunistic, other name", client.TLSOpportunistic, ca, "other.example.com", mailtest.Script{TLS: cert}, true, false, false, 1},
		{"opportunistic, unknown CA", client.TLSOpportunistic, x509.NewCertPool(), "mail.example.com", mailtest.Script{TLS: cert}, true, false, false, 1},
		{"opportunistic, not offered", client.TLSOpportunistic, ca, "mail.example.com", mailtest.Script{}, false, false, false, 1},
		{"opportunistic, refused", client.TLSOpportunistic, ca, "mail.example.com", mailtest.Script{TLS: cert, Steps: refuses}, false, false, false, 1},
		{"opportunistic, handshake fails", client.TLSOpportunistic, ca, "mail.example.com", mailtest.Script{TLS: cert, Steps: breaks}, false, false, false, 2},
		{"required, trusted", client.TLSRequired, ca, "mail.example.com", mailtest.Script{TLS: cert}, true, true, false, 1},
		{"required, other name", client.TLSRequired, ca, "other.example.com", mailtest.Script{TLS: cert}, false, false, true, 1},
		{"required, name of the address", client.TLSRequired, ca, "", mailtest.Script{TLS: cert}, false, false, true, 1},
		{"required, unknown CA", client.TLSRequired, x509.NewCertPool(), "mail.example.com", mailtest.Script{TLS: cert}, false, false, true, 1},
		{"required, not offered", client.TLSRequired, ca, "mail.example.com", mailtest.Script{}, false, false, true, 1},
		{"required, refused", client.TLSRequired, ca, "mail.example.com", mailtest.Script{TLS: cert, Steps: refuses}, false, false, true, 1},
		{"required, handshake fails", client.TLSRequired, ca, "mail.example.com", mailtest.Script{TLS: cert, Steps: breaks}, false, false, true, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := mailtest.NewBackend(t, c.script)
			o := options(b)
			o.TLS = client.TLS{Mode: c.mode, CA: c.ca, ServerName: c.server}
			conn, err := client.Dial(patient(t), o)
			if _, _, total := b.Connections(); total != c.conns {
				t.Errorf("%d connections, want %d", total, c.conns)
			}
			if (err != nil) != c.fails {
				t.Fatalf("error %v", err)
			}
			if err != nil {
				if e := asError(t, err); e.Stage != client.StageTLS {
					t.Errorf("error %v", err)
				}
				return
			}
			defer conn.Close()
			if info := conn.TLS(); (info.Version != "") != c.tls || info.Verified != c.ver {
				t.Errorf("session %+v", info)
			}
			mustSend(t, conn, envelope("b@example.com"))
			if tx := b.WaitTransactions(t, 1)[0]; tx.TLS != c.tls || string(tx.Body) != body {
				t.Errorf("recorded %+v", tx)
			}
		})
	}
}

// F25: what was offered in clear text is forgotten.
func TestExtensionsAreReadAgainAfterSTARTTLS(t *testing.T) {
	cert, ca := certificate(t, "mail.example.com")
	b := mailtest.NewBackend(t, mailtest.Script{TLS: cert, Extensions: []string{"SMTPUTF8", "SIZE 1"}, AfterTLS: []string{"8BITMIME"}})
	o := options(b)
	o.TLS = client.TLS{Mode: client.TLSRequired, CA: ca, ServerName: "mail.example.com"}
	if x := dial(t, o).Extensions(); x.SMTPUTF8 || x.SizeOffered || x.StartTLS || !x.EightBitMIME {
		t.Errorf("extensions %+v", x)
	}
}

// H-C02: replies slipped in before the handshake are a fault in every mode, never an answer
// inside TLS, and no second try is made in clear text.
func TestInjectionBeforeHandshake(t *testing.T) {
	cert, ca := certificate(t, "mail.example.com")
	for _, raw := range []string{
		"220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n",
		"220 go\r\n220 go\r\n",
		"220 go\r\n2",
	} {
		for _, mode := range []client.TLSMode{client.TLSOpportunistic, client.TLSRequired} {
			b := mailtest.NewBackend(t, mailtest.Script{TLS: cert, Steps: steps{mailtest.AtTLS: {Raw: raw}}})
			o := options(b)
			o.TLS = client.TLS{Mode: mode, CA: ca, ServerName: "mail.example.com"}
			_, err := client.Dial(patient(t), o)
			if e := asError(t, err); e.Stage != client.StageTLS || !errors.Is(err, client.ErrProtocol) {
				t.Errorf("%q: %v", raw, err)
			}
			if _, _, total := b.Connections(); total != 1 {
				t.Errorf("%q: tried %d times", raw, total)
			}
		}
	}
}

// The injected text may come after we looked: then it stands where the handshake should.
func TestInjectionInPlaceOfHandshake(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dials := make(chan bool, 2)
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			dials <- true
			io.WriteString(nc, "220 x\r\n")
			buf := make([]byte, 4096)
			nc.Read(buf)
			io.WriteString(nc, "250-x\r\n250 STARTTLS\r\n")
			nc.Read(buf)
			io.WriteString(nc, "220 go\r\n")
			nc.Read(buf) // the client's hello is here, so that it has looked
			io.WriteString(nc, "250-evil\r\n250 AUTH PLAIN\r\n")
			io.Copy(io.Discard, nc)
			nc.Close()
		}
	}()
	o := client.Options{Addr: ln.Addr().String(), LocalName: "gw.example.org", TLS: client.TLS{Mode: client.TLSOpportunistic}}
	_, err = client.Dial(patient(t), o)
	if !errors.Is(err, client.ErrProtocol) || len(dials) != 1 {
		t.Errorf("error %v after %d dials", err, len(dials))
	}
}

func TestAuth(t *testing.T) {
	cert, ca := certificate(t, "mail.example.com")
	long := strings.Repeat("t", 3000)
	script := mailtest.Script{TLS: cert, Users: map[string]string{"jo@example.org": "s3cret=+", "long": long}}
	for _, c := range []struct{ name, mech, user, secret, want string }{
		{"plain", "PLAIN", "jo@example.org", "s3cret=+", ""},
		{"login", "login", "jo@example.org", "s3cret=+", ""},
		{"xoauth2", "XOAUTH2", "jo@example.org", "s3cret=+", ""},
		{"best", "", "jo@example.org", "s3cret=+", ""},
		{"long plain", "PLAIN", "long", long, ""},
		{"long xoauth2", "XOAUTH2", "long", long, ""},
		{"wrong", "PLAIN", "jo@example.org", "x", "535 5.7.8"},
		{"wrong login", "LOGIN", "jo@example.org", "x", "535 5.7.8"},
		{"wrong xoauth2", "XOAUTH2", "jo@example.org", "x", "535 5.7.8"},
		{"unknown mechanism", "CRAM-MD5", "jo@example.org", "x", client.ErrNoMechanism.Error()},
		{"NUL", "PLAIN", "jo\x00admin", "x", client.ErrCredentials.Error()},
		{"separator", "XOAUTH2", "jo\x01auth=Bearer x", "x", client.ErrCredentials.Error()},
		{"line end", "LOGIN", "jo\r\nQUIT", "x", client.ErrCredentials.Error()},
		{"nobody", "PLAIN", "", "x", client.ErrCredentials.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := mailtest.NewBackend(t, script)
			o := options(b)
			o.TLS = client.TLS{Mode: client.TLSRequired, CA: ca, ServerName: "mail.example.com"}
			conn := dial(t, o)
			err := conn.Auth(patient(t), c.mech, c.user, c.secret)
			if c.want != "" {
				if e := asError(t, err); e.Stage != client.StageAuth || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %v", err)
				}
				if strings.Contains(fmt.Sprint(err), "s3cret") || conn.Idle() {
					t.Errorf("error %v, idle %v", err, conn.Idle())
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			mustSend(t, conn, envelope("b@example.com"))
			if tx := b.WaitTransactions(t, 1)[0]; tx.User != c.user {
				t.Errorf("logged in as %q", tx.User)
			}
		})
	}
}

func TestAuthAtDial(t *testing.T) {
	cert, ca := certificate(t, "mail.example.com")
	b := mailtest.NewBackend(t, mailtest.Script{TLS: cert, Users: map[string]string{"gw": "pw"}})
	o := options(b)
	o.TLS = client.TLS{Mode: client.TLSRequired, CA: ca, ServerName: "mail.example.com"}
	o.Auth = &client.Auth{User: "gw", Secret: "pw"}
	mustSend(t, dial(t, o), envelope("b@example.com"))
	o.Auth = &client.Auth{User: "gw", Secret: "no"}
	if _, err := client.Dial(patient(t), o); asError(t, err).Reply.Code != 535 {
		t.Errorf("error %v", err)
	}
}

// No secret goes out in clear text, nor to a server that may be anybody's.
func TestAuthNeedsVerifiedTLS(t *testing.T) {
	cert, ca := certificate(t, "mail.example.com")
	for name, policy := range map[string]client.TLS{
		"clear":      {},
		"other name": {Mode: client.TLSOpportunistic, CA: ca, ServerName: "other.example.com"},
	} {
		b := mailtest.NewBackend(t, mailtest.Script{TLS: cert, AuthClear: true, Users: map[string]string{"gw": "pw"}})
		o := options(b)
		o.TLS = policy
		err := dial(t, o).Auth(patient(t), "PLAIN", "gw", "pw")
		if !errors.Is(err, client.ErrNotVerified) {
			t.Errorf("%s: %v", name, err)
		}
		for _, l := range b.Lines() {
			if strings.HasPrefix(l, "AUTH") {
				t.Errorf("%s: said %q", name, l)
			}
		}
	}
}

func TestEndlessChallenges(t *testing.T) {
	cert, ca := certificate(t, "mail.example.com")
	b := mailtest.NewBackend(t, mailtest.Script{TLS: cert, Users: map[string]string{"gw": "pw"}, Steps: steps{mailtest.AtAuth: {Raw: "334 \r\n"}}})
	o := options(b)
	o.TLS = client.TLS{Mode: client.TLSRequired, CA: ca, ServerName: "mail.example.com"}
	o.Timeouts.Reply = time.Second
	asError(t, dial(t, o).Auth(patient(t), "PLAIN", "gw", "pw"))
}

func TestParseTLSMode(t *testing.T) {
	for s, want := range map[string]client.TLSMode{"none": client.TLSNone, "opportunistic": client.TLSOpportunistic, "required": client.TLSRequired} {
		if got, err := client.ParseTLSMode(s); got != want || err != nil {
			t.Errorf("%q: %v %v", s, got, err)
		}
	}
	if _, err := client.ParseTLSMode("yes"); err == nil {
		t.Error("took yes")
	}
}
