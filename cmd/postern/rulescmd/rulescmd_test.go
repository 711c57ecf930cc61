package rulescmd_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"postern/cmd/postern/app"
	"postern/cmd/postern/gateway"
	"postern/cmd/postern/home"
	"postern/cmd/postern/rulecalls"
	"postern/cmd/postern/rulescmd"
	"postern/cmd/postern/setup"
	"postern/filter"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/mailtest/entities"
	"postern/internal/record"
	"postern/internal/spool"
	"postern/internal/store/local"
	"postern/quarantine"
	"postern/rules"
)

const own = `patterns:
  - id: HOLD_THIS
    describe: The subject asks to be held
    in: subject
    match: 'please hold'
    score: 8
    tests: {hit: ["please hold this"], miss: ["hello"]}
`

// node is a running server with these calls alone.
type node struct {
	t           *testing.T
	dir, config string
	desk        *rulecalls.Desk
	keeps       *quarantine.Quarantine
}

func newNode(t *testing.T, name string, store *entities.Memory) *node {
	t.Helper()
	n := &node{t: t, dir: t.TempDir()}
	n.config = filepath.Join(n.dir, "postern.yaml")
	n.put("rules.d/own.yaml", own)
	n.put("state/.keep", "")
	n.put("postern.yaml", fmt.Sprintf("hostname: mx1.example.com\nstate: %s/state\nlisteners:\n  - {name: mx, addr: '127.0.0.1:0', kind: inbound}\nbackends:\n  mail: [{addr: '127.0.0.1:1'}]\nroutes:\n  example.com: {backend: mail}\nrules: {dir: %s/rules.d}\n", n.dir, n.dir))
	cfg, err := config.Load(n.config)
	must(t, err)
	set, err := setup.Rules(cfg.Rules.Dir)
	must(t, err)
	holds, err := local.Open(t.Context(), local.Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { _ = holds.Close() })
	n.keeps = quarantine.New(quarantine.Config{Store: holds.Holds(), Spool: &spool.Spool{Dir: t.TempDir()}, Now: time.Now, Subject: func(*filter.Message) string { return "please hold this" }})
	n.desk = rulecalls.New(rulecalls.Parts{
		Config: func() *config.Config { return cfg }, Started: cfg, ConfigFile: n.config, Node: name, Entities: store, Rules: func() *rules.Set { return set },
		Pipeline: func() *filter.Pipeline { return &filter.Pipeline{Judge: set} }, Quarantine: n.keeps, Spool: &spool.Spool{Dir: t.TempDir()}, Traffic: traffic{},
		Reload: func(context.Context) (err error) { set, err = setup.Rules(cfg.Rules.Dir); return err }, Switch: func([]string) {},
		Now: time.Now, Log: slog.New(slog.DiscardHandler), Nodes: func(context.Context) []home.Node { return []home.Node{{Name: "mx1"}, {Name: "mx2"}} },
		Audit: func(context.Context, string, string, string, any, any, string) error { return nil },
	})
	_, err = n.desk.History.Notice(t.Context())
	must(t, err)
	n.serve()
	return n
}

func (n *node) serve() {
	n.t.Helper()
	server := control.NewServer()
	n.desk.Handle(server)
	l, err := control.Listen(n.t.Context(), filepath.Join(n.dir, "state", gateway.Socket))
	must(n.t, err)
	ctx, cancel := context.WithCancel(n.t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, l) }()
	n.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			n.t.Error(err)
		}
	})
}

// traffic is what the node did today.
type traffic struct{}

func (traffic) Add(record.Row) bool                           { return true }
func (traffic) Prune(context.Context, time.Time) (int, error) { return 0, nil }
func (traffic) Find(context.Context, record.Trace) (record.Page, error) {
	return record.Page{Rows: []record.Row{{Action: "quarantine", Symbols: []string{"HOLD_THIS"}}}}, nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (n *node) put(name, text string) {
	n.t.Helper()
	path := filepath.Join(n.dir, name)
	must(n.t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(n.t, os.WriteFile(path, []byte(text), 0o600))
}

func (n *node) text() string {
	b, _ := os.ReadFile(filepath.Join(n.dir, "rules.d/own.yaml"))
	return string(b)
}

// save writes the rules by the call that the desk makes.
func (n *node) save(text string) {
	n.t.Helper()
	c, err := control.Dial(n.t.Context(), filepath.Join(n.dir, "state", gateway.Socket))
	must(n.t, err)
	defer c.Close()
	f, err := n.desk.Shelf.Read("rules/own.yaml")
	must(n.t, err)
	must(n.t, c.Call(n.t.Context(), "rules.save", rulecalls.Save{File: "rules/own.yaml", Text: text, Base: f.Hash}, nil))
}

// says calls a command, and holds its exit code and what it prints against what is wanted.
func (n *node) says(want int, text, stdin string, args ...string) string {
	n.t.Helper()
	var cli struct {
		Rules rulescmd.Rules `cmd:""`
	}
	var out bytes.Buffer
	k, err := kong.New(&cli, kong.Writers(&out, &out), kong.Exit(func(int) {}))
	must(n.t, err)
	code := app.Fine
	kctx, err := k.Parse(append([]string{"rules"}, args...))
	if err != nil {
		code = app.Usage
	} else if err = kctx.Run(&app.App{Ctx: n.t.Context(), Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &out, Now: time.Now, Config: n.config, Command: kctx.Command()}); err != nil {
		code = app.Fault
		var e *app.Exit
		if errors.As(err, &e) {
			code = e.Code
		}
	}
	if err != nil {
		fmt.Fprintln(&out, err)
	}
	if code != want || !strings.Contains(out.String(), text) {
		n.t.Errorf("%s: exit %d, want %d with %q\n%s", strings.Join(args, " "), code, want, text, out.String())
	}
	return out.String()
}

func TestARuleIsSwitchedOffAndOn(t *testing.T) {
	n := newNode(t, "mx1", &entities.Memory{})
	n.says(app.Fine, "HOLD_THIS", "", "list")
	n.says(app.Usage, "--hours", "", "off", "HOLD_THIS", "--note", "wrong")
	n.says(app.Usage, "hours: 1 to 720", "", "off", "HOLD_THIS", "--hours", "721", "--note", "wrong")
	n.says(app.Usage, "say why", "", "off", "HOLD_THIS", "--hours", "1", "--note", " ")
	n.says(app.Finding, "there is no rule NOTHING", "", "off", "NOTHING", "--hours", "1", "--note", "wrong")
	n.says(app.Finding, "not switched off", "", "on", "HOLD_THIS")
	n.says(app.Fine, "HOLD_THIS is off until 20", "", "off", "HOLD_THIS", "--hours", "2", "--note", "it holds bills")
	n.says(app.Fine, "off until 20", "", "list")
	n.says(app.Fine, `"state": "off"`, "", "list", "--json")
	n.says(app.Fine, "HOLD_THIS is on", "", "on", "HOLD_THIS")
	if out := n.says(app.Fine, "figures of 1 messages", "", "list"); strings.Contains(out, "off until") {
		t.Error(out)
	}
}

func TestAFileGoesBack(t *testing.T) {
	n := newNode(t, "mx1", &entities.Memory{})
	n.save(strings.Replace(own, "score: 8", "score: 3", 1))
	id := func(want string) string {
		t.Helper()
		for l := range strings.Lines(n.says(app.Fine, want, "", "history", "rules/own.yaml")) {
			if strings.Contains(l, want) {
				return strings.Fields(l)[0]
			}
		}
		return ""
	}
	out := n.says(app.Fine, "+    score: 3", "", "diff", id("saved"))
	if !strings.Contains(out, "-    score: 8") || !strings.Contains(out, "@@ -") {
		t.Error(out)
	}
	n.says(app.Fine, `"known": true`, "", "diff", id("saved"), "--json")
	n.says(app.Finding, "", "", "diff", "0-nothing")
	n.says(app.Finding, "", "", "rollback", "0-nothing")
	n.says(app.Fine, "rolled-back to "+id("first"), "", "rollback", id("first"), "--note", "was better")
	if n.text() != own {
		t.Error(n.text())
	}
	n.says(app.Usage, "the same", "", "rollback", id("first"))
	n.says(app.Fine, "was better", "", "history")
	n.says(app.Fine, "more: --after ", "", "history", "--limit", "1")
	n.says(app.Usage, "limit: 1 to 200", "", "history", "--limit", "201")
}

func TestTry(t *testing.T) {
	n := newNode(t, "mx1", &entities.Memory{})
	text := "From: a@b.example\r\nTo: ben@example.com\r\nSubject: please hold this\r\n\r\nAn offer.\r\n"
	m := &filter.Message{ID: "m1", From: "a@b.example", Body: strings.NewReader(text), Size: int64(len(text)), SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(text))), To: []filter.Recipient{{Address: "ben@example.com"}}}
	hold, err := n.keeps.Keep(t.Context(), quarantine.Request{Message: m, Recipient: m.To[0], Verdict: filter.Verdict{Action: filter.Quarantine}, Class: string(quarantine.ByVerdict), Key: "m1"})
	must(t, err)
	if out := n.says(app.Fine, "now       quarantine", "", "try", hold); strings.Contains(out, "then") {
		t.Error(out)
	}
	n.says(app.Fine, "then      quarantine", own, "try", hold, "--file", "rules/own.yaml", "--text", "-")
	n.says(app.Finding, "other HOLD_THIS +1.00", strings.Replace(own, "score: 8", "score: 1", 1), "try", hold, "--file", "rules/own.yaml", "--text", "-")
	n.says(app.Finding, `"flips": true`, "symbols: {}\n", "try", hold, "--file", "rules/own.yaml", "--text", "-", "--json")
	n.says(app.Usage, "scor", strings.Replace(own, "score: 8", "scor: 8", 1), "try", hold, "--file", "rules/own.yaml", "--text", "-")
	n.says(app.Usage, "go together", "", "try", hold, "--file", "rules/own.yaml")
	n.says(app.Fault, "no such file", "", "try", hold, "--file", "rules/own.yaml", "--text", filepath.Join(t.TempDir(), "none"))
	n.says(app.Fault, "at most", strings.Repeat("x", 1<<20+1), "try", hold, "--file", "rules/own.yaml", "--text", "-")
	n.says(app.Finding, "", "", "try", "nothing")
}

func TestAFileIsSentToTheOtherNodes(t *testing.T) {
	store := &entities.Memory{}
	one, two := newNode(t, "mx1", store), newNode(t, "mx2", store)
	const file = "rules/own.yaml"
	one.says(app.Fine, "it was not sent", "", "sent", file)
	one.says(app.Usage, "configuration of its own", "", "send", "config/postern.yaml", "--force")
	next := strings.Replace(own, "score: 8", "score: 3", 1)
	one.save(next)
	one.says(app.Fine, "mx2    not yet", "", "send", file, "--note", "fewer held bills")
	must(t, two.desk.Receive(t.Context()))
	one.says(app.Fine, "took it", "", "sent", file)
	if two.text() != next {
		t.Error(two.text())
	}
	two.save(own + "# its own\n")
	one.save(strings.Replace(own, "score: 8", "score: 4", 1))
	one.says(app.Fine, "not yet", "", "send", file)
	must(t, two.desk.Receive(t.Context()))
	one.says(app.Finding, "refused it: ", "", "sent", file)
	one.says(app.Finding, `"ok": false`, "", "sent", file, "--json")
	one.says(app.Fine, `"force": true`, "", "send", file, "--force", "--json")
	must(t, two.desk.Receive(t.Context()))
	one.says(app.Fine, "took it", "", "sent", file)
	if two.text() != one.text() {
		t.Error(two.text())
	}
}
