package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"

	"postern/internal/relay/client/reply"
	"postern/internal/relay/client/xclient"
)

// greet takes a fresh connection from the banner to where MAIL may be said.
func (c *Conn) greet(ctx context.Context) error {
	r, err := c.read(ctx, StageBanner, true)
	if err != nil {
		return err
	}
	if r.Code != 220 {
		return c.fail(StageBanner, r, nil)
	}
	if err := c.hello(ctx); err != nil {
		return err
	}
	if c.o.TLS.Mode != TLSNone {
		if err := c.startTLS(ctx); err != nil {
			return err
		}
	}
	if a := c.o.Auth; a != nil {
		return c.Auth(ctx, a.Mechanism, a.User, a.Secret)
	}
	return nil
}

// hello says LHLO or EHLO and notes what is offered. A server that does not know EHLO is
// greeted by HELO; any other refusal is a fault.
func (c *Conn) hello(ctx context.Context) error {
	verb := "EHLO "
	if c.o.Protocol == LMTP {
		verb = "LHLO "
	}
	r, err := c.ask(ctx, StageHello, verb+c.o.LocalName)
	if err != nil {
		return err
	}
	c.ext = Extensions{}
	switch {
	case r.Code == 250:
		c.ext = reply.ParseExtensions(r.Lines)
		return nil
	case c.o.Protocol != LMTP && (r.Code == 500 || r.Code == 501 || r.Code == 502 || r.Code == 504):
		r, err = c.ask(ctx, StageHello, "HELO "+c.o.LocalName)
		if err != nil {
			return err
		}
		if r.Code == 250 {
			return nil
		}
	}
	return c.fail(StageHello, r, nil)
}

// errHandshake marks a TLS handshake that failed honestly, with nothing said in clear.
var errHandshake = errors.New("tls handshake")

func isHandshake(err error) bool { return errors.Is(err, errHandshake) }

func (c *Conn) startTLS(ctx context.Context) error {
	required := c.o.TLS.Mode == TLSRequired
	if !c.ext.StartTLS {
		if required {
			return c.fail(StageTLS, Reply{}, ErrNoTLS)
		}
		return nil
	}
	r, err := c.ask(ctx, StageTLS, "STARTTLS")
	if err != nil {
		return err
	}
	if r.Code != 220 {
		if !required && (r.Temporary() || r.Permanent()) && r.Code != 421 {
			return nil
		}
		return c.fail(StageTLS, r, nil)
	}
	if peek(c.raw) == text {
		return c.fail(StageTLS, r, fmt.Errorf("%w: clear text after the answer to STARTTLS", ErrProtocol))
	}
	tc := tls.Client(c.raw, c.tlsConfig())
	if err := c.handshake(ctx, tc); err != nil {
		return err
	}
	c.nc, c.r = tc, bufio.NewReaderSize(tc, reply.Buffer)
	// What was offered in clear may have been put there by somebody else (RFC 3207 section 4.2).
	return c.hello(ctx)
}

func (c *Conn) handshake(ctx context.Context, tc *tls.Conn) error {
	defer c.limit(ctx, c.o.Timeouts.Reply)()
	if err := tc.Handshake(); err != nil {
		var header tls.RecordHeaderError
		if errors.As(err, &header) {
			return c.fail(StageTLS, Reply{}, fmt.Errorf("%w: clear text in place of a handshake", ErrProtocol))
		}
		return c.fail(StageTLS, Reply{}, fmt.Errorf("%w: %w", errHandshake, cause(ctx, err)))
	}
	s := tc.ConnectionState()
	c.tls.Version, c.tls.Cipher = tls.VersionName(s.Version), tls.CipherSuiteName(s.CipherSuite)
	return nil
}

// tlsConfig verifies where TLS is required. Opportunistic TLS takes any certificate, but
// whether this one would have passed is noted: only then a login may be sent.
func (c *Conn) tlsConfig() *tls.Config {
	name := c.o.TLS.ServerName
	if name == "" {
		name, _, _ = net.SplitHostPort(c.o.Addr)
	}
	cfg := &tls.Config{
		ServerName:         name,
		RootCAs:            c.o.TLS.CA,
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: c.o.TLS.Mode != TLSRequired,
	}
	cfg.VerifyConnection = func(s tls.ConnectionState) error {
		if !cfg.InsecureSkipVerify {
			c.tls.Verified = true // the chain and name were checked before this is called
			return nil
		}
		if len(s.PeerCertificates) == 0 {
			return nil
		}
		opts := x509.VerifyOptions{Roots: cfg.RootCAs, DNSName: name, Intermediates: x509.NewCertPool()}
		for _, cert := range s.PeerCertificates[1:] {
			opts.Intermediates.AddCert(cert)
		}
		_, err := s.PeerCertificates[0].Verify(opts)
		c.tls.Verified = err == nil
		return nil
	}
	return cfg
}

// introduce passes the real client on, as far as it was asked for and the server takes it.
// XCLIENT starts the session anew: the server greets and is greeted again. A refused
// XFORWARD changes nothing for the mail and is passed over.
func (c *Conn) introduce(ctx context.Context, e Envelope) error {
	if c.o.XClient && len(c.ext.XClient) > 0 && e.Client.IP.IsValid() {
		r, err := c.ask(ctx, StageXClient, "XCLIENT"+xclient.Attributes(c.ext.XClient, e.session()))
		if err != nil {
			return err
		}
		if r.Code != 220 {
			return c.fail(StageXClient, r, nil)
		}
		c.impersonated = true
		if err := c.hello(ctx); err != nil {
			return err
		}
	}
	if c.o.XForward && len(c.ext.XForward) > 0 && e.Client.IP.IsValid() {
		r, err := c.ask(ctx, StageXClient, "XFORWARD"+xclient.Attributes(c.ext.XForward, e.session()))
		if err != nil {
			return err
		}
		if r.Code == 421 {
			return c.fail(StageXClient, r, nil)
		}
	}
	return nil
}
