// Package ports opens and serves the listeners of a gateway beside those of SMTP: the control
// socket, metrics and health, the API, the public pages, and those of Postfix and Dovecot.
package ports

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"postern/cmd/postern/abusedesk"
	"postern/internal/config"
	"postern/internal/control"
)

// Parts are what the listeners are opened with.
type Parts struct {
	Config     *config.Config
	Socket     string // name of the control socket below the state folder
	Connectors *abusedesk.Connectors
	Log        *slog.Logger
	// Certificate is told that a changed certificate of a listener cannot be used, and with nil
	// that it can again.
	Certificate func(name string, err error)
}

// Ports are the open listeners; nil where none is configured.
type Ports struct {
	Around abusedesk.Listeners // of Postfix and Dovecot

	admin, socket net.Listener
	api           *port
	public, desk  *port
}

// Open opens what is configured, and notes in addrs where, by name.
func Open(ctx context.Context, parts Parts, addrs map[string]net.Addr) (p Ports, err error) {
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	c := parts.Config
	if c.Admin.Addr != "" {
		var lc net.ListenConfig
		if p.admin, err = lc.Listen(ctx, "tcp", c.Admin.Addr); err != nil {
			return p, fmt.Errorf("admin listener: %w", err)
		}
		addrs["admin"] = p.admin.Addr()
	}
	for _, w := range []struct {
		name string
		c    config.Web
		port **port
	}{{"api", c.API, &p.api}, {"public", c.Public.Web(), &p.public}, {"desk", c.Desk.Web(), &p.desk}} {
		if *w.port, err = listenWeb(ctx, w.name, w.c, parts.Log, func(err error) { parts.Certificate(w.name, err) }); err != nil {
			return p, err
		}
		if *w.port != nil {
			addrs[w.name] = (*w.port).listener.Addr()
		}
	}
	if p.Around, err = parts.Connectors.Listen(ctx, addrs); err != nil {
		return p, err
	}
	if p.socket, err = control.Listen(ctx, filepath.Join(c.State, parts.Socket)); err != nil {
		return p, fmt.Errorf("control socket: %w", err)
	}
	return p, nil
}

// Close closes all of them.
func (p Ports) Close() {
	p.api.close()
	p.public.close()
	p.desk.close()
	p.Around.Close()
	for _, l := range []net.Listener{p.admin, p.socket} {
		if l != nil {
			_ = l.Close()
		}
	}
}

// Handlers answer on the listeners.
type Handlers struct {
	Calls              *control.Server
	Admin, API, Public http.Handler
	Desk               http.Handler
}

// Serve answers on all of them, each in the background.
func (p Ports) Serve(h Handlers, background func(name string, f func(context.Context) error)) {
	background("control", func(ctx context.Context) error { return h.Calls.Serve(ctx, p.socket) })
	background("admin", func(ctx context.Context) error { return p.serveAdmin(ctx, h.Admin) })
	background("api", func(ctx context.Context) error { return p.api.serve(ctx, h.API) })
	background("desk", func(ctx context.Context) error { return p.desk.serve(ctx, h.Desk) })
	background("public", func(ctx context.Context) error { return p.public.serve(ctx, h.Public) })
}

func (p Ports) serveAdmin(ctx context.Context, h http.Handler) error {
	if p.admin == nil {
		return nil
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(p.admin); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
