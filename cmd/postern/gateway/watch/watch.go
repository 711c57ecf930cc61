// Package watch sees that files were changed, or that somebody asks by SIGHUP to read them
// anew.
package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"postern/internal/filemark"

	"github.com/fsnotify/fsnotify"
)

// settle is how long files must be still before a change is read: editors and packages
// write several at once.
const settle = 300 * time.Millisecond

// Parts are what a Watch works with.
type Parts struct {
	Dirs   func() []string // whose *.yaml files are watched; asked again at each reload
	Reload func(ctx context.Context)
	Read   time.Time // before the files were read; a later change is seen at the start. Zero: not asked
	Log    *slog.Logger
}

// Watch sees SIGHUP and changed files.
type Watch struct {
	parts Parts
	hup   chan os.Signal
	files *fsnotify.Watcher
	late  bool // a file was changed between reading it and watching it
}

// New begins to watch. It is made before the process says that it serves, so that no later
// change is missed and no SIGHUP ends the process.
func New(p Parts) (*Watch, error) {
	files, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watching files: %w", err)
	}
	w := &Watch{parts: p, hup: make(chan os.Signal, 1), files: files}
	signal.Notify(w.hup, syscall.SIGHUP)
	w.add()
	w.late = !p.Read.IsZero() && changedSince(p.Read, p.Dirs())
	return w, nil
}

// add watches folders, not files: saving by rename makes a new file.
func (w *Watch) add() {
	for _, dir := range w.parts.Dirs() {
		if err := w.files.Add(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			w.parts.Log.Warn("changes of this folder are not seen; send SIGHUP instead", "dir", dir, "err", err)
		}
	}
}

// Close ends the watching.
func (w *Watch) Close() {
	signal.Stop(w.hup)
	_ = w.files.Close()
}

// Run reloads on SIGHUP and when a file changes, until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
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
			w.parts.Log.Warn("watching files", "err", err)
		case <-quiet:
			quiet = nil
			w.reload(ctx)
		}
	}
}

// reload also begins to watch a folder that is new, before it is read, or newly named.
func (w *Watch) reload(ctx context.Context) {
	w.add()
	w.parts.Reload(ctx)
	w.add()
}

func changedSince(read time.Time, dirs []string) bool {
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
		if err != nil {
			continue // no folder of ours has such a name
		}
		for _, f := range files {
			if filemark.Of(f).Since(read) {
				return true
			}
		}
	}
	return false
}

func concerns(e fsnotify.Event) bool {
	return filepath.Ext(e.Name) == ".yaml" && e.Op&^fsnotify.Chmod != 0
}
