// Package table keeps the logins that may not send in a lookup table of Postfix, for
// check_sasl_access. The table is in force while this program is not running. It is written
// through postmap, which knows how to change a table that is being read, and read back.
package table

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
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

// Limits of what is run.
const (
	RunTime   = 10 * time.Second
	maxOutput = 64 << 20
)

// Table is one lookup table.
type Table struct {
	Label   string // name of the connector
	Postmap string // the program; "" = postmap in the PATH
	Map     string // "lmdb:/var/lib/postern/postfix/suspended"
	Must    bool   // a measure is not active before it stands here

	mu sync.Mutex
}

var _ measure.Connector = (*Table)(nil)

// ErrName is an account that no line of a table can hold.
var ErrName = errors.New("this account's name cannot stand in a table")

// key is how Postfix looks a login up: it folds indexed tables to lower case.
func key(account string) (string, error) {
	k := abuse.Name(account)
	if k == "" || strings.ContainsFunc(k, func(r rune) bool { return r <= ' ' || r == 0x7f }) || strings.HasPrefix(k, "#") {
		return "", fmt.Errorf("%q: %w", account, ErrName)
	}
	return k, nil
}

func value(reason string) string {
	reason = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, reason)
	return strings.TrimSpace("REJECT 5.7.1 sending is suspended" + reason)
}

func about(caseID string) string {
	if caseID == "" {
		return ""
	}
	return ", case " + caseID
}

func (t *Table) run(ctx context.Context, stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, RunTime)
	defer cancel()
	program := t.Postmap
	if program == "" {
		program = "postmap"
	}
	cmd := exec.CommandContext(ctx, program, append(args, t.Map)...)
	cmd.Stdin, cmd.WaitDelay = strings.NewReader(stdin), time.Second
	var out, wrong limited
	cmd.Stdout, cmd.Stderr = &out, &wrong
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 && wrong.Len() == 0 {
		return "", errNone // postmap -q and -d: there is no such key
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", program, err, bytes.TrimSpace(wrong.Bytes()[:min(wrong.Len(), 300)]))
	}
	return out.String(), nil
}

var errNone = errors.New("no such key")

// limited keeps what a program writes, up to maxOutput.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxOutput {
		return 0, io.ErrShortWrite
	}
	return l.Buffer.Write(p)
}

// Open makes the table if it is not there, so that Postfix finds one.
func (t *Table) Open(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	kind, path, ok := strings.Cut(t.Map, ":")
	if !ok || !filepath.IsAbs(path) {
		return fmt.Errorf("%q is no table as postmap writes it: kind:/path", t.Map)
	}
	if kind == "lmdb" {
		if _, err := os.Stat(path + ".lmdb"); err == nil {
			return nil
		}
	}
	_, err := t.run(ctx, "", "-i")
	return err
}

// Name implements measure.Connector.
func (t *Table) Name() string { return t.Label }

// Capabilities implements measure.Connector: accounts alone, since a table cannot be asked for a
// login's domain.
func (t *Table) Capabilities() measure.Capabilities {
	return measure.Capabilities{Levels: []abuse.Level{abuse.M3, abuse.M4, abuse.M5, abuse.M7}, Required: t.Must}
}

// Apply implements measure.Connector. The handle is the line that was there before.
func (t *Table) Apply(ctx context.Context, m measure.Measure) (string, error) {
	k, err := key(m.Target)
	if err != nil {
		return "", err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	before, err := t.get(ctx, k)
	if err != nil {
		return "", err
	}
	_, err = t.run(ctx, k+" "+value(about(m.Case))+"\n", "-r", "-i")
	if before == "" {
		before = "-"
	}
	return before, err
}

func (t *Table) get(ctx context.Context, k string) (string, error) {
	out, err := t.run(ctx, "", "-q", k)
	if errors.Is(err, errNone) {
		return "", nil
	}
	return strings.TrimRight(out, "\n"), err
}

// Verify implements measure.Connector.
func (t *Table) Verify(ctx context.Context, m measure.Measure, _ string) (bool, error) {
	k, err := key(m.Target)
	if err != nil {
		return false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	line, err := t.get(ctx, k)
	return strings.HasPrefix(line, "REJECT"), err
}

// Undo implements measure.Connector.
func (t *Table) Undo(ctx context.Context, m measure.Measure, handle string) error {
	k, err := key(m.Target)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if handle != "" && handle != "-" { // somebody's own line
		_, err = t.run(ctx, k+" "+handle+"\n", "-r", "-i")
		return err
	}
	if _, err = t.run(ctx, "", "-d", k); errors.Is(err, errNone) {
		return nil
	}
	return err
}

// KillSessions implements measure.Connector; the policy service reaches open sessions.
func (t *Table) KillSessions(context.Context, string) error { return nil }

// Sync makes the table hold exactly the accounts that may not send, and reports how many lines
// it changed. Each node that has a Postfix beside it does so, whoever took the measure.
func (t *Table) Sync(ctx context.Context, accounts []abuse.Account) (changed int, err error) {
	want := map[string]string{}
	for _, a := range accounts {
		if a.Effective() < abuse.M3 || abuse.Scope(a.Name) == "domain" {
			continue
		}
		k, err := key(a.Name)
		if err != nil {
			return 0, err
		}
		want[k] = value(about(a.Case))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	text, err := t.run(ctx, "", "-s")
	if err != nil {
		return 0, err
	}
	have := map[string]string{}
	for line := range strings.Lines(text) {
		k, v, _ := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		have[k] = v
	}
	var add strings.Builder
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if have[k] != want[k] {
			changed++
			fmt.Fprintf(&add, "%s %s\n", k, want[k])
		}
	}
	if add.Len() > 0 {
		if _, err := t.run(ctx, add.String(), "-r", "-i"); err != nil {
			return 0, err
		}
	}
	var gone []string
	for k, v := range have {
		if _, ok := want[k]; !ok && strings.HasPrefix(v, "REJECT 5.7.1 sending is suspended") { // other lines are not ours
			gone = append(gone, k)
		}
	}
	if len(gone) == 0 {
		return changed, nil
	}
	_, err = t.run(ctx, strings.Join(gone, "\n")+"\n", "-d", "-")
	if errors.Is(err, errNone) {
		err = nil
	}
	return changed + len(gone), err
}
