package democmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"postern/cmd/postern/gateway"
	"postern/cmd/postern/home"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/demo"
	"postern/internal/record/trend"
	"postern/internal/spool"
)

// remember gives the demo's own home a day to look back on.
func remember(ctx context.Context, cfg *config.Config, now func() time.Time) error {
	log := slog.New(slog.DiscardHandler)
	h, err := home.Open(ctx, home.Options{
		Config: cfg, Spool: &spool.Spool{Memory: 1 << 20}, Now: now, Log: log, Event: func(string, string, bool) {}, Rules: func() string { return "" }, Passive: true,
	})
	if err != nil {
		return err
	}
	book := &trend.Book{Store: h.Entities, Node: demo.Synthetic, Now: now, Log: log}
	return errors.Join(book.Past(ctx, demo.History(now())), h.Close())
}

// reader is who signs in to the desk of the demo.
const reader = "demo"

// link makes somebody who may do everything, and the address under which they sign in, once.
func link(ctx context.Context, c control.Caller, at gateway.Addrs) (string, error) {
	ctx = control.WithActor(ctx, "demo")
	if err := c.Call(ctx, "user.add", map[string]string{"name": reader, "role": "postmaster", "email": "postmaster@example.com"}, nil); err != nil {
		return "", err
	}
	var l struct {
		Path string `json:"path"`
	}
	err := c.Call(ctx, "user.invite", map[string]string{"name": reader}, &l)
	return "http://" + at["desk"].String() + l.Path, err
}

// tellDesk says where the desk is, and what on it is made up.
func tellDesk(w io.Writer, url string) {
	fmt.Fprintf(w, `
The desk, in a browser. The link works once; there you choose a password for the user %q:
  %s
Its figures begin with a day of synthetic history (node %q): traffic that never was,
so that there is something to see. What the samples above came to is counted beside it.
`, reader, url, demo.Synthetic)
}
