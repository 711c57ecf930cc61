package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"time"

	"postern/cmd/postern/gateway/desk"
	"postern/cmd/postern/gateway/seen"
	"postern/cmd/postern/glue"
	"postern/cmd/postern/setup"
	"postern/filter"
	"postern/internal/alert"
	"postern/internal/config"
	"postern/internal/mime"
	"postern/internal/record"
	"postern/internal/relay"
	"postern/internal/relay/answered"
	"postern/internal/relay/outbox"
	"postern/internal/smtpd"
	"postern/internal/stamp"
	"postern/internal/stamp/keys"
	"postern/internal/stamp/sign"
)

func (g *Gateway) buildAlerts(context.Context) error {
	c := g.cfg.Load()
	var senders []alert.Sender
	if len(c.Alerts.Mail) > 0 {
		senders = append(senders, &alert.Mail{
			Hostname: c.Hostname, To: c.Alerts.Mail, Now: g.now, Submit: g.submitter().Submit,
			NewID: func() (string, error) { return filter.NewID(g.now(), g.opt.Random) },
		})
	}
	if c.Alerts.Webhook.URL != "" {
		secret, err := config.ReadSecret(c.Alerts.Webhook.SecretFile)
		if err != nil {
			return err
		}
		senders = append(senders, &alert.Webhook{URL: c.Alerts.Webhook.URL, Secret: secret, HTTP: glue.WebhookClient(), Now: g.now})
	}
	g.senders = senders
	g.alerts = alert.New(c.Hostname, g.now, g.log, time.Second, append([]alert.Sender{g.service}, senders...)...)
	return nil
}

// submitter wakes the outbox worker, which is built later than the alerts that use it.
func (g *Gateway) submitter() *glue.Submitter {
	return &glue.Submitter{Config: &g.cfg, Store: g.home.Outbox, Spool: g.spool, Now: g.now, Random: g.opt.Random, Wake: func() {
		if g.outbox != nil {
			g.outbox.Wake()
		}
	}}
}

func (g *Gateway) buildStamper(context.Context) (err error) {
	c := g.cfg.Load()
	g.stamper = &stamp.Stamper{Names: setup.HeaderNames(c), Key: g.key, AV: g.avVersion, Alert: g.event, Tracer: g.outbound}
	if g.keys, err = keys.Open(filepath.Join(c.State, "dkim"), g.now); err != nil {
		return err
	}
	g.stamper.Signer = &sign.Signer{Keys: g.keys, Now: g.now, Log: g.log, Alert: g.event, Gateway: g.gatewayDomain, Also: []string{g.stamper.Names.Trace}}
	if c.Auth.ArcSeal {
		g.stamper.Sealer = &glue.Sealer{Domain: c.Auth.ArcDomain, AuthservID: g.stamper.Names.AuthservID, Keys: g.keys, Now: g.now, Log: g.log}
	}
	return nil
}

func (g *Gateway) buildRelay(context.Context) (err error) {
	c := g.cfg.Load()
	if g.answers, err = answered.Open(c.State, g.now); err != nil {
		return err
	}
	trouble := func(ctx context.Context, key, text string) { g.alerts.Raise(key, alert.Warning, text, "") }
	g.relay = &relay.Relay{
		Backends: g.inbox, Holds: glue.Holds{Quarantine: g.quarantine}, Outbox: g.home.Outbox,
		Stamper: g.stamper, Sent: g.outbound, Answers: g.answers, Alert: trouble, Now: g.now, Log: g.log,
		Limits: relay.Limits{Before: time.Duration(c.Relay.BeforeDot), After: time.Duration(c.Relay.AfterDot), Keep: time.Duration(c.Relay.OutboxFor)},
	}
	g.outbox = &outbox.Worker{Store: g.home.Outbox, Courier: g.relay, Now: g.now, Log: g.log, Alert: trouble, Ended: outbox.Each(g.outbound.Ended, g.service.Ended), Paused: g.checks.Accounts.Paused}
	g.relay.Wake = g.outbox.Wake
	return nil
}

// certificate says that a changed certificate of a listener cannot be used, or can again.
func (g *Gateway) certificate(listener string, err error) {
	if err == nil {
		g.alerts.Clear("certificate:" + listener)
		return
	}
	g.alerts.Raise("certificate:"+listener, alert.Critical, "the certificate of listener "+listener+" cannot be used", err.Error())
}

func (g *Gateway) buildSMTP(context.Context) error {
	for _, l := range g.cfg.Load().Listeners {
		if l.TLS.Cert == "" {
			continue
		}
		certs, err := glue.NewCerts(l.TLS, g.log, func(err error) { g.certificate(l.Name, err) })
		if err != nil {
			return fmt.Errorf("listener %s: %w", l.Name, err)
		}
		g.certs[l.Name] = certs
	}
	observer := &record.Observer{Node: g.cfg.Load().Hostname, Log: g.log, Traffic: g.home.Traffic, Metrics: g.metrics, Headers: seen.Headers, MessageID: seen.Given(g.stamper), Count: g.figures.Book.Count}
	g.smtp = smtpd.New(setup.SMTP(g.cfg.Load(), g.extras()), smtpd.Parts{
		Pipeline:      g.pipeline.Load,
		Directory:     &glue.Directory{Config: &g.cfg, Rules: &g.rules, Verifier: g.verifier, Desk: g.forDesk},
		Always:        desk.Always,
		Deliverer:     &glue.Deliverer{Rules: &g.rules, Relay: g.relay, Pipeline: g.pipeline.Load, Log: g.log},
		Authenticator: &glue.Authenticator{Config: &g.cfg, Pools: g.pools},
		Accounts:      g.checks.Accounts,
		LoggedIn:      g.desk.Measures.Logins.Seen,
		Observers:     append([]filter.Observer{observer, g.ruling.Features, g.outbound, g.bounces, g.reports, g.desk.Intake, g.desk, g.service, g.inbox}, g.checks.Observers(desk.Always)...),
		Answered:      g.relay.Answered,
		Refused:       g.checks.Limits.Refused,
		Abandoned:     g.checks.Limits.Abandoned,
		Spool:         g.spool,
		Log:           g.log, Now: g.now, Random: g.opt.Random,
		ParseMail: func(r io.ReaderAt, size int64) (*mime.Tree, error) { return mime.Walk(r, size, mime.DefaultLimits()) },
		Policy: func(d filter.Direction, account, address string) string {
			if d == filter.Outbound {
				return g.rules.Load().AccountPolicy(account)
			}
			return g.rules.Load().PolicyFor(address)
		},
		ReverseName: g.reverseName,
	})
	return nil
}

// extras are what listeners have besides their configuration.
func (g *Gateway) extras() setup.Extras {
	return setup.Extras{
		TLS: func(listener string) func() *tls.Config {
			if certs := g.certs[listener]; certs != nil {
				return certs.Config
			}
			return nil
		},
		Extensions: func(l config.Listener) smtpd.Extensions {
			e := g.pools.Extensions(setup.ListenerBackends(g.cfg.Load(), l)...)
			return smtpd.Extensions{SMTPUTF8: e.SMTPUTF8, EightBit: e.EightBitMIME, Size: e.Size}
		},
	}
}

type bound struct {
	listener *smtpd.Listener
	net.Listener
}

// listen opens every listener or none.
func (g *Gateway) listen(ctx context.Context) ([]bound, Addrs, error) {
	var all []bound
	addrs := Addrs{}
	var lc net.ListenConfig
	for _, l := range setup.SMTP(g.cfg.Load(), g.extras()).Listeners {
		ln, err := lc.Listen(ctx, "tcp", l.Addr)
		if err != nil {
			closeAll(all)
			return nil, nil, fmt.Errorf("listener %s: %w", l.Name, err)
		}
		all = append(all, bound{l, ln})
		addrs[l.Name] = ln.Addr()
	}
	if len(all) == 0 {
		return nil, nil, errors.New("no listeners are configured")
	}
	return all, addrs, nil
}

func closeAll(all []bound) {
	for _, b := range all {
		_ = b.Close() // nothing was taken on it
	}
}
