package gateway

import (
	"context"

	"postern/cmd/postern/backups"
	"postern/internal/record/head"
)

// buildBackups makes the backups, and the heads of the audit.
func (g *Gateway) buildBackups(context.Context) error {
	c := g.cfg.Load()
	key, err := head.Key(backups.AuditKey(c), g.opt.Random)
	if err != nil {
		return err
	}
	g.heads = &head.Heads{
		Store: g.home.Entities, Audit: g.home.Audit, Key: key, Node: c.Hostname, Now: g.now, File: backups.HeadsFile(c), Send: backups.SendHead(g.senders),
	}
	g.backups = backups.New(backups.Parts{
		Config: g.cfg.Load, ConfigFile: g.opt.ConfigFile, Home: g.home, Heads: g.heads, Version: g.opt.Version, Now: g.now, Log: g.log, Event: g.event, Audit: g.audit.Write,
	})
	return nil
}
