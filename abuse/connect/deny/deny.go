// Package deny keeps the logins that may not come in in files for a deny passdb of Dovecot,
// one file a service: who may not send stands in those of smtp and submission, whose login is
// off in all of them. The files are in force while this program is not running.
package deny

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/abuse"
	"postern/abuse/measure"
)

// RunTime bounds a command.
const RunTime = 10 * time.Second

// ErrName is an account that no line of a passwd-file can hold.
var ErrName = errors.New("this account's name cannot stand in a passwd-file")

// Files are the deny files of a Dovecot.
type Files struct {
	Label    string   // name of the connector
	Prefix   string   // "/var/lib/postern/dovecot/deny.": the service's name follows
	Sending  []string // services by which mail is sent; nil = smtp, submission
	Reading  []string // services by which it is read; nil = imap, pop3, sieve
	Kick     []string // run with the account as its last argument to end its sessions; nil = not done
	Flush    []string // run after a change, since Dovecot remembers who came in; nil = not done
	Must     bool     // a measure is not active before it stands here
	FileMode os.FileMode

	mu sync.Mutex
}

var _ measure.Connector = (*Files)(nil)

func (f *Files) sending() []string {
	if f.Sending == nil {
		return []string{"smtp", "submission"}
	}
	return f.Sending
}

func (f *Files) reading() []string {
	if f.Reading == nil {
		return []string{"imap", "pop3", "sieve"}
	}
	return f.Reading
}

// services are the files in which an account of this level stands.
func (f *Files) services(l abuse.Level) []string {
	switch {
	case l >= abuse.M5:
		return slices.Concat(f.sending(), f.reading())
	case l >= abuse.M3:
		return f.sending()
	}
	return nil
}

func key(account string) (string, error) {
	k := abuse.Name(account)
	if k == "" || k[0] == '#' || strings.ContainsFunc(k, func(r rune) bool { return r <= ' ' || r == 0x7f || r == ':' }) {
		return "", fmt.Errorf("%q: %w", account, ErrName)
	}
	return k, nil
}

// Open makes the files that are not there: to Dovecot a missing one is a fault.
func (f *Files) Open() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !filepath.IsAbs(f.Prefix) {
		return fmt.Errorf("%q is no absolute path", f.Prefix)
	}
	for _, s := range slices.Concat(f.sending(), f.reading()) {
		if _, err := os.Stat(f.Prefix + s); errors.Is(err, os.ErrNotExist) {
			if err := f.write(s, nil); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
	}
	return nil
}

// read returns the lines of a service's file.
func (f *Files) read(service string) ([]string, error) {
	file, err := os.Open(f.Prefix + service)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var lines []string
	s := bufio.NewScanner(file)
	for s.Scan() {
		lines = append(lines, s.Text())
	}
	return lines, s.Err()
}

func name(line string) string {
	n, _, _ := strings.Cut(line, ":")
	return n
}

// write replaces a file as a whole: a reader sees the old one or the new one, also after the
// power went.
func (f *Files) write(service string, lines []string) (err error) {
	path := f.Prefix + service
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	tmp, err := os.CreateTemp(filepath.Dir(path), ".deny-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	mode := f.FileMode
	if mode == 0 {
		mode = 0o640
	}
	w := bufio.NewWriter(tmp)
	for _, l := range lines {
		if _, err := w.WriteString(l + "\n"); err != nil {
			return errors.Join(err, tmp.Close())
		}
	}
	if err := errors.Join(w.Flush(), tmp.Chmod(mode), sameOwner(tmp, dir), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return dir.Sync()
}

// edit changes one file; nothing is written where nothing changes.
func (f *Files) edit(service string, change func(lines []string) []string) (changed bool, err error) {
	old, err := f.read(service)
	if err != nil {
		return false, err
	}
	lines := change(slices.Clone(old))
	if slices.Equal(old, lines) {
		return false, nil
	}
	return true, f.write(service, lines)
}

// Name implements measure.Connector.
func (f *Files) Name() string { return f.Label }

// Capabilities implements measure.Connector.
func (f *Files) Capabilities() measure.Capabilities {
	return measure.Capabilities{Levels: []abuse.Level{abuse.M3, abuse.M4, abuse.M5, abuse.M7}, Sessions: f.Kick != nil, Required: f.Must}
}

// Apply implements measure.Connector. The handle names the files in which the account stood
// before.
func (f *Files) Apply(ctx context.Context, m measure.Measure) (string, error) {
	k, err := key(m.Target)
	if err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	before, touched := "in:", false
	for _, s := range f.services(m.Level) {
		changed, err := f.edit(s, func(lines []string) []string {
			if slices.ContainsFunc(lines, func(l string) bool { return name(l) == k }) {
				before += s + ","
				return lines
			}
			return append(lines, k+":")
		})
		if err != nil {
			return "", err
		}
		touched = touched || changed
	}
	return before, f.flush(ctx, touched)
}

// Verify implements measure.Connector.
func (f *Files) Verify(_ context.Context, m measure.Measure, _ string) (bool, error) {
	k, err := key(m.Target)
	if err != nil {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	services := f.services(m.Level)
	for _, s := range services {
		lines, err := f.read(s)
		if err != nil {
			return false, err
		}
		if !slices.ContainsFunc(lines, func(l string) bool { return name(l) == k }) {
			return false, nil
		}
	}
	return len(services) > 0, nil
}

// Undo implements measure.Connector.
func (f *Files) Undo(ctx context.Context, m measure.Measure, handle string) error {
	k, err := key(m.Target)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	stood := strings.Split(strings.TrimPrefix(handle, "in:"), ",")
	touched := false
	for _, s := range f.services(m.Level) {
		if slices.Contains(stood, s) {
			continue
		}
		changed, err := f.edit(s, func(lines []string) []string {
			return slices.DeleteFunc(lines, func(l string) bool { return name(l) == k })
		})
		if err != nil {
			return err
		}
		touched = touched || changed
	}
	return f.flush(ctx, touched)
}

// Sync makes the files hold exactly the accounts that may not come in. Each node that has a
// Dovecot beside it does so, whoever took the measure.
func (f *Files) Sync(ctx context.Context, accounts []abuse.Account) (changed int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range slices.Concat(f.sending(), f.reading()) {
		var want []string
		for _, a := range accounts {
			if abuse.Scope(a.Name) == "domain" || !slices.Contains(f.services(a.Effective()), s) {
				continue
			}
			k, err := key(a.Name)
			if err != nil {
				return changed, err
			}
			want = append(want, k+":")
		}
		slices.Sort(want)
		did, err := f.edit(s, func([]string) []string { return slices.Compact(want) })
		if err != nil {
			return changed, err
		}
		if did {
			changed++
		}
	}
	return changed, f.flush(ctx, changed > 0)
}

// KillSessions implements measure.Connector.
func (f *Files) KillSessions(ctx context.Context, account string) error {
	k, err := key(account)
	if err != nil || f.Kick == nil {
		return err
	}
	return run(ctx, append(slices.Clone(f.Kick), k))
}

func (f *Files) flush(ctx context.Context, touched bool) error {
	if !touched || f.Flush == nil {
		return nil
	}
	return run(ctx, f.Flush)
}

func run(ctx context.Context, argv []string) error {
	ctx, cancel := context.WithTimeout(ctx, RunTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", argv[0], err, strings.TrimSpace(string(out[:min(len(out), 300)])))
	}
	return nil
}
