package lettercmd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"postern/abuse/notice/edition"
	"postern/abuse/notice/letter"
	"postern/abuse/notice/snippet"
	"postern/cmd/postern/app"
	"postern/cmd/postern/gateway"
	"postern/cmd/postern/lettercalls"
	"postern/cmd/postern/lettercmd"
	"postern/internal/config/desk"
	"postern/internal/control"
	"postern/internal/mailtest/entities"
)

// world is a running server with these calls alone, or a gateway that does not run: then the
// commands open its home themselves.
type world struct {
	t      *testing.T
	config string
}

func newWorld(t *testing.T, more string) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, config: filepath.Join(dir, "postern.yaml")}
	state := filepath.Join(dir, "state")
	if err := os.MkdirAll(state, 0o700); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("hostname: mx1.example.com\nstate: %s\nlisteners:\n  - {name: mx, addr: '127.0.0.1:0', kind: inbound}\nbackends:\n  mail: [{addr: '127.0.0.1:1'}]\nroutes:\n  example.com: {backend: mail}\n%s", state, more)
	if err := os.WriteFile(w.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if more == "" {
		w.serve(state)
	}
	return w
}

func (w *world) serve(state string) {
	w.t.Helper()
	book, err := letter.Open("")
	if err != nil {
		w.t.Fatal(err)
	}
	store := &entities.Memory{}
	audit := func(context.Context, string, string, string, any, any, string) error { return nil }
	server := control.NewServer()
	lettercalls.Parts{
		Letters:  &edition.Desk{Store: store, Book: book, Now: time.Now, Log: slog.New(slog.DiscardHandler), Audit: audit},
		Snippets: &snippet.Book{Store: store, Now: time.Now, Audit: audit},
		Answers:  desk.Answers{Name: "Abuse desk", Hours: "9-18"},
	}.Handle(server)
	l, err := control.Listen(w.t.Context(), filepath.Join(state, gateway.Socket))
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, l) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

// run calls a command with a text on its input, and holds its exit code against want.
func (w *world) run(want int, stdin string, args ...string) string {
	w.t.Helper()
	var cli struct {
		Template lettercmd.Template `cmd:""`
		Snippet  lettercmd.Snippet  `cmd:""`
	}
	var out bytes.Buffer
	k, err := kong.New(&cli, kong.Writers(&out, &out), kong.Exit(func(int) {}))
	if err != nil {
		w.t.Fatal(err)
	}
	code := app.Fine
	kctx, err := k.Parse(args)
	if err != nil {
		code = app.Usage
	} else {
		a := &app.App{Ctx: w.t.Context(), Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &out, Now: time.Now, Config: w.config, Command: kctx.Command()}
		if err = kctx.Run(a); err != nil {
			code = app.Fault
			var e *app.Exit
			if errors.As(err, &e) {
				code = e.Code
			}
		}
	}
	if code != want {
		w.t.Fatalf("%s: exit %d, want %d: %v\n%s", strings.Join(args, " "), code, want, err, out.String())
	}
	if err != nil {
		fmt.Fprintln(&out, err)
	}
	return out.String()
}

func (w *world) says(want int, text, stdin string, args ...string) {
	w.t.Helper()
	if out := w.run(want, stdin, args...); !strings.Contains(out, text) {
		w.t.Errorf("%s: %q is not in\n%s", strings.Join(args, " "), text, out)
	}
}

func TestTemplates(t *testing.T) {
	w := newWorld(t, "")
	words := "Subject: [{{.Ticket}}] Получено\n\nСпасибо. Ответ до {{.FirstDue}}.\n"
	w.says(app.Fine, "ru        ack         program  0", "", "template", "list")
	w.says(app.Fine, "Subject: [{{.Ticket}}]", "", "template", "show", "ru", "ack")
	w.says(app.Fine, "Subject: [A-2026-000042]", "", "template", "show", "ru", "ack", "--preview")
	w.says(app.Fine, "it no longer says .About .Desk .Hours", words, "template", "check", "ru", "ack", "--file", "-")
	w.says(app.Finding, "-:4:3: there is no variable .Tiket", "Subject: S\n\nx\n{{.Tiket}}\n", "template", "check", "ru", "ack", "--file", "-")
	w.says(app.Finding, "-:1:12: the letter ack may not say .Account", "Subject: {{.Account}}\n\nx\n", "template", "check", "ru", "ack", "--file", "-")
	w.says(app.Usage, "there is no variable .Tiket", "Subject: S\n\n{{.Tiket}}\n", "template", "set", "ru", "ack", "--file", "-")
	w.says(app.Usage, "-:1: the first line is Subject:", "Hello\n", "template", "set", "ru", "ack", "--file", "-")
	w.says(app.Usage, "", "", "template", "set", "de", "ack", "--file", "-")
	w.says(app.Finding, "there is no such letter", "", "template", "show", "ru", "nothing")
	w.says(app.Fine, "ru.ack: change 1, saved", words, "template", "set", "ru", "ack", "--file", "-", "--note", "короче")
	w.says(app.Usage, "says this already", words, "template", "set", "ru", "ack", "--file", "-")
	path := filepath.Join(t.TempDir(), "ack")
	if err := os.WriteFile(path, []byte("Subject: two\n\n{{.Ticket}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.says(app.Fine, "change 2, saved", "", "template", "set", "ru", "ack", "--file", path)
	w.says(app.Fine, "короче", "", "template", "history", "ru", "ack")
	w.says(app.Fine, "+{{.Ticket}}", "", "template", "diff", "ru", "ack", "2")
	w.says(app.Finding, "change 9 is not kept", "", "template", "diff", "ru", "ack", "9")
	w.says(app.Fine, "change 3, rolled-back to 1", "", "template", "rollback", "ru", "ack", "1")
	w.says(app.Fine, "Получено", "", "template", "show", "ru", "ack")
	w.says(app.Fine, "change 4, reset", "", "template", "reset", "ru", "ack", "--note", "back")
	w.says(app.Usage, "says this already", "", "template", "reset", "ru", "ack")
	w.says(app.Fine, `"changes": 4`, "", "template", "show", "ru", "ack", "--json")
}

func TestSnippets(t *testing.T) {
	w := newWorld(t, "")
	out := w.run(app.Fine, "谢谢。", "snippet", "share", "zh", "致谢", "--file", "-", "--short", "xx")
	id, _, _ := strings.Cut(out, " ")
	w.says(app.Fine, ";xx    shared  致谢", "", "snippet", "list", "--language", "zh")
	w.says(app.Usage, "no variables", "{{.Ticket}}", "snippet", "save", "zh", "x", "--file", "-")
	w.says(app.Fine, "kept", "mine", "snippet", "save", "en", "Mine", "--file", "-")
	w.says(app.Fine, "kept", "谢谢您。", "snippet", "share", "zh", "致谢", "--file", "-", "--id", id)
	w.says(app.Finding, "no such snippet", "", "snippet", "remove", id)
	w.says(app.Fine, "withdrawn", "", "snippet", "withdraw", id)
	w.says(app.Fine, "Mine", "", "snippet", "list")
}

// Where no letters are written their words are no matter either; short texts are.
func TestNoLetters(t *testing.T) {
	w := newWorld(t, "abuse: {answers: {off: true}}\n")
	w.says(app.Finding, "abuse.answers.off", "", "template", "list")
	w.says(app.Fine, "TITLE", "", "snippet", "list")
}
