// Package gateway builds the running gateway out of its rooms: the parts in the order in
// which they depend on each other, the list of steps, reload, drain, and the calls of the
// control socket.
package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/cmd/postern/access"
	"postern/cmd/postern/backups"
	"postern/cmd/postern/browser"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/checks"
	"postern/cmd/postern/figures"
	"postern/cmd/postern/gateway/desk"
	"postern/cmd/postern/gateway/gauges"
	"postern/cmd/postern/glue"
	"postern/cmd/postern/home"
	"postern/cmd/postern/outbound"
	"postern/cmd/postern/rulecalls"
	"postern/cmd/postern/service"
	"postern/cmd/postern/setup"
	"postern/cmd/postern/steps"
	"postern/cmd/postern/testinbox"
	"postern/filter"
	"postern/filter/bounce"
	"postern/filter/clamav"
	"postern/internal/alert"
	"postern/internal/config"
	"postern/internal/dns"
	"postern/internal/record"
	"postern/internal/record/head"
	"postern/internal/relay"
	"postern/internal/relay/answered"
	"postern/internal/relay/backend"
	"postern/internal/relay/outbox"
	"postern/internal/relay/recipient"
	"postern/internal/smtpd"
	"postern/internal/spool"
	"postern/internal/stamp"
	"postern/internal/stamp/keys"
	"postern/quarantine"
	"postern/rules"
)

// Socket is the name of the control socket below the state folder.
const Socket = "postern.sock"

// Options are what a gateway is built from.
type Options struct {
	Config *config.Config
	Rules  *rules.Set
	Log    *slog.Logger
	Now    func() time.Time
	Random io.Reader // nil = crypto/rand
	// ReadConfig and ReadRules read the files anew at a reload; nil: nothing to reload.
	ReadConfig func() (*config.Config, error)
	ConfigFile string    // watched for changes; "" = none
	Read       time.Time // before the files were read; later changes are seen at the start
	ReadRules  func(*config.Config) (*rules.Set, error)
	// Version is shown in what we send; Self is the program that reads pictures for us, "" = none are.
	Version, Self string
	// Passive builds the parts for a command line without a server: nothing runs by itself.
	Passive bool
}

// Gateway is all parts of one node.
type Gateway struct {
	opt       Options
	now       func() time.Time
	log       *slog.Logger
	cfg       atomic.Pointer[config.Config]
	rules     atomic.Pointer[rules.Set]
	pipeline  atomic.Pointer[filter.Pipeline]
	written   atomic.Pointer[rules.Set] // as the files say
	off       atomic.Pointer[[]string]  // symbols that are switched off
	reloading sync.Mutex

	home       *home.Home
	care       *calls.Store // of the home; made by Calls
	key        []byte       // of this installation
	spool      *spool.Spool
	resolver   *dns.Resolver
	alerts     *alert.Alerter
	senders    []alert.Sender // of alerts
	heads      *head.Heads
	backups    *backups.Desk
	audit      *record.Auditor
	door       *access.Access
	registry   *prometheus.Registry
	metrics    *record.Metrics
	sizes      *gauges.Sizes
	figures    *figures.Desk
	pools      *backend.Pools
	verifier   *recipient.Verifier
	scanner    *clamav.Scanner // nil without clamav.addrs
	outbound   *outbound.Desk
	bounces    *bounce.Check
	desk       *desk.Desk
	service    *service.Desk // figures
	checks     *checks.Checks
	steps      steps.Checks
	keys       *keys.Store
	stamper    *stamp.Stamper
	releaser   *glue.Releaser
	quarantine *quarantine.Quarantine
	ruling     *rulecalls.Desk
	reports    *glue.Reports
	answers    *answered.Journal
	relay      *relay.Relay
	outbox     *outbox.Worker
	inbox      *testinbox.Inbox
	smtp       *smtpd.Server
	certs      map[string]*glue.Certs
}

// Build makes all parts, in the order in which they need each other. Nothing runs yet but
// what Close ends.
func Build(ctx context.Context, o Options) (*Gateway, error) {
	if o.Random == nil {
		o.Random = rand.Reader
	}
	g := &Gateway{opt: o, now: o.Now, log: slog.New(home.Quiet(o.Log.Handler())), certs: map[string]*glue.Certs{}}
	g.cfg.Store(o.Config)
	g.rules.Store(o.Rules)
	g.written.Store(o.Rules)
	for _, part := range []struct {
		name  string
		build func(context.Context) error
	}{
		{"store", g.buildStore},
		{"service", g.buildService},
		{"alerts", g.buildAlerts},
		{"resolver", g.buildResolver},
		{"clamav", g.buildScanner},
		{"trace", g.buildTrace},
		{"checks", g.buildChecks},
		{"backends", g.buildBackends},
		{"stamp", g.buildStamper},
		{"quarantine", g.buildQuarantine},
		{"rules", g.buildRules},
		{"relay", g.buildRelay},
		{"abuse desk", g.buildDesk},
		{"reports", g.buildReports},
		{"metrics", g.buildMetrics},
		{"backups", g.buildBackups},
		{"smtp", g.buildSMTP},
	} {
		if err := part.build(ctx); err != nil {
			g.Close(context.WithoutCancel(ctx))
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return g, nil
}

func (g *Gateway) buildStore(ctx context.Context) error {
	c := g.cfg.Load()
	g.spool = &spool.Spool{Dir: filepath.Join(c.State, "spool"), Memory: int64(c.Limits.Memory)}
	h, err := home.Open(ctx, home.Options{Config: c, Spool: g.spool, Now: g.now, Log: g.opt.Log, Event: g.event, Version: g.opt.Version, Rules: g.Revision, Passive: g.opt.Passive})
	if err != nil {
		return err
	}
	g.home = h
	g.audit = &record.Auditor{Store: h.Audit, Now: g.now}
	g.door, err = browser.NewDoor(browser.Door{Config: c, Entities: h.Entities, Now: g.now, Log: g.opt.Log, Audit: g.audit.Write})
	if err == nil {
		g.key, err = glue.NodeKey(filepath.Join(c.State, "trace.key"), g.opt.Random)
	}
	if err == nil {
		err = os.MkdirAll(g.spool.Dir, 0o700)
	}
	if err != nil || g.opt.Passive {
		return err
	}
	return g.spool.Clean()
}

func (g *Gateway) buildResolver(context.Context) (err error) {
	g.resolver, err = dns.New(setup.DNSConfig(g.cfg.Load()))
	return err
}

func (g *Gateway) buildScanner(context.Context) error {
	c := g.cfg.Load().ClamAV
	if len(c.Addrs) == 0 {
		return nil
	}
	s, err := clamav.New(setup.ScannerConfig(c), clamav.Parts{Now: g.now, Log: g.log, Alert: g.clamavEvent})
	g.scanner = s
	return err
}

func (g *Gateway) clamavEvent(e clamav.Event) {
	g.event("clamav:"+e.Key, e.Text, e.Over)
}

// event raises or clears an alert.
func (g *Gateway) event(key, text string, over bool) {
	if g.alerts == nil { // the store opens before the alerts that are sent through its outbox
		if !over {
			g.log.Error(text, "alert", key)
		}
		return
	}
	if over {
		g.alerts.Clear(key)
		return
	}
	g.alerts.Raise(key, alert.Critical, text, "")
}

func (g *Gateway) buildBackends(context.Context) error {
	cfg, err := glue.Pools(g.cfg.Load())
	if err != nil {
		return err
	}
	g.pools = backend.New(cfg, g.now, g.log)
	g.inbox = testinbox.Parts{Config: &g.cfg, Entities: g.home.Entities, Now: g.now, Random: g.opt.Random, Log: g.log}.New(relay.Pools{Pools: g.pools})
	c := g.cfg.Load().RecipientCache
	g.verifier = recipient.New(recipient.Config{
		Known: time.Duration(c.Known), Unknown: time.Duration(c.Unknown), TakesAny: setup.TakesAny(g.alerts),
	}, g.pools, g.now, g.log)
	return nil
}

// Revision is the rule set in effect.
func (g *Gateway) Revision() string { return g.rules.Load().Revision() }

// Close ends what Build and Run started. Run has returned before.
func (g *Gateway) Close(ctx context.Context) {
	var errs []error
	if g.verifier != nil {
		errs = append(errs, g.verifier.Close())
	}
	if g.pools != nil {
		errs = append(errs, g.pools.Close())
	}
	if g.answers != nil {
		errs = append(errs, g.answers.Close())
	}
	if g.alerts != nil {
		g.alerts.Close(ctx)
	}
	if g.resolver != nil {
		g.resolver.Close()
	}
	if g.home != nil {
		errs = append(errs, g.home.Close())
	}
	if err := errors.Join(errs...); err != nil {
		g.log.Error("closing", "err", err)
	}
}
