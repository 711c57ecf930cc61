package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"postern/cmd/postern/app"
	"postern/cmd/postern/gateway"
	"postern/cmd/postern/rulecalls"
	"postern/cmd/postern/setup"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/strict"
)

// differ says which keys of a configuration would change something, and when: beside an earlier
// file, or beside what a running node has. Without either nothing is said.
func (c *configCheckCmd) differ(a *app.App, path string, cfg *config.Config) error {
	if c.Against != "" {
		old, err := config.Load(c.Against)
		if err != nil {
			return &app.Exit{Code: app.Finding, Err: err}
		}
		tell(a.Stdout, c.Against, setup.Differ(old, old, cfg))
		return nil
	}
	node, err := running(a, cfg)
	if node == nil {
		if err != nil {
			fmt.Fprintln(a.Stdout, "not compared with the running gateway:", app.Clean(err.Error()))
		}
		return nil
	}
	defer node.Close()
	got, err := asked(a.Ctx, node, path)
	if err != nil {
		fmt.Fprintln(a.Stdout, "not compared with the running gateway:", app.Clean(app.CallError(err).Error()))
		return nil
	}
	tell(a.Stdout, "the running "+app.Clean(got.Node), got.Difference)
	return nil
}

func asked(ctx context.Context, node *control.Client, path string) (got rulecalls.Compared, err error) {
	f, err := os.Open(path)
	if err != nil {
		return got, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, strict.MaxBytes+1))
	if err != nil {
		return got, err
	}
	err = node.Call(ctx, "config.compare", rulecalls.ConfigText{File: path, Text: string(text)}, &got)
	return got, err
}

// running is the gateway that has the state folder of the configuration that is used here, or of
// the one that is checked; nil where none runs.
func running(a *app.App, cfg *config.Config) (*control.Client, error) {
	folders := []string{cfg.State}
	if used, err := config.Load(a.Config); err == nil && used.State != cfg.State {
		folders = []string{used.State, cfg.State}
	}
	var fault error
	for _, dir := range folders {
		c, err := control.Dial(a.Ctx, filepath.Join(dir, gateway.Socket))
		if err == nil {
			c.Token = os.Getenv(app.TokenVar)
			return c, nil
		}
		if !control.NoServer(err) {
			fault = fmt.Errorf("its socket: %w", err)
		}
	}
	return nil, fault
}

func tell(w io.Writer, with string, d setup.Difference) {
	if len(d.Reload)+len(d.Restart) == 0 {
		fmt.Fprintf(w, "nothing differs from %s\n", with)
		return
	}
	fmt.Fprintf(w, "compared with %s:\n", with)
	for _, part := range []struct {
		when string
		keys []string
	}{{"in effect when it is reloaded", d.Reload}, {"in effect after a restart", d.Restart}} {
		if len(part.keys) > 0 {
			fmt.Fprintf(w, "  %s: %s\n", part.when, app.Clean(strings.Join(part.keys, ", ")))
		}
	}
}
