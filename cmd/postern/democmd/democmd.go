// Package democmd is the command that shows the gateway in a small world of its own.
package democmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/gateway"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/demo"
	"postern/rules"
)

// Cmd is "postern demo".
type Cmd struct {
	Once bool `help:"End after the table; exit 0 only if every outcome was the expected one."`
	Logs bool `help:"Show the server's log lines."`
}

// Run starts the small world and a gateway in it, sends the samples and tells their fate.
func (c *Cmd) Run(a *app.App) error {
	dir, err := os.MkdirTemp("", "postern-demo")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	world, err := demo.NewWorld(a.Ctx, dir)
	if err != nil {
		return err
	}
	defer world.Close()
	cfg, err := config.Load(world.Config)
	if err != nil {
		return err
	}
	set, err := app.LoadChecked(cfg.Rules.Dir)
	if err != nil {
		return err
	}
	if err := remember(a.Ctx, cfg, a.Now); err != nil {
		return fmt.Errorf("synthetic history: %w", err)
	}
	log := a.QuietLog()
	if c.Logs {
		log = a.ServerLog("info")
	}
	g, err := gateway.Build(a.Ctx, gateway.Options{
		Config: cfg, Rules: set, Log: log, Now: a.Now, Self: a.Self, ConfigFile: world.Config,
		ReadConfig: func() (*config.Config, error) { return config.Load(world.Config) },
		ReadRules:  func(c *config.Config) (*rules.Set, error) { return app.LoadRules(c.Rules.Dir) },
	})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(a.Ctx)
	defer stop()
	addrs := make(chan gateway.Addrs, 1)
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx, func(at gateway.Addrs) { addrs <- at }) }()
	var wrong int
	select {
	case err = <-ended:
	case at := <-addrs:
		wrong, err = c.show(ctx, a, g, world, at)
		if err == nil && !c.Once {
			err = c.invite(ctx, a, g.Calls(), world, at)
		}
		stop()
		err = errors.Join(err, <-ended)
	}
	g.Close(context.WithoutCancel(ctx))
	if err == nil && wrong > 0 {
		return app.Findf("%d samples did not end as expected", wrong)
	}
	return err
}

// show sends the samples and prints the table.
func (c *Cmd) show(ctx context.Context, a *app.App, g *gateway.Gateway, w *demo.World, at gateway.Addrs) (int, error) {
	if err := awaitReady(ctx, g); err != nil {
		return 0, err
	}
	caller, ctx := g.Calls(), control.WithActor(ctx, "demo")
	if err := sign(ctx, caller, w); err != nil {
		return 0, err
	}
	change := calls.AccountChange{Name: "mallory@example.com", Reason: "shown in the demo"}
	if err := caller.Call(ctx, "account.suspend", change, nil); err != nil {
		return 0, err
	}
	samples, err := w.Samples(a.Now())
	if err != nil {
		return 0, err
	}
	var rows []demo.Row
	for _, s := range samples {
		addr := at["mx"].String()
		if s.Login != "" {
			addr = at["submission"].String()
		}
		before, err := look(ctx, caller, w)
		if err != nil {
			return 0, err
		}
		answer, err := demo.Send(addr, s)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", s.Name, err)
		}
		after, err := settled(ctx, caller, w, s)
		if err != nil {
			return 0, err
		}
		row := demo.Row{Sample: s, Answer: answer}
		row.Where, row.Why = after.since(before).tell(answer)
		rows = append(rows, row)
	}
	return demo.Print(a.Stdout, rows), nil
}

// sign makes a key for the domain of the accounts and publishes it.
func sign(ctx context.Context, c control.Caller, w *demo.World) error {
	var key struct{ Record struct{ Name, Text string } }
	if err := c.Call(ctx, "dkim.add", map[string]string{"domain": "example.com", "selector": "demo"}, &key); err != nil {
		return err
	}
	if err := w.Internet.Set(key.Record.Name, "TXT "+key.Record.Text); err != nil {
		return err
	}
	return c.Call(ctx, "dkim.dns", map[string]string{"domain": "example.com"}, nil)
}

// awaitReady waits until the scanner has found its test virus.
func awaitReady(ctx context.Context, g *gateway.Gateway) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	end := time.After(time.Minute)
	for {
		s := g.Status(ctx)
		if s.Ready {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end:
			return fmt.Errorf("the gateway is not ready: %s", strings.Join(s.NotReady, "; "))
		case <-tick.C:
		}
	}
}

// invite says what can be tried, and waits until nobody wants to any more.
func (c *Cmd) invite(ctx context.Context, a *app.App, by control.Caller, w *demo.World, at gateway.Addrs) error {
	url, err := link(ctx, by, at)
	if err != nil {
		return fmt.Errorf("the first user of the desk: %w", err)
	}
	fmt.Fprintf(a.Stdout, `
The gateway goes on serving until Ctrl-C:
  mail in       %s   (try: swaks --server %s --to ada@example.com)
  submission    %s   (ada@example.com, password %s)
  metrics       http://%s/metrics
  held mail     bin/postern -c %s quarantine list
  what happened bin/postern -c %s trace
`, at["mx"], at["mx"], at["submission"], demo.Password, at["admin"], w.Config, w.Config)
	tellDesk(a.Stdout, url)
	<-a.Ctx.Done()
	return nil
}
