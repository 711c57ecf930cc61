package gateway

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"postern/cmd/postern/browser"
	"postern/cmd/postern/figures"
	"postern/cmd/postern/gateway/gauges"
	"postern/cmd/postern/gateway/ports"
	"postern/cmd/postern/home"
	"postern/cmd/postern/steps"
	"postern/filter/clamav"
	"postern/internal/alert"
	"postern/internal/record"
	"postern/internal/relay/backend"
)

// Status is the state of the node in one look.
type Status struct {
	Hostname string                      `json:"hostname"`
	Ready    bool                        `json:"ready"`
	NotReady []string                    `json:"not_ready,omitempty"` // why
	Rules    string                      `json:"rules"`
	Restart  []string                    `json:"restart,omitempty"` // what of the configuration waits for one
	AV       string                      `json:"av"`
	Sessions int                         `json:"sessions"`
	InFlight int64                       `json:"in_flight"` // bytes of bodies
	Backends map[string][]backend.Health `json:"backends"`
	Store    home.Status                 `json:"store"`
	Alerts   []alert.Alert               `json:"alerts,omitempty"`
	Sizes    []home.Size                 `json:"sizes,omitempty"` // of each kind of state, with its cap
}

// Status looks at all parts.
func (g *Gateway) Status(ctx context.Context) Status {
	n := g.smtp.Sessions()
	s := Status{
		Hostname: g.cfg.Load().Hostname, NotReady: g.notReady(), Rules: g.Revision(), AV: g.avVersion(), Restart: g.ruling.Waiting(),
		Sessions: n.Sessions, InFlight: n.InFlight, Alerts: g.alerts.Active(), Store: g.home.Status(ctx), Sizes: g.sizes.Get(ctx), Backends: map[string][]backend.Health{},
	}
	s.Ready = len(s.NotReady) == 0
	for name := range g.cfg.Load().Backends {
		s.Backends[name] = g.pools.Health(name)
	}
	return s
}

// notReady names what keeps the node from doing its whole work.
func (g *Gateway) notReady() []string {
	var why []string
	if g.scanner != nil && !g.scanner.Ready() {
		why = append(why, "clamav has not found the test virus")
	}
	if err := g.home.Degraded(); err != nil {
		why = append(why, "the store: "+err.Error())
	}
	for name := range g.cfg.Load().Backends {
		if !g.pools.Up(name) {
			why = append(why, "no server of backend "+name+" is up")
		}
	}
	slices.Sort(why)
	return why
}

func (g *Gateway) buildMetrics(context.Context) (err error) {
	g.registry = prometheus.NewRegistry()
	g.home.Metrics(g.registry)
	g.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	g.sizes = &gauges.Sizes{Home: g.home, Now: g.now}
	g.registry.MustRegister(&gauges.Stored{Sizes: g.sizes, Ages: func() (last, full, oldest time.Duration, ok bool, err error) { return g.backups.Ages() }})
	g.figures = figures.New(figures.Parts{Home: g.home, Node: g.cfg.Load().Hostname, Now: g.now, Log: g.log, Lists: g.checks.Lists.Health, Scanner: func() *clamav.Scanner { return g.scanner },
		Sessions: func() int { return g.smtp.Sessions().Sessions }, Alerts: g.alerts.Active, Cap: func() int64 { return int64(g.cfg.Load().Quarantine.Cap) }})
	g.metrics, err = record.NewMetrics(g.registry, steps.Names(), gauges.Of(g.home, g.cfg.Load, func() int { return g.smtp.Sessions().Sessions }))
	return err
}

// Handlers answer beside SMTP.
func (g *Gateway) Handlers() (ports.Handlers, *browser.Browser, error) {
	server, c := g.Calls(), g.cfg.Load()
	web, err := browser.New(browser.Parts{Calls: server, Door: g.door, Config: c, Now: g.now, Log: g.log, Audit: g.audit.Write})
	page := g.desk.Public(server)
	return ports.Handlers{Calls: server, Admin: ports.Admin(g.registry, g.notReady), API: web.API, Desk: web.Desk, Public: page}, web, err
}
