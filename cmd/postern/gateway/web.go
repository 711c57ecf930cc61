package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"postern/cmd/postern/access"
	"postern/cmd/postern/glue"
	"postern/internal/config"
	"postern/internal/control"
)

// web is a listener that speaks HTTP; nil where none is configured.
type web struct {
	listener net.Listener
	tls      *tls.Config
}

func (g *Gateway) listenWeb(ctx context.Context, name string, c config.Web, addrs Addrs) (*web, error) {
	if !c.On() {
		return nil, nil
	}
	w := &web{}
	if c.TLS.Cert != "" {
		certs, err := glue.NewCerts(config.TLS{Cert: c.TLS.Cert, Key: c.TLS.Key}, g.log, func(err error) {
			g.certificate(name, err)
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		w.tls = &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return certs.Config(), nil }}
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", c.Addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	w.listener, addrs[name] = l, l.Addr()
	return w, nil
}

func (w *web) close() {
	if w != nil {
		_ = w.listener.Close()
	}
}

// serveAPI answers calls of those who have a token.
func (g *Gateway) serveAPI(ctx context.Context, w *web, calls *control.Server) error {
	if w == nil {
		return nil
	}
	a := &access.Access{Calls: calls, People: g.people, Now: g.now, Log: g.log}
	return access.Serve(ctx, w.listener, a.Handler(), w.tls, g.log)
}
