package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"postern/cmd/postern/backups"
	"postern/internal/alert"
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
		Store: g.home.Entities, Audit: g.home.Audit, Key: key, Node: c.Hostname, Now: g.now, File: backups.HeadsFile(c), Send: g.sendHead,
	}
	g.backups = backups.New(backups.Parts{
		Config: g.cfg.Load, ConfigFile: g.opt.ConfigFile, Home: g.home, Heads: g.heads, Version: g.opt.Version, Now: g.now, Log: g.log, Event: g.event, Audit: g.audit.Write,
	})
	return nil
}

// sendHead sends the head of a day to everybody who gets alerts: written down elsewhere, it
// proves later what the audit was.
func (g *Gateway) sendHead(ctx context.Context, h head.Head) error {
	text, err := json.MarshalIndent(h, "", " ")
	if err != nil {
		return err
	}
	a := alert.Alert{
		Key: "audit-head", Severity: alert.Notice, Node: h.Node, At: h.At, Since: h.At,
		Summary: fmt.Sprintf("audit of %s: %d entries, hash %s", h.Day, h.Seq, h.Hash), Detail: string(text),
	}
	var errs []error
	for _, s := range g.senders {
		errs = append(errs, s.Send(ctx, a))
	}
	return errors.Join(errs...)
}
