package main

import (
	"fmt"
	"os"

	"postern/rules"
)

type rulesCmd struct {
	Dir      string           `help:"Folder of the operator's rules; by default the one of postern.yaml, where there is one." type:"existingdir"`
	Check    rulesCheckCmd    `cmd:"" help:"Load all rules and run their own tests."`
	Test     rulesTestCmd     `cmd:"" help:"Show what the patterns find in message files."`
	Explain  rulesExplainCmd  `cmd:"" help:"Tell all about one symbol."`
	Document rulesDocumentCmd `cmd:"" help:"Print docs/checks.md."`
}

// load reads the embedded rules and the operator's.
func (c *rulesCmd) load(a *app) (*rules.Set, error) {
	if c.Dir != "" {
		return loadRules(c.Dir)
	}
	cfg, err := configOrDefault(a.config)
	if err != nil {
		return nil, err
	}
	return loadRules(cfg.Rules.Dir)
}

// loadRules reads the defaults and, where the folder exists, the operator's rules.
func loadRules(dir string) (*rules.Set, error) {
	if dir == "" {
		return rules.Load()
	}
	if _, err := os.Stat(dir); os.IsNotExist(err) {
		return rules.Load()
	}
	return rules.Load(dir)
}

type rulesCheckCmd struct{}

// Run prints every fault; none is exit 0.
func (c *rulesCheckCmd) Run(a *app, parent *cli) error {
	set, err := parent.Rules.load(a)
	if err != nil {
		return &exit{exitFinding, err}
	}
	problems := set.Check()
	for _, p := range problems {
		fmt.Fprintln(a.stderr, clean(p.String()))
	}
	if len(problems) > 0 {
		return finding("%d of the rules' own tests failed", len(problems))
	}
	fmt.Fprintf(a.stdout, "rules %s: %d symbols, %d policies, all tests passed\n", set.Revision(), len(set.Symbols()), len(set.Policies()))
	return nil
}

type rulesTestCmd struct {
	Files []string `arg:"" name:"file" help:"Message files; - is standard input."`
	JSON  bool     `name:"json" help:"Print JSON."`
}

// Run judges files by content alone.
func (c *rulesTestCmd) Run(a *app, parent *cli) error {
	set, err := parent.Rules.load(a)
	if err != nil {
		return err
	}
	o := contentOnly(set)
	var results []scanResult
	for _, path := range c.Files {
		raw, err := readMessage(path, a.stdin)
		if err != nil {
			return err
		}
		j, err := o.judge(a.ctx, raw, circumstances{now: a.now()})
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		results = append(results, resultOf(path, j))
	}
	if c.JSON {
		return printJSON(a.stdout, results)
	}
	for _, r := range results {
		r.print(a.stdout)
	}
	return nil
}

type rulesExplainCmd struct {
	Symbol string `arg:"" help:"Name of the symbol."`
}

// Run prints what is known of a symbol.
func (c *rulesExplainCmd) Run(a *app, parent *cli) error {
	set, err := parent.Rules.load(a)
	if err != nil {
		return err
	}
	if err := set.Explain(a.stdout, c.Symbol); err != nil {
		return &exit{exitFinding, err}
	}
	return nil
}

type rulesDocumentCmd struct{}

// Run prints the documentation of the embedded rules.
func (c *rulesDocumentCmd) Run(a *app) error {
	set, err := rules.Load()
	if err != nil {
		return err
	}
	return set.Document(a.stdout)
}
