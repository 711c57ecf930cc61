package gateway

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"postern/abuse"
	"postern/blocklist"
	"postern/cmd/postern/glue"
	"postern/cmd/postern/setup"
	"postern/cmd/postern/steps"
	"postern/filter/attach"
	"postern/filter/auth"
	"postern/filter/limit"
	"postern/filter/sender"
)

func (g *Gateway) buildLists(ctx context.Context) (err error) {
	event := func(e blocklist.Event) { g.event("list:"+e.Key, e.Text, e.Over) }
	g.lists, err = blocklist.NewLists(setup.ListConfigs(g.cfg.Load()), blocklist.ListParts{Resolver: g.resolver, Now: g.now, Log: g.log, Alert: event})
	if err != nil {
		return err
	}
	g.own = blocklist.NewOwn(blocklist.OwnParts{Store: g.home.Lists(), Now: g.now, Log: g.log})
	return g.own.Load(ctx)
}

func (g *Gateway) buildAccounts(ctx context.Context) (err error) {
	g.accounts, err = abuse.NewAccounts(ctx, g.home.Accounts(), g.now, g.log, func(ctx context.Context, c abuse.Change) error {
		return g.audit.Write(ctx, c.Actor, c.Action, c.After.Name, c.Before, c.After, c.After.Reason)
	})
	g.limits = limit.New(setup.Rates(g.cfg.Load()), g.now)
	return err
}

func (g *Gateway) buildSteps(context.Context) error {
	c := g.cfg.Load()
	// Two steps need it: an allow entry counts only where the sender is proved.
	proof := auth.Once(auth.Message(g.resolver, g.now, g.trust))
	g.checks = steps.Checks{
		Reverse: sender.ReverseName(g.resolver),
		Helo:    sender.Helo(g.resolver, g.ourName),
		Sender:  sender.Domain(g.resolver),
		SPF:     auth.SPF(g.resolver, c.Hostname),
		Auth:    proof,

		Lists:       g.lists.Client(),
		DomainLists: g.lists.Sender(),

		OwnRecipient: g.own.Recipient(),
		OwnContent:   g.own.Content(proof.Check),

		Account:        g.accounts,
		LimitSender:    g.limits.Sender(),
		LimitRecipient: g.limits.Recipient(),

		Attach: &attach.Check{Limits: setup.ArchiveLimits(c.ClamAV)},
	}
	if g.scanner != nil {
		g.checks.ClamAV = g.scanner
	}
	g.pipeline.Store(steps.Pipeline(g.checks, g.rules.Load(), c, g.log))
	return nil
}

// trust is whose word about authors counts now.
func (g *Gateway) trust() auth.Trust {
	return auth.Trust{Sealers: g.cfg.Load().Auth.TrustedSealers}
}

// ourName reports names that no stranger may give at HELO.
func (g *Gateway) ourName(name string) bool {
	c := g.cfg.Load()
	if strings.EqualFold(name, c.Hostname) {
		return true
	}
	_, ok := c.Routes[name]
	return ok
}

// ConfirmedName is the confirmed reverse name of an address, "" where there is none or DNS
// does not say in time.
func (g *Gateway) reverseName(ctx context.Context, ip netip.Addr) string {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(g.cfg.Load().DNS.Timeout))
	defer cancel()
	return glue.ConfirmedName(ctx, g.resolver, ip)
}
