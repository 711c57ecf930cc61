// Package app is what the subcommands share: where they read and write, how they end, and
// how they reach the server.
package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"postern/cmd/postern/setup"
	"postern/internal/config"
	"postern/internal/record"
	"postern/rules"
)

// The exit codes; they are part of the interface.
const (
	Fine    = 0
	Finding = 1 // the answer is bad news: infected, wrong, refused
	Usage   = 2
	Fault   = 3 // bad configuration for serve, store, I/O
)

// Exit ends a command with a code; Err may be nil when all was said already.
type Exit struct {
	Code int
	Err  error
}

func (e *Exit) Error() string {
	if e.Err == nil {
		return ""
	}
	return e.Err.Error()
}

// Unwrap returns Err.
func (e *Exit) Unwrap() error { return e.Err }

// Findf ends a command with bad news.
func Findf(format string, args ...any) error { return &Exit{Finding, fmt.Errorf(format, args...)} }

// Usagef ends a command that was called wrongly.
func Usagef(format string, args ...any) error { return &Exit{Usage, fmt.Errorf(format, args...)} }

// App is the world of a command.
type App struct {
	Ctx            context.Context
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Now            func() time.Time
	Config         string // path of postern.yaml
	Command        string // as it was called: "outbox retry <id>"
	Self           string // this program, which reads pictures in processes of its own; "" = none are read
}

// Verb is the second word of the command as it was called.
func (a *App) Verb() string {
	words := strings.Fields(a.Command)
	return words[min(1, len(words)-1)]
}

// JSON prints v indented.
func (a *App) JSON(v any) error {
	enc := json.NewEncoder(a.Stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// QuietLog is for commands: only what went wrong.
func (a *App) QuietLog() *slog.Logger {
	return slog.New(slog.NewTextHandler(a.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
}

// ServerLog writes JSON lines; a level that is not known is info.
func (a *App) ServerLog(level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	return slog.New(slog.NewJSONHandler(a.Stderr, &slog.HandlerOptions{Level: l}))
}

// Clean makes text of strangers fit for a terminal.
func Clean(s string) string { return record.Clean(s, 500) }

// ConfigOrDefault loads the file, or the defaults when there is none.
func ConfigOrDefault(path string) (*config.Config, error) {
	c, err := config.Load(path)
	if errors.Is(err, os.ErrNotExist) {
		return config.Default(), nil
	}
	return c, err
}

// LoadRules reads the defaults and, where the folder exists, the operator's rules.
func LoadRules(dir string) (*rules.Set, error) { return setup.Rules(dir) }

// LoadChecked is LoadRules, refusing rules whose own tests fail.
func LoadChecked(dir string) (*rules.Set, error) {
	set, err := LoadRules(dir)
	if err != nil {
		return nil, err
	}
	var wrong []error
	for _, p := range set.Check() {
		wrong = append(wrong, p)
	}
	return set, errors.Join(wrong...)
}

// IsTerminal reports whether somebody watches what is written to w.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
