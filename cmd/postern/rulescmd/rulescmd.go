// Package rulescmd is the command line over the rules of the running gateway: what they did,
// how their files changed, and what is switched off.
package rulescmd

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/fitcmd"
	"postern/cmd/postern/rulecalls"
	"postern/cmd/postern/rulecalls/list"
	"postern/filter"
	"postern/internal/diff"
	"postern/internal/opfiles"
	"postern/internal/record"
)

// Rules are the commands.
type Rules struct {
	List     listCmd     `cmd:"" help:"List all rules with what they did in the last day."`
	Off      offCmd      `cmd:"" help:"Switch a rule off for a time."`
	On       onCmd       `cmd:"" help:"Switch a rule on again."`
	Try      tryCmd      `cmd:"" help:"Say what a held message would get with a text of a file; exit 1 if that differs."`
	History  historyCmd  `cmd:"" help:"List changes of files, the newest first."`
	Diff     diffCmd     `cmd:"" help:"Show one change of a file, line by line."`
	Rollback rollbackCmd `cmd:"" help:"Make a file what it was after a change."`
	Send     sendCmd     `cmd:"" help:"Offer a file of this node to the other nodes, each of which checks it."`
	Sent     sentCmd     `cmd:"" help:"Say what the other nodes made of a file; exit 1 if one refused it."`
	Fit      fitcmd.Fit  `cmd:"" help:"Propose scores from labelled mail, with what they change in both errors."`
	Import   importCmd   `cmd:"" help:"Make rule files of the rules of other filters."`
}

type listCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run lists rules.
func (c *listCmd) Run(a *app.App) error {
	return app.Call(a, "rules.list", struct{}{}, c.JSON, func(p list.Listed) {
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "RULE\tSTATE\tWORTH\tHITS\tHELD\tREJECTED\tFILE")
		for _, r := range p.Rules {
			state, file := r.State, r.File
			if r.Off != nil {
				state += " until " + r.Off.Until.Local().Format(time.DateTime)
			}
			if r.Line > 0 {
				file = fmt.Sprintf("%s:%d", file, r.Line)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%s\n", app.Clean(r.Symbol), state, app.Clean(r.Worth), r.Hits, r.Verdicts.Quarantine, r.Verdicts.Reject, app.Clean(file))
		}
		_ = w.Flush()
		fmt.Fprintf(a.Stdout, "rules %s; figures of %d messages since %s\n", p.Revision, p.Messages, p.Since.Local().Format(time.DateTime))
	})
}

type offCmd struct {
	Symbol string `arg:"" help:"Name of the rule."`
	Hours  int    `required:"" help:"For how long; 720 is the most."`
	Note   string `required:"" help:"Why."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run switches a rule off.
func (c *offCmd) Run(a *app.App) error {
	return app.Call(a, "rules.off", list.TurnOff{Symbol: c.Symbol, Hours: c.Hours, Note: c.Note}, c.JSON, func(o list.Off) {
		fmt.Fprintf(a.Stdout, "%s is off until %s\n", app.Clean(o.Symbol), o.Until.Local().Format(time.DateTime))
	})
}

type onCmd struct {
	Symbol string `arg:"" help:"Name of the rule."`
	Note   string `help:"Why."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run switches it on again.
func (c *onCmd) Run(a *app.App) error {
	return app.Call(a, "rules.on", list.TurnOn{Symbol: c.Symbol, Note: c.Note}, c.JSON, func(symbol string) {
		fmt.Fprintln(a.Stdout, app.Clean(symbol), "is on")
	})
}

type historyCmd struct {
	File  string `arg:"" optional:"" help:"Of this file, as rules/own.yaml; none: of all."`
	Limit int    `default:"50" help:"Changes of one page."`
	After string `help:"The next page's mark."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Run lists changes.
func (c *historyCmd) Run(a *app.App) error {
	return app.Call(a, "rules.history", rulecalls.Past{File: c.File, After: c.After, Limit: c.Limit}, c.JSON, func(p rulecalls.Changes) {
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "CHANGE\tAT\tNODE\tFILE\tHOW\tBY\tNOTE")
		for _, e := range p.Changes {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.ID, e.At.Local().Format(time.DateTime), app.Clean(e.Node), app.Clean(e.File), how(e), app.Clean(e.Actor), record.Clean(e.Note, 60))
		}
		_ = w.Flush()
		if p.Next != "" {
			fmt.Fprintln(a.Stdout, "more: --after", p.Next)
		}
	})
}

func how(c opfiles.Change) string {
	if c.Back != "" {
		return c.How + " to " + c.Back
	}
	return c.How
}

type diffCmd struct {
	ID   string `arg:"" help:"ID of the change."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run shows a change.
func (c *diffCmd) Run(a *app.App) error {
	return app.Call(a, "rules.diff", rulecalls.ChangeID{ID: c.ID}, c.JSON, func(d rulecalls.Difference) {
		if !d.Known {
			fmt.Fprintln(a.Stdout, "the texts before and after are not kept")
			return
		}
		for l := range strings.Lines(diff.Text(d.Diff)) {
			fmt.Fprintln(a.Stdout, app.Clean(strings.TrimRight(l, "\n")))
		}
	})
}

type rollbackCmd struct {
	ID   string `arg:"" help:"ID of the change after which the file was right."`
	Note string `help:"Why."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run goes back.
func (c *rollbackCmd) Run(a *app.App) error {
	return app.Call(a, "rules.rollback", rulecalls.ChangeID{ID: c.ID, Note: c.Note}, c.JSON, func(s rulecalls.Saved) {
		fmt.Fprintf(a.Stdout, "%s: change %s, %s; rules %s\n", app.Clean(s.Change.File), s.Change.ID, how(s.Change), s.Revision)
		if len(s.Restart) > 0 {
			fmt.Fprintln(a.Stdout, "takes effect after a restart:", strings.Join(s.Restart, ", "))
		}
	})
}

type tryCmd struct {
	Hold string `arg:"" help:"ID of the held message."`
	File string `help:"The file that would be another, as rules/own.yaml; none: the rules as they are."`
	Text string `help:"Path of its text; - is the standard input."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run judges a held message again.
func (c *tryCmd) Run(a *app.App) error {
	if (c.File == "") != (c.Text == "") {
		return app.Usagef("--file and --text go together")
	}
	p, flips := rulecalls.Try{Hold: c.Hold, File: c.File}, false
	if c.Text != "" {
		text, err := read(a.Stdin, c.Text)
		if err != nil {
			return err
		}
		p.Text = text
	}
	var failed error
	err := app.Call(a, "rules.try", p, false, func(t rulecalls.Tried) {
		if flips = t.Flips; c.JSON {
			failed = a.JSON(t)
			return
		}
		tried(a.Stdout, t, c.File != "")
	})
	switch {
	case err != nil:
		return err
	case failed == nil && flips:
		return &app.Exit{Code: app.Finding}
	}
	return failed
}

// tried prints what a message gets, and with another text of a file what it would get.
func tried(w io.Writer, t rulecalls.Tried, other bool) {
	fmt.Fprintf(w, "%s %s\n", t.Hold, record.Clean(t.Subject, 60))
	fmt.Fprintf(w, "%-9s %s\n", "came", t.Held)
	judged(w, "now", t.Now)
	if other {
		judged(w, "then", t.Then)
	}
	for _, u := range t.Unchecked {
		fmt.Fprintf(w, "%-9s %s\n", "unchecked", app.Clean(u))
	}
	if len(t.As) > 0 {
		fmt.Fprintf(w, "%-9s %s\n", "as it came", app.Clean(strings.Join(t.As, " ")))
	}
}

func judged(w io.Writer, name string, j rulecalls.Judged) {
	fmt.Fprintf(w, "%-9s %s %s under policy %s\n", name, j.Action, j.Score, app.Clean(j.Policy))
	for _, r := range j.Why {
		fmt.Fprintf(w, "%9s %s %s %s\n", r.Mark, app.Clean(r.Symbol), signed(r.Score), app.Clean(r.Describe+" "+r.Detail))
	}
}

func signed(s filter.Score) string {
	if s < 0 {
		return s.String()
	}
	return "+" + s.String()
}
