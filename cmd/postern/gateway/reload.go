package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"

	"postern/cmd/postern/glue"
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
	before := g.rules.Load().Revision()
	g.pools.Reload(pools)
	g.cfg.Store(c)
	g.rules.Store(set)
	g.pipeline.Store(steps.Pipeline(g.checks, set, c, g.log))
	g.smtp.Reload(g.smtpConfig())
	g.log.Info("reloaded", "rules", set.Revision())
	if before == set.Revision() {
		return nil
	}
	return g.audit.Write(ctx, "postern", "rules", set.Revision(), before, set.Revision(), "reload")
}

// needsRestart names what a reload cannot change.
func needsRestart(old, now *config.Config) string {
	switch {
	case old.State != now.State:
		return "state"
	case old.Admin != now.Admin:
		return "admin"
	case old.Store != now.Store:
		return "store"
	case !reflect.DeepEqual(old.ClamAV, now.ClamAV):
		return "clamav"
	case !reflect.DeepEqual(old.Lists, now.Lists):
		return "lists"
	case !reflect.DeepEqual(old.DNS, now.DNS):
		return "dns"
	case len(old.Listeners) != len(now.Listeners):
		return "listeners"
	}
	for i := range now.Listeners {
		if old.Listeners[i].Addr != now.Listeners[i].Addr || old.Listeners[i].Name != now.Listeners[i].Name {
			return "listeners"
		}
	}
	return ""
}

// settle is how long files must be still before a change is read: editors and packages
// write several at once.
const settle = 300 * time.Millisecond

// watch reloads on SIGHUP and when the configuration or a rule file changes. Folders are
// watched, not files: saving by rename makes a new file.
func (g *Gateway) watch(ctx context.Context) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watching files: %w", err)
	}
	defer func() { _ = w.Close() }()
	for _, dir := range g.watched() {
		if err := w.Add(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			g.log.Warn("changes of this folder are not seen; send SIGHUP instead", "dir", dir, "err", err)
		}
	}
	var quiet <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hup:
			_ = g.Reload(ctx) // said and kept as an alert
		case e, ok := <-w.Events:
			if ok && concerns(e) {
				quiet = time.After(settle)
			}
		case err := <-w.Errors:
			g.log.Warn("watching files", "err", err)
		case <-quiet:
			quiet = nil
			_ = g.Reload(ctx)
		}
	}
}

func (g *Gateway) watched() []string {
	dirs := []string{g.cfg.Load().Rules.Dir}
	if g.opt.ConfigFile != "" {
		dirs = append(dirs, filepath.Dir(g.opt.ConfigFile))
	}
	return dirs
}

func concerns(e fsnotify.Event) bool {
	return filepath.Ext(e.Name) == ".yaml" && e.Op&^fsnotify.Chmod != 0
}
