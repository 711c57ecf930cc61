package gateway

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"

	"postern/cmd/postern/glue"
	"postern/cmd/postern/setup"
	"postern/cmd/postern/steps"
	"postern/internal/alert"
	"postern/internal/config"
)

// Reload reads configuration and rules anew and takes them whole or not at all. No
// connection is dropped. Listeners, state folder, store and admin address need a restart;
// changing them is said.
func (g *Gateway) Reload(ctx context.Context) error {
	if g.opt.ReadConfig == nil {
		return errors.New("this gateway was not started from files")
	}
	err := g.reload(ctx)
	if err != nil {
		g.log.Error("reload refused; what was in effect stays", "err", err)
		g.alerts.Raise("reload", alert.Warning, "a changed configuration or rule was refused; the old one stays", err.Error())
		return err
	}
	g.alerts.Clear("reload")
	return nil
}

func (g *Gateway) reload(ctx context.Context) error {
	c, err := g.opt.ReadConfig()
	if err != nil {
		return err
	}
	set, err := g.opt.ReadRules(c)
	if err != nil {
		return err
	}
	if wrong := set.Check(); len(wrong) > 0 {
		return fmt.Errorf("%d of the rules' own tests failed, first: %w", len(wrong), wrong[0])
	}
	pools, err := glue.Pools(c)
	if err != nil {
		return err
	}
	old := g.cfg.Load()
	if what := needsRestart(old, c); what != "" {
		g.log.Warn("takes effect after a restart", "changed", what)
	}
	if err := errors.Join(g.checks.Reload(c), g.keys.Reload(), g.desk.Reload(c)); err != nil {
		return err
	}
	before := g.rules.Load().Revision()
	g.pools.Reload(pools)
	g.cfg.Store(c)
	g.rules.Store(set)
	g.pipeline.Store(steps.Pipeline(g.steps, set, c, g.log))
	g.smtp.Reload(setup.SMTP(c, g.extras()))
	g.log.Info("reloaded", "rules", set.Revision())
	if before == set.Revision() {
		return nil
	}
	return g.audit.Write(ctx, "postern", "rules", set.Revision(), before, set.Revision(), "reload")
}

// needsRestart names everything that a reload cannot change.
func needsRestart(old, now *config.Config) string {
	var names []string
	for _, part := range []struct {
		name     string
		was, new any
	}{
		{"hostname", old.Hostname, now.Hostname}, {"state", old.State, now.State}, {"store", old.Store, now.Store},
		{"listeners", fixed(old.Listeners), fixed(now.Listeners)}, {"relay", old.Relay, now.Relay},
		{"recipient_cache", old.RecipientCache, now.RecipientCache}, {"dns", old.DNS, now.DNS}, {"clamav", old.ClamAV, now.ClamAV},
		{"lists", old.Lists, now.Lists}, {"auth", seals(old.Auth), seals(now.Auth)}, {"headers", old.Headers, now.Headers},
		{"quarantine", old.Quarantine, now.Quarantine}, {"admin", old.Admin, now.Admin}, {"alerts", old.Alerts, now.Alerts}, {"log", old.Log, now.Log},
	} {
		if !reflect.DeepEqual(part.was, part.new) {
			names = append(names, part.name)
		}
	}
	return strings.Join(names, ", ")
}

// seals is what of authentication stays until a restart.
func seals(a config.Auth) config.Auth {
	return config.Auth{AuthservID: a.AuthservID, ArcSeal: a.ArcSeal, ArcDomain: a.ArcDomain}
}

// fixed is what of the listeners stays until a restart.
func fixed(all []config.Listener) (out []config.Listener) {
	for _, l := range all {
		out = append(out, config.Listener{Name: l.Name, Addr: l.Addr, Kind: l.Kind, TLS: l.TLS})
	}
	return out
}

func (g *Gateway) watched() []string {
	dirs := []string{g.cfg.Load().Rules.Dir}
	if g.opt.ConfigFile != "" {
		dirs = append(dirs, filepath.Dir(g.opt.ConfigFile))
	}
	return dirs
}
