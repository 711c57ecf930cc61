package redisd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// withTLS makes an authority, a certificate for the server and one for clients, and returns
// the words of the command line that demand them.
func (s *Server) withTLS(port int) ([]string, error) {
	ca, err := newAuthority()
	if err != nil {
		return nil, err
	}
	if _, err := ca.issue("server", x509.ExtKeyUsageServerAuth, s.Dir); err != nil {
		return nil, err
	}
	client, err := ca.issue("client", x509.ExtKeyUsageClientAuth, s.Dir)
	if err != nil {
		return nil, err
	}
	file := func(name string) string { return filepath.Join(s.Dir, name) }
	if err := os.WriteFile(file("ca.pem"), pemBlock("CERTIFICATE", ca.cert.Raw), 0o600); err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	s.TLS = &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{client}, ServerName: "localhost", MinVersion: tls.VersionTLS12}
	return []string{
		"--port", "0", "--tls-port", strconv.Itoa(port), "--tls-auth-clients", "yes", "--tls-replication", "yes",
		"--tls-cert-file", file("server.pem"), "--tls-key-file", file("server.key"), "--tls-ca-cert-file", file("ca.pem"),
	}, nil
}

// authority signs the certificates of one server.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redisd tests"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(raw)
	return &authority{cert, key}, err
}

// issue writes name.pem and name.key into the folder.
func (a *authority) issue(name string, use x509.ExtKeyUsage, dir string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	form := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{use}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if use == x509.ExtKeyUsageServerAuth { // a server is a client of its master
		form.ExtKeyUsage = append(form.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	raw, err := x509.CreateCertificate(rand.Reader, form, a.cert, key.Public(), a.key)
	if err != nil {
		return tls.Certificate{}, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	certPEM, keyPEM := pemBlock("CERTIFICATE", raw), pemBlock("PRIVATE KEY", secret)
	if err := os.WriteFile(filepath.Join(dir, name+".pem"), certPEM, 0o600); err != nil {
		return tls.Certificate{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, name+".key"), keyPEM, 0o600); err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certPEM, keyPEM)
}

func pemBlock(kind string, raw []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw})
}
