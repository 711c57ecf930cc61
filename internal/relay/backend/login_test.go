package backend_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"postern/internal/breaker"
	"postern/internal/mailtest"
	"postern/internal/relay/client"
)

func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"mail.example.com"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	ca := x509.NewCertPool()
	ca.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, ca
}

func TestLogin(t *testing.T) {
	cert, ca := certificate(t)
	b := mailtest.NewBackend(t, mailtest.Script{TLS: cert, Users: map[string]string{"jo": "pw"}})
	cfg := config(b)
	cfg.Pools["mail"][0].TLS = client.TLS{Mode: client.TLSOpportunistic, CA: ca, ServerName: "mail.example.com"}
	p, _ := pools(t, cfg)
	c, err := p.Login(patient(t), "mail", "PLAIN", "jo", "pw")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	begun, err := c.Begin(patient(t), envelope)
	if err != nil || !begun.OK() {
		t.Fatal(begun, err)
	}
	if err := c.Body(patient(t), strings.NewReader("hi\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.End(patient(t)); err != nil {
		t.Fatal(err)
	}
	if tx := b.WaitTransactions(t, 1)[0]; tx.User != "jo" || !tx.TLS {
		t.Errorf("recorded %+v", tx)
	}
	if h := p.Health("mail")[0]; h.Idle != 0 || h.Use != 0 {
		t.Errorf("a login is in the pool: %+v", h)
	}
	_, err = p.Login(patient(t), "mail", "PLAIN", "jo", "wrong")
	var e *client.Error
	if !errors.As(err, &e) || e.Stage != client.StageAuth || e.Reply.Code != 535 {
		t.Errorf("wrong password: %v", err)
	}
	if h := p.Health("mail")[0]; h.State != breaker.Closed || h.LastError != "" {
		t.Errorf("a wrong password counts as a fault: %+v", h)
	}
}

// No password leaves for a server without verified TLS; that it cannot take logins says
// nothing about its mail.
func TestLoginNeedsVerifiedTLS(t *testing.T) {
	cert, _ := certificate(t)
	for name, s := range map[string]mailtest.Script{
		"no TLS":     {AuthClear: true, Users: map[string]string{"jo": "pw"}},
		"unknown CA": {TLS: cert, Users: map[string]string{"jo": "pw"}},
	} {
		b := mailtest.NewBackend(t, s)
		p, _ := pools(t, config(b))
		for range 3 {
			if c, err := p.Login(patient(t), "mail", "PLAIN", "jo", "pw"); err == nil {
				c.Close()
				t.Errorf("%s: logged in", name)
			}
		}
		for _, l := range b.Lines() {
			if strings.HasPrefix(l, "AUTH") {
				t.Errorf("%s: said %q", name, l)
			}
		}
		if !p.Up("mail") {
			t.Errorf("%s: the server rests", name)
		}
	}
}

func TestLoginTriesTheNextServer(t *testing.T) {
	cert, ca := certificate(t)
	down := mailtest.NewBackend(t, mailtest.Script{})
	b := mailtest.NewBackend(t, mailtest.Script{TLS: cert, Users: map[string]string{"jo": "pw"}})
	cfg := config(down, b)
	for i := range cfg.Pools["mail"] {
		cfg.Pools["mail"][i].TLS = client.TLS{Mode: client.TLSRequired, CA: ca, ServerName: "mail.example.com"}
	}
	p, _ := pools(t, cfg)
	down.Stop()
	for range 4 {
		c, err := p.Login(patient(t), "mail", "LOGIN", "jo", "pw")
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	b.Stop()
	for range 4 {
		if _, err := p.Login(patient(t), "mail", "LOGIN", "jo", "pw"); err == nil {
			t.Fatal("logged in nowhere")
		}
	}
	if _, err := p.Login(patient(t), "other", "LOGIN", "jo", "pw"); err == nil {
		t.Error("logged in at an unknown backend")
	}
}
