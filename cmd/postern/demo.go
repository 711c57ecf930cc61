package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/mail"
	"os"
	"slices"
	"strings"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/gateway"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/demo"
	"postern/internal/mailtest"
	"postern/quarantine"
	"postern/rules"
)

type demoCmd struct {
	Once bool `help:"End after the table; exit 0 only if every outcome was the expected one."`
	Logs bool `help:"Show the server's log lines."`
}

// Run starts the small world and a gateway in it, sends the samples and tells their fate.
func (c *demoCmd) Run(a *app.App) error {
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
	log := a.QuietLog()
	if c.Logs {
		log = a.ServerLog("info")
	}
	g, err := gateway.Build(a.Ctx, gateway.Options{
		Config: cfg, Rules: set, Log: log, Now: a.Now, ConfigFile: world.Config,
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
			c.invite(a, world, at)
			<-a.Ctx.Done()
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
func (c *demoCmd) show(ctx context.Context, a *app.App, g *gateway.Gateway, w *demo.World, at gateway.Addrs) (int, error) {
	if err := awaitReady(ctx, g); err != nil {
		return 0, err
	}
	caller, ctx := g.Calls(), control.WithActor(ctx, "demo")
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
		after, err := look(ctx, caller, w)
		if err != nil {
			return 0, err
		}
		row := demo.Row{Sample: s, Answer: answer}
		row.Where, row.Why = after.since(before).tell(answer)
		rows = append(rows, row)
	}
	return demo.Print(a.Stdout, rows), nil
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

// sight is what lies behind the gateway and in its quarantine.
type sight struct {
	delivered []mailtest.Transaction
	holds     []quarantine.Hold
}

func look(ctx context.Context, c control.Caller, w *demo.World) (sight, error) {
	var page quarantine.Page
	if err := c.Call(ctx, "quarantine.list", calls.Search{Limit: 1000}, &page); err != nil {
		return sight{}, err
	}
	slices.Reverse(page.Holds)
	s := sight{holds: page.Holds}
	for _, b := range []*mailtest.Backend{w.Behind, w.Egress} {
		for _, t := range b.Transactions() {
			if t.Accepted() {
				s.delivered = append(s.delivered, t)
			}
		}
	}
	slices.SortStableFunc(s.delivered, func(x, y mailtest.Transaction) int { return x.At.Compare(y.At) })
	return s, nil
}

func (s sight) since(before sight) sight {
	var fresh []quarantine.Hold
	for _, h := range s.holds {
		if !slices.ContainsFunc(before.holds, func(o quarantine.Hold) bool { return o.ID == h.ID }) {
			fresh = append(fresh, h)
		}
	}
	return sight{delivered: s.delivered[len(before.delivered):], holds: fresh}
}

// tell says where the copies of a message are, and why.
func (s sight) tell(answer demo.Answer) (where, why string) {
	var places []string
	evidence := ""
	for _, t := range s.delivered {
		places = append(places, "delivered")
		why = reasonsOf(t.Body)
	}
	for _, h := range s.holds {
		if h.Class == quarantine.Evidence {
			evidence = ", a copy kept as evidence"
		} else {
			places = append(places, "held ("+string(h.Class)+")")
		}
		var words []string
		for _, r := range h.Reasons {
			words = append(words, r.Symbol+" "+r.Detail)
		}
		if len(s.delivered) == 0 {
			why = strings.Join(words, "; ")
		}
	}
	switch {
	case len(places) == 0 && answer.Code >= 500:
		places = []string{"refused"}
		if why == "" {
			why = answer.Text
		}
	case len(places) == 0 && answer.Code >= 400:
		places, why = []string{"with the sender, who tries again"}, answer.Text
	}
	return strings.Join(places, "; ") + evidence, why
}

// reasonsOf reads our header of a delivered message.
func reasonsOf(raw []byte) string {
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return ""
	}
	verdict, reasons := m.Header.Get("X-Postern-Verdict"), m.Header.Get("X-Postern-Reasons")
	word, rest, _ := strings.Cut(verdict, ";")
	score, _, _ := strings.Cut(strings.TrimSpace(rest), ";")
	return strings.TrimSpace(word + " " + score + " " + reasons)
}

func (c *demoCmd) invite(a *app.App, w *demo.World, at gateway.Addrs) {
	fmt.Fprintf(a.Stdout, `
The gateway goes on serving until Ctrl-C:
  mail in       %s   (try: swaks --server %s --to ada@example.com)
  submission    %s   (ada@example.com, password %s)
  metrics       http://%s/metrics
  held mail     bin/postern -c %s quarantine list
  what happened bin/postern -c %s trace
`, at["mx"], at["mx"], at["submission"], demo.Password, at["admin"], w.Config, w.Config)
}
