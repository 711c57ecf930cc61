package gateway

import (
	"context"
	"fmt"
	"time"

	"postern/cmd/postern/glue"
	"postern/filter"
	"postern/internal/alert"
	"postern/quarantine"
)

func (g *Gateway) buildQuarantine(context.Context) error {
	c := g.cfg.Load()
	g.releaser = &glue.Releaser{Config: &g.cfg, Pools: g.inbox, Stamper: g.stamper, Sent: g.outbound}
	g.quarantine = quarantine.New(quarantine.Config{
		Store: g.home.Holds, Spool: g.spool, Node: c.Hostname, Cap: int64(c.Quarantine.Cap),
		Keep: func(policy string) time.Duration {
			p, _ := g.rules.Load().Policy(policy)
			return time.Duration(p.KeepDays) * 24 * time.Hour
		},
		Beside: time.Duration(c.Quarantine.RejectedBeside), Evidence: time.Duration(c.Quarantine.Evidence),
		Now: g.now, Subject: (*filter.Message).Subject, AV: g.avVersion, Rescan: glue.Rescan(g.scanner, g.opt.Passive), Send: g.releaser.Send, Log: g.log,
		Audit: func(ctx context.Context, e quarantine.Event) error {
			return g.audit.Write(ctx, e.Actor, e.Action, e.Object, e.Before, e.After, e.Note)
		},
		Warn: g.quarantineLevel,
		Jumped: func(expected, now time.Time) {
			g.alerts.Raise("clock", alert.Critical, "the clock jumped: nothing expires until it is right",
				fmt.Sprintf("expected about %s, it says %s", expected.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339)))
		},
	})
	return nil
}

func (g *Gateway) quarantineLevel(u quarantine.Usage) {
	switch u.Level {
	case quarantine.Roomy:
		g.alerts.Clear("quarantine")
	case quarantine.Full:
		g.alerts.Raise("quarantine-full", alert.Critical, "the quarantine is full: mail that must be held gets 451", usage(u))
	default:
		g.alerts.Clear("quarantine-full")
		g.alerts.Raise("quarantine", alert.Warning, "the quarantine is over 80 % full", usage(u))
	}
}

func usage(u quarantine.Usage) string { return fmt.Sprintf("%d of %d bytes", u.Bytes, u.Cap) }

func (g *Gateway) avVersion() string {
	if g.scanner == nil {
		return ""
	}
	return g.scanner.Version()
}
