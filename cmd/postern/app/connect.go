package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"postern/cmd/postern/gateway"
	"postern/internal/config"
	"postern/internal/control"
)

// Connect reaches the running server over its socket; without one it opens the embedded home
// under its lock and makes the same calls in this process.
func (a *App) Connect() (control.Caller, func(), error) {
	cfg, err := config.Load(a.Config)
	if err != nil {
		return nil, nil, err
	}
	c, err := control.Dial(a.Ctx, filepath.Join(cfg.State, gateway.Socket))
	token := os.Getenv(TokenVar)
	if err == nil {
		c.Token = token
		return c, c.Close, nil
	}
	if !control.NoServer(err) {
		return nil, nil, fmt.Errorf("the server's socket: %w", err)
	}
	set, err := LoadRules(cfg.Rules.Dir)
	if err != nil {
		return nil, nil, err
	}
	g, err := gateway.Build(a.Ctx, gateway.Options{Config: cfg, Rules: set, Log: a.QuietLog(), Now: a.Now, ConfigFile: a.Config, Passive: true})
	if err != nil {
		return nil, nil, err
	}
	return g.Calls().As(control.Self(), token), func() { g.Close(context.WithoutCancel(a.Ctx)) }, nil
}

// TokenVar is the variable of the environment that makes the calls of a command those of a
// user of the desk.
const TokenVar = "POSTERN_TOKEN"

// Call makes one call and prints its answer as JSON, or by show.
func Call[P, R any](a *App, name string, params P, asJSON bool, show func(R)) error {
	c, done, err := a.Connect()
	if err != nil {
		return err
	}
	defer done()
	var result R
	if err := c.Call(a.Ctx, name, params, &result); err != nil {
		return CallError(err)
	}
	if asJSON {
		return a.JSON(result)
	}
	show(result)
	return nil
}

// CallError gives a refusal of the server its exit code.
func CallError(err error) error {
	var e *control.Error
	if !errors.As(err, &e) {
		return err
	}
	code := Fault
	switch e.Kind {
	case control.Invalid:
		code = Usage
	case control.NotFound, control.Conflict:
		code = Finding
	}
	return &Exit{code, errors.New(Clean(e.Message))}
}
