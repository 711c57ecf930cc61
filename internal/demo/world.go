// Package demo is a small world around a gateway on this machine alone: name server, virus
// scanner, mail servers behind, and senders with sample mail.
package demo

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"postern/internal/mailtest"
)

// World is what stands around the gateway. Close it.
type World struct {
	Dir      string // state, certificates, rules and postern.yaml
	Config   string // path of postern.yaml
	Behind   *mailtest.Backend
	Egress   *mailtest.Backend
	Internet *mailtest.DNS

	clamd *mailtest.RealClamd
	key   ed25519.PrivateKey // signs for signed.example, bank.example and lists.example
}

// Mailboxes exist behind the gateway.
var Mailboxes = []string{"ada@example.com", "bob@example.com", "carol@example.com", "strict@example.com", "postmaster@example.com"}

// Password is that of every local account.
const Password = "demo-password"

// NewWorld starts everything but the gateway below dir.
func NewWorld(ctx context.Context, dir string) (*World, error) {
	w := &World{Dir: dir, Config: filepath.Join(dir, "postern.yaml")}
	if err := w.start(ctx); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

func (w *World) start(ctx context.Context) error {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	w.key = key
	cert, err := w.certificate()
	if err != nil {
		return err
	}
	serverTLS := &tls.Config{Certificates: []tls.Certificate{cert}}
	users := map[string]string{"ada@example.com": Password, "mallory@example.com": Password, "eve@example.com": Password}
	if w.Behind, err = mailtest.StartBackend("127.0.0.1:0", mailtest.Script{Hostname: "mail.example.com", Mailboxes: Mailboxes}); err != nil {
		return err
	}
	if w.Egress, err = mailtest.StartBackend("127.0.0.1:0", mailtest.Script{Hostname: "localhost", TLS: serverTLS, Users: users}); err != nil {
		return err
	}
	if w.Internet, err = mailtest.StartDNS(zone(pub)); err != nil {
		return err
	}
	if w.clamd, err = mailtest.NewRealClamd(w.Dir, mailtest.ClamdOptions{}); err != nil {
		return err
	}
	if err := w.clamd.Start(ctx); err != nil {
		return fmt.Errorf("clamd (package clamav-daemon): %w", err)
	}
	return w.write()
}

// Close ends what was started.
func (w *World) Close() {
	if w.clamd != nil {
		w.clamd.Stop()
	}
	if w.Internet != nil {
		w.Internet.Close()
	}
	for _, b := range []*mailtest.Backend{w.Behind, w.Egress} {
		if b != nil {
			b.Close()
		}
	}
}

// The addresses that samples come from (RFC 5737 and RFC 2544 blocks).
const (
	friendIP = "192.0.2.10"
	signedIP = "192.0.2.20"
	crookIP  = "198.51.100.66"
	listedIP = "203.0.113.99"
	listsIP  = "192.0.2.40"
)

// zone is all of the Internet that the samples need.
func zone(pub ed25519.PublicKey) mailtest.Zone {
	key := "TXT v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(pub)
	z := mailtest.Zone{
		"friend.example":      {"MX 10 mail.friend.example", "TXT v=spf1 ip4:" + friendIP + " -all"},
		"mail.friend.example": {"A " + friendIP},
		"signed.example":      {"MX 10 out.signed.example", "TXT v=spf1 ip4:" + signedIP + " -all"},
		"out.signed.example":  {"A " + signedIP},
		"_dmarc.signed.example": {
			"TXT v=DMARC1; p=quarantine",
		},
		"demo._domainkey.signed.example": {key},
		"bank.example":                   {"MX 10 mail.bank.example", "TXT v=spf1 ip4:192.0.2.30 -all"},
		"_dmarc.bank.example":            {"TXT v=DMARC1; p=reject"},
		"demo._domainkey.bank.example":   {key},
		"mail.bank.example":              {"A 192.0.2.30"},
		"lists.example":                  {"MX 10 mx.lists.example", "TXT v=spf1 ip4:" + listsIP + " -all"},
		"mx.lists.example":               {"A " + listsIP},
		"demo._domainkey.lists.example":  {key},
		"crook.example":                  {"MX 10 mx.crook.example", "TXT v=spf1 ip4:" + crookIP + " -all"},
		"mx.crook.example":               {"A " + crookIP},
		"2.0.0.127.bl.example":           {"A 127.0.0.2"},
		"99.113.0.203.bl.example":        {"A 127.0.0.2", "TXT listed for spam"},
	}
	for ip, name := range map[string]string{friendIP: "mail.friend.example", signedIP: "out.signed.example", crookIP: "mx.crook.example", listsIP: "mx.lists.example"} {
		z[mailtest.ReverseName(ip)] = []string{"PTR " + name}
	}
	return z
}

// write leaves configuration and rules in the folder.
func (w *World) write() error {
	rules := filepath.Join(w.Dir, "rules.d")
	if err := os.MkdirAll(rules, 0o700); err != nil {
		return err
	}
	err := os.WriteFile(filepath.Join(rules, "demo.yaml"), []byte(`symbols:
  RBL_DEMO: {action: reject, stage: rcpt, describe: The sending host is on a block list}
patterns:
  - id: DEMO_OFFER
    describe: The subject speaks of a special offer
    in: subject
    match: 'Special offer'
    score: 5.5
    tests: {hit: ["Special offer"], miss: ["Lunch"]}
policies:
  strict: {extends: default, reject: 3, quarantine: 2, tag: 1}
  mild: {extends: default, antivirus: {infected: strip}, dmarc: {on_list: tag}}
recipients:
  strict@example.com: strict
  carol@example.com: mild
`), 0o600)
	if err != nil {
		return err
	}
	text := fmt.Sprintf(`hostname: mx1.example.com
state: %[1]s/state
listeners:
  - {name: mx, kind: inbound, addr: "127.0.0.1:0", tls: {cert: %[1]s/cert.pem, key: %[1]s/key.pem}, xclient_from: [127.0.0.1]}
  - {name: submission, kind: submission, addr: "127.0.0.1:0", tls: {cert: %[1]s/cert.pem, key: %[1]s/key.pem}, backend: out}
limits: {message: 1MB, in_flight: 50MB}
backends:
  mail: [{addr: "%[2]s", tls: none}]
  out: [{addr: "%[3]s", tls: required, ca: %[1]s/cert.pem, server_name: localhost}]
routes:
  example.com: {backend: mail, recipients: verify}
egress: out
dns: {servers: ["%[4]s"]}
clamav: {addrs: ["%[5]s"], stream_max: 25MB}
lists:
  - {name: demo-list, zone: bl.example, of: ip, codes: {127.0.0.2: RBL_DEMO}}
auth: {trusted_sealers: {"*": [lists.example]}}
greylist: {wait: 1s}
quarantine: {cap: 1GB}
rules: {dir: %[1]s/rules.d}
admin: {addr: "127.0.0.1:0"}
desk: {addr: "127.0.0.1:0"}
alerts: {mail: [postmaster@example.com]}
`, w.Dir, w.Behind.Addr(), w.Egress.Addr(), w.Internet.Addr(), w.clamd.Endpoint)
	return os.WriteFile(w.Config, []byte(text), 0o600)
}

// certificate makes the self-signed certificate of gateway and backend and leaves it in the
// folder.
func (w *World) certificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour),
		DNSNames: []string{"localhost", "mx1.example.com"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	priv, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: priv})
	err = errors.Join(
		os.WriteFile(filepath.Join(w.Dir, "cert.pem"), certPEM, 0o600),
		os.WriteFile(filepath.Join(w.Dir, "key.pem"), keyPEM, 0o600),
	)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certPEM, keyPEM)
}
