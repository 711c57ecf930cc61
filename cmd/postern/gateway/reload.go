package gateway

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"postern/cmd/postern/glue"
	"postern/cmd/postern/setup"
	"postern/internal/alert"
)

// Reload reads configuration and rules anew and takes them whole or not at all. No
// connection is dropped. Listeners, state folder, store and admin address need a restart;
// changing them is said.
func (g *Gateway) Reload(ctx context.Context) error {
	if g.opt.ReadConfig == nil {
		return errors.New("this gateway was not started from files")
	}
	before := g.cfg.Load()
	err := g.reload(ctx)
	if err != nil {
		g.log.Error("reload refused; what was in effect stays", "err", err)
		g.alerts.Raise("reload", alert.Warning, "a changed configuration or rule was refused; the old one stays", err.Error())
		return err
	}
	g.alerts.Clear("reload")
	g.ruling.Reloaded(ctx, before)
	return nil
}

func (g *Gateway) reload(ctx context.Context) error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
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
	if err := errors.Join(g.checks.Reload(c), g.keys.Reload(), g.desk.Reload(c)); err != nil {
		return err
	}
	before := g.written.Load().Revision()
	g.pools.Reload(pools)
	g.cfg.Store(c)
	g.rule(set)
	g.smtp.Reload(setup.SMTP(c, g.extras()))
	g.log.Info("reloaded", "rules", set.Revision())
	if before == set.Revision() {
		return nil
	}
	return g.audit.Write(ctx, "postern", "rules", set.Revision(), before, set.Revision(), "reload")
}

func (g *Gateway) watched() []string {
	dirs := []string{g.cfg.Load().Rules.Dir}
	if g.opt.ConfigFile != "" {
		dirs = append(dirs, filepath.Dir(g.opt.ConfigFile))
	}
	return dirs
}
