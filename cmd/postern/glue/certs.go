package glue

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"postern/internal/config"
	"postern/internal/filemark"
)

// Certs holds the certificate of one listener and loads it anew when its files change. A
// pair that cannot be read leaves the old one in place.
type Certs struct {
	files config.TLS
	log   *slog.Logger
	// Broken is told that a changed pair cannot be used, and with nil that it can again.
	broken func(err error)

	mu   sync.Mutex
	seen [3]filemark.Mark
	cfg  *tls.Config
}

// NewCerts loads the pair; the error names the file.
func NewCerts(files config.TLS, log *slog.Logger, broken func(err error)) (*Certs, error) {
	c := &Certs{files: files, log: log, broken: broken}
	cfg, err := c.load()
	if err != nil {
		return nil, err
	}
	c.cfg, c.seen = cfg, c.marks()
	return c, nil
}

// Config is the configuration for the next handshake. It reads the files only where they changed.
func (c *Certs) Config() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.marks()
	if now == c.seen {
		return c.cfg
	}
	c.seen = now
	cfg, err := c.load()
	if err != nil {
		c.log.Error("the certificate changed and cannot be used; the old one stays", "err", err)
		c.broken(err)
		return c.cfg
	}
	c.broken(nil)
	c.cfg = cfg
	return cfg
}

func (c *Certs) marks() [3]filemark.Mark {
	return [3]filemark.Mark{filemark.Of(c.files.Cert), filemark.Of(c.files.Key), filemark.Of(c.files.ClientCA)}
}

func (c *Certs) load() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.files.Cert, c.files.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", c.files.Cert, c.files.Key, err)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if c.files.ClientCA != "" {
		pool, err := ReadCA(c.files.ClientCA)
		if err != nil {
			return nil, err
		}
		cfg.ClientCAs, cfg.ClientAuth = pool, tls.VerifyClientCertIfGiven
	}
	return cfg, nil
}

// ReadCA reads a file of PEM certificates.
func ReadCA(path string) (*x509.CertPool, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, errors.New(path + ": no certificate in it")
	}
	return pool, nil
}
