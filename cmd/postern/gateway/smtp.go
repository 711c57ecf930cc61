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

	"postern/cmd/postern/glue"
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
	g.alerts = alert.New(c.Hostname, g.now, g.log, time.Second, senders...)
	return nil
}

// submitter wakes the outbox worker, which is built later than the alerts that use it.
func (g *Gateway) submitter() *glue.Submitter {
	return &glue.Submitter{Config: &g.cfg, Store: g.home.Outbox(), Spool: g.spool, Now: g.now, Random: g.opt.Random, Wake: func() {
		if g.outbox != nil {
			g.outbox.Wake()
		}
	}}
}

func (g *Gateway) buildStamper(context.Context) error {
	c := g.cfg.Load()
	key, err := glue.NodeKey(filepath.Join(c.State, "trace.key"), g.opt.Random)
	if err != nil {
		return err
	}
	names := stamp.Names{
		Verdict: c.Headers.Verdict, Reasons: c.Headers.Reasons, Unchecked: c.Headers.Unchecked,
		SpamFlag: c.Headers.SpamFlag, SpamScore: c.Headers.SpamScore, AuthservID: c.Auth.AuthservID, Hostname: c.Hostname,
	}
	g.stamper = &stamp.Stamper{Names: names, Key: key, AV: g.avVersion}
	return nil
}

func (g *Gateway) buildRelay(context.Context) (err error) {
	c := g.cfg.Load()
	if g.answers, err = answered.Open(c.State, g.now); err != nil {
		return err
	}
	trouble := func(ctx context.Context, key, text string) { g.alerts.Raise(key, alert.Warning, text, "") }
	g.relay = &relay.Relay{
		Backends: relay.Pools{Pools: g.pools}, Holds: glue.Holds{Quarantine: g.quarantine}, Outbox: g.home.Outbox(),
		Stamper: g.stamper, Answers: g.answers, Alert: trouble, Now: g.now, Log: g.log,
		Limits: relay.Limits{Before: time.Duration(c.Relay.BeforeDot), After: time.Duration(c.Relay.AfterDot), Keep: time.Duration(c.Relay.OutboxFor)},
	}
	g.outbox = &outbox.Worker{Store: g.home.Outbox(), Courier: g.relay, Now: g.now, Log: g.log, Alert: trouble}
	g.relay.Wake = g.outbox.Wake
	return nil
}

func (g *Gateway) buildSMTP(context.Context) error {
	for _, l := range g.cfg.Load().Listeners {
		if l.TLS.Cert == "" {
			continue
		}
		certs, err := glue.NewCerts(l.TLS, g.log, func(err error) {
			if err == nil {
				g.alerts.Clear("certificate:" + l.Name)
				return
			}
			g.alerts.Raise("certificate:"+l.Name, alert.Critical, "the certificate of listener "+l.Name+" cannot be used", err.Error())
		})
		if err != nil {
			return fmt.Errorf("listener %s: %w", l.Name, err)
		}
		g.certs[l.Name] = certs
	}
	observer := &record.Observer{Node: g.cfg.Load().Hostname, Log: g.log, Traffic: g.home.Traffic(), Metrics: g.metrics, Headers: headers}
	g.smtp = smtpd.New(g.smtpConfig(), smtpd.Parts{
		Pipeline:      g.pipeline.Load,
		Directory:     &glue.Directory{Config: &g.cfg, Rules: &g.rules, Verifier: g.verifier},
		Deliverer:     &glue.Deliverer{Rules: &g.rules, Relay: g.relay},
		Authenticator: &glue.Authenticator{Config: &g.cfg, Pools: g.pools},
		Accounts:      g.accounts,
		Observers:     []filter.Observer{observer, g.limits},
		Answered:      g.relay.Answered,
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

// headers reads what trace shows of a message.
func headers(m *filter.Message) record.Headers {
	if m.Parts == nil {
		return record.Headers{}
	}
	t, err := m.Parts()
	if err != nil {
		return record.Headers{}
	}
	return record.Headers{Subject: t.Subject(), MessageID: t.Root.Header.Get("Message-ID")}
}

// smtpConfig is the part of the configuration that sessions see.
func (g *Gateway) smtpConfig() smtpd.Config {
	c := g.cfg.Load()
	lim := smtpd.DefaultLimits()
	l := c.Limits
	lim.Sessions, lim.PerIP, lim.Per64, lim.Errors, lim.Commands, lim.Recipients = l.Sessions, l.PerIP, l.Per64, l.Errors, l.Commands, l.Recipients
	lim.Message, lim.InFlight, lim.Idle, lim.DataRate, lim.Line, lim.Received = int64(l.Message), int64(l.InFlight), time.Duration(l.Idle), l.DataRate, int(l.Line), l.Received
	out := smtpd.Config{Hostname: c.Hostname, Limits: lim, Trusted: config.Prefixes(c.TrustedRelays)}
	for _, l := range c.Listeners {
		out.Listeners = append(out.Listeners, g.listener(l))
	}
	return out
}

func (g *Gateway) listener(l config.Listener) *smtpd.Listener {
	out := &smtpd.Listener{
		Name: l.Name, Addr: l.Addr, ImplicitTLS: l.TLS.Implicit, GreetPause: time.Duration(l.GreetPause),
		ProxyFrom: config.Prefixes(l.ProxyFrom), XclientFrom: config.Prefixes(l.XclientFrom), Networks: config.Prefixes(l.Networks),
		AccountHeader: l.AccountHeader, MailFromIsAccount: l.MailFromIsAccount,
	}
	switch l.Kind {
	case config.KindSubmission:
		out.Kind = smtpd.KindSubmission
	case config.KindSmarthost:
		out.Kind = smtpd.KindSmarthost
	}
	if l.Framing == "normalize" {
		out.Framing = smtpd.Normalize
	}
	if certs := g.certs[l.Name]; certs != nil {
		out.TLS = func() *tls.Config { return certs.Config() }
	}
	out.Extensions = func() smtpd.Extensions {
		names := glue.InboundBackends(g.cfg.Load())
		switch l.Kind {
		case config.KindSubmission:
			names = []string{l.Backend}
		case config.KindSmarthost:
			names = []string{g.cfg.Load().Egress}
		}
		e := g.pools.Extensions(names...)
		return smtpd.Extensions{SMTPUTF8: e.SMTPUTF8, EightBit: e.EightBitMIME, Size: e.Size}
	}
	return out
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
	for _, l := range g.smtpConfig().Listeners {
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
