package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/gateway"
	"postern/internal/config"
	"postern/internal/control"
)

// healthTime is how long the server may take to answer.
const healthTime = 5 * time.Second

type healthCmd struct {
	Ready bool `help:"Ask whether it can do all of its work, too."`
	JSON  bool `name:"json" help:"Print JSON."`
}

// Run asks the running server over its socket. No answer is a finding, and with --ready
// whatever keeps the server from its whole work.
func (c *healthCmd) Run(a *app.App) error {
	cfg, err := config.Load(a.Config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(a.Ctx, healthTime)
	defer cancel()
	var s gateway.Status
	client, err := control.Dial(ctx, filepath.Join(cfg.State, gateway.Socket))
	if err == nil {
		defer client.Close()
		err = client.Call(ctx, "status", struct{}{}, &s)
	}
	if err != nil {
		return app.Findf("the server does not answer: %s", app.Clean(err.Error()))
	}
	if c.JSON {
		err = a.JSON(s)
	} else {
		word := "ready"
		if !s.Ready {
			word = "serves, but is not ready: " + app.Clean(strings.Join(s.NotReady, "; "))
		}
		_, err = fmt.Fprintln(a.Stdout, word)
	}
	if err == nil && c.Ready && !s.Ready {
		return &app.Exit{Code: app.Finding}
	}
	return err
}
