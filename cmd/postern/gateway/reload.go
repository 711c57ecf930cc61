package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"strings"
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
	g.limits.Reload(rates(c))
	g.smtp.Reload(g.smtpConfig())
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
		{"lists", old.Lists, now.Lists}, {"auth", old.Auth, now.Auth}, {"headers", old.Headers, now.Headers},
		{"quarantine", old.Quarantine, now.Quarantine}, {"admin", old.Admin, now.Admin}, {"alerts", old.Alerts, now.Alerts}, {"log", old.Log, now.Log},
	} {
		if !reflect.DeepEqual(part.was, part.new) {
			names = append(names, part.name)
		}
	}
	return strings.Join(names, ", ")
}

// fixed is what of the listeners stays until a restart.
func fixed(all []config.Listener) (out []config.Listener) {
	for _, l := range all {
		out = append(out, config.Listener{Name: l.Name, Addr: l.Addr, Kind: l.Kind, TLS: l.TLS})
	}
	return out
}

// settle is how long files must be still before a change is read: editors and packages
// write several at once.
const settle = 300 * time.Millisecond

// watch sees SIGHUP and changed files. It is made before the gateway says that it serves, so
// that no later change is missed and no SIGHUP ends the process.
type watch struct {
	g     *Gateway
	hup   chan os.Signal
	files *fsnotify.Watcher
	late  bool // a file was changed between reading it and watching it
}

func (g *Gateway) newWatch() (*watch, error) {
	files, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watching files: %w", err)
	}
	w := &watch{g: g, hup: make(chan os.Signal, 1), files: files}
	signal.Notify(w.hup, syscall.SIGHUP)
	w.add()
	w.late = !g.opt.Read.IsZero() && changedSince(g.opt.Read, g.watched())
	return w, nil
}

// add watches folders, not files: saving by rename makes a new file.
func (w *watch) add() {
	for _, dir := range w.g.watched() {
		if err := w.files.Add(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			w.g.log.Warn("changes of this folder are not seen; send SIGHUP instead", "dir", dir, "err", err)
		}
	}
}

func (w *watch) close() {
	signal.Stop(w.hup)
	_ = w.files.Close()
}

// run reloads on SIGHUP and when the configuration or a rule file changes.
func (w *watch) run(ctx context.Context) error {
	var quiet <-chan time.Time
	if w.late {
		quiet = time.After(settle)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.hup:
			w.reload(ctx)
		case e, ok := <-w.files.Events:
			if ok && concerns(e) {
				quiet = time.After(settle)
			}
		case err := <-w.files.Errors:
			w.g.log.Warn("watching files", "err", err)
		case <-quiet:
			quiet = nil
			w.reload(ctx)
		}
	}
}

// reload also begins to watch a folder that is new, before it is read, or newly named.
func (w *watch) reload(ctx context.Context) {
	w.add()
	_ = w.g.Reload(ctx) // said and kept as an alert
	w.add()
}

// clockGrain is how far the time of a file may lie behind the clock.
const clockGrain = 10 * time.Millisecond

func changedSince(read time.Time, dirs []string) bool {
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
		if err != nil {
			continue // no folder of ours has such a name
		}
		for _, f := range files {
			if info, err := os.Stat(f); err == nil && info.ModTime().After(read.Add(-clockGrain)) {
				return true
			}
		}
	}
	return false
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
