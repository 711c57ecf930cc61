package main

import (
	"fmt"

	"postern/cmd/postern/app"
	"postern/cmd/postern/judge"
	"postern/cmd/postern/replaycmd"
	"postern/cmd/postern/rulescmd"
	"postern/rules"
)

type rulesCmd struct {
	Dir      string           `help:"Folder of the operator's rules; by default the one of postern.yaml, where there is one." type:"existingdir"`
	Check    rulesCheckCmd    `cmd:"" help:"Load all rules and run their own tests."`
	Test     rulesTestCmd     `cmd:"" help:"Show what the patterns find in message files."`
	Explain  rulesExplainCmd  `cmd:"" help:"Tell all about one symbol."`
	Document rulesDocumentCmd `cmd:"" help:"Print docs/checks.md."`
	Replay   rulesReplayCmd   `cmd:"" help:"Say what a change of rules would have done to the mail of the last days, or to folders of mail."`

	rulescmd.Rules
}

// load reads the embedded rules and the operator's.
func (c *rulesCmd) load(a *app.App) (*rules.Set, error) {
	if c.Dir != "" {
		return app.LoadRules(c.Dir)
	}
	cfg, err := app.ConfigOrDefault(a.Config)
	if err != nil {
		return nil, err
	}
	return app.LoadRules(cfg.Rules.Dir)
}

type rulesCheckCmd struct{}

// Run prints every fault; none is exit 0.
func (c *rulesCheckCmd) Run(a *app.App, parent *cli) error {
	set, err := parent.Rules.load(a)
	if err != nil {
		return &app.Exit{Code: app.Finding, Err: err}
	}
	problems := set.Check()
	for _, p := range problems {
		fmt.Fprintln(a.Stderr, app.Clean(p.Error()))
	}
	if len(problems) > 0 {
		return app.Findf("%d of the rules' own tests failed", len(problems))
	}
	fmt.Fprintf(a.Stdout, "rules %s: %d symbols, %d policies, all tests passed\n", set.Revision(), len(set.Symbols()), len(set.Policies()))
	return nil
}

type rulesTestCmd struct {
	Files []string `arg:"" name:"file" help:"Message files; - is standard input."`
	JSON  bool     `name:"json" help:"Print JSON."`
}

// Run judges files by content alone.
func (c *rulesTestCmd) Run(a *app.App, parent *cli) error {
	set, err := parent.Rules.load(a)
	if err != nil {
		return err
	}
	return judge.Files(a, judge.ContentOnly(set), c.Files, judge.Circumstances{Now: a.Now()}, c.JSON)
}

type rulesExplainCmd struct {
	Symbol string `arg:"" help:"Name of the symbol."`
}

// Run prints what is known of a symbol.
func (c *rulesExplainCmd) Run(a *app.App, parent *cli) error {
	set, err := parent.Rules.load(a)
	if err != nil {
		return err
	}
	if err := set.Explain(a.Stdout, c.Symbol); err != nil {
		return &app.Exit{Code: app.Finding, Err: err}
	}
	return nil
}

type rulesDocumentCmd struct{}

// Run prints the documentation of the embedded rules.
func (c *rulesDocumentCmd) Run(a *app.App) error {
	set, err := rules.Load()
	if err != nil {
		return err
	}
	return set.Document(a.Stdout)
}

type rulesReplayCmd struct{ replaycmd.Replay }

// Run rehearses a change.
func (c *rulesReplayCmd) Run(a *app.App, parent *cli) error { return c.Replay.Run(a, parent.Rules.Dir) }
