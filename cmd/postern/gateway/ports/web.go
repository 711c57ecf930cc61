package ports

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"postern/cmd/postern/glue"
	"postern/internal/config"
)

// port is a listener that speaks HTTP.
type port struct {
	listener net.Listener
	tls      *tls.Config
	log      *slog.Logger
	wait     waits
}

// waits are how long a client may take.
type waits struct{ Header, Read, Write, Idle time.Duration }

// Bounds of every client of the desk, the API and the public pages.
const (
	HeaderWait = 10 * time.Second // until the head of a request is there
	ReadWait   = time.Minute      // until all of it is
	WriteWait  = 5 * time.Minute  // until the answer is taken
	IdleWait   = time.Minute      // between two requests
	MaxHeader  = 16 << 10         // octets of the head of a request
)

// listenWeb opens a listener; nil where none is configured. broken is told that a changed
// certificate cannot be used, and with nil that it can again.
func listenWeb(ctx context.Context, name string, c config.Web, log *slog.Logger, broken func(err error)) (*port, error) {
	if !c.On() {
		return nil, nil
	}
	p := &port{log: log, wait: waits{HeaderWait, ReadWait, WriteWait, IdleWait}}
	if c.TLS.Cert != "" {
		certs, err := glue.NewCerts(config.TLS{Cert: c.TLS.Cert, Key: c.TLS.Key}, log, broken)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		p.tls = &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return certs.Config(), nil }}
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", c.Addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p.listener = l
	return p, nil
}

// close closes it; a nil port has nothing to close.
func (p *port) close() {
	if p != nil {
		_ = p.listener.Close()
	}
}

// serve answers with h until ctx ends; a nil port serves nothing.
func (p *port) serve(ctx context.Context, h http.Handler) error {
	if p == nil {
		return nil
	}
	srv := &http.Server{
		Handler: h, TLSConfig: p.tls, ReadHeaderTimeout: p.wait.Header, ReadTimeout: p.wait.Read, WriteTimeout: p.wait.Write, IdleTimeout: p.wait.Idle, MaxHeaderBytes: MaxHeader,
		ErrorLog:    slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			_ = srv.Close()
		}
	})
	defer stop()
	listen := func() error { return srv.Serve(p.listener) }
	if p.tls != nil {
		listen = func() error { return srv.ServeTLS(p.listener, "", "") }
	}
	if err := listen(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
