package main

import (
	"context"
	"fmt"
	"os/user"
	"path/filepath"

	"postern/cmd/postern/gateway"
	"postern/internal/config"
	"postern/internal/control"
)

// connect reaches the running server over its socket; without one it opens the embedded home
// under its lock and makes the same calls in this process.
func connect(a *app) (control.Caller, func(), error) {
	cfg, err := config.Load(a.config)
	if err != nil {
		return nil, nil, err
	}
	c, err := control.Dial(a.ctx, filepath.Join(cfg.State, gateway.Socket))
	if err == nil {
		return c, c.Close, nil
	}
	if !control.NoServer(err) {
		return nil, nil, fmt.Errorf("the server's socket: %w", err)
	}
	set, err := loadRules(cfg.Rules.Dir)
	if err != nil {
		return nil, nil, err
	}
	g, err := gateway.Build(a.ctx, gateway.Options{Config: cfg, Rules: set, Log: quietLog(a.stderr), Now: a.now, Passive: true})
	if err != nil {
		return nil, nil, err
	}
	return &named{g.Calls(), actor()}, func() { g.Close(context.WithoutCancel(a.ctx)) }, nil
}

// named notes who calls.
type named struct {
	control.Caller
	actor string
}

func (n *named) Call(ctx context.Context, name string, params, result any) error {
	return n.Caller.Call(control.WithActor(ctx, n.actor), name, params, result)
}

func actor() string {
	u, err := user.Current()
	if err != nil {
		return "unknown"
	}
	return "uid " + u.Uid + " (" + u.Username + ")"
}

// call makes one call and prints its answer as JSON, or by show.
func call[P, R any](a *app, name string, params P, asJSON bool, show func(R)) error {
	c, done, err := connect(a)
	if err != nil {
		return err
	}
	defer done()
	var result R
	if err := c.Call(a.ctx, name, params, &result); err != nil {
		return callError(err)
	}
	if asJSON {
		return printJSON(a.stdout, result)
	}
	show(result)
	return nil
}
