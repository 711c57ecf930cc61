// Package secondcmd is the command line over what needs two persons.
package secondcmd

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"postern/abuse/second"
	"postern/cmd/postern/app"
	"postern/cmd/postern/secondcalls"
)

// Approval are the commands over proposals.
type Approval struct {
	List    listCmd   `cmd:"" help:"List what waits for a second person."`
	Show    showCmd   `cmd:"" help:"Show one proposal."`
	Approve decideCmd `cmd:"" help:"Have done what another person asked for."`
	Refuse  decideCmd `cmd:"" help:"Refuse it, or withdraw what you asked for yourself."`
}

type listCmd struct {
	State string `enum:"open,approved,refused,withdrawn,expired,all" default:"open" help:"open, approved, refused, withdrawn, expired or all."`
	Limit int    `default:"50" help:"Proposals at most."`
	After string `help:"Where the list before ended."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Run lists proposals.
func (c *listCmd) Run(a *app.App) error {
	q := secondcalls.Query{State: second.State(c.State), Limit: c.Limit, After: c.After}
	if c.State == "all" {
		q.State = ""
	}
	return app.Call(a, "approval.list", q, c.JSON, func(p second.Page) {
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tSTATE\tUNTIL\tBY\tWHAT\tREASON")
		for _, x := range p.Proposals {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", x.ID, x.State, x.Until.Local().Format(time.DateTime), app.Clean(x.By), app.Clean(x.Words), app.Clean(x.Reason))
		}
		_ = w.Flush()
		if p.Next != "" {
			fmt.Fprintln(a.Stdout, "more: --after", p.Next)
		}
	})
}

type showCmd struct {
	ID   string `arg:"" help:"The proposal."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run shows a proposal.
func (c *showCmd) Run(a *app.App) error {
	return app.Call(a, "approval.show", secondcalls.Decision{ID: c.ID}, c.JSON, func(p second.Proposal) { Print(a.Stdout, p) })
}

// Print shows a proposal with all its parts.
func Print(w io.Writer, p second.Proposal) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-9s %s\n", name, app.Clean(fmt.Sprintf(format, args...)))
	}
	line("proposal", "%s %s", p.ID, p.State)
	line("what", "%s, %s", p.Words, p.Object)
	line("by", "%s at %s: %s", p.By, p.At.Local().Format(time.DateTime), p.Reason)
	line("until", "%s", p.Until.Local().Format(time.DateTime))
	if d := p.Decided; d != nil {
		line("decided", "by %s at %s: %s", d.By, d.At.Local().Format(time.DateTime), d.Reason)
	}
	if p.Failure != "" {
		line("failed", "%s; approve it once more", p.Failure)
	}
}

type decideCmd struct {
	ID         string `arg:"" help:"The proposal."`
	Reason     string `help:"Why; refuse needs one."`
	BreakGlass string `name:"break-glass" placeholder:"WHY" help:"Of approve: nobody else can approve it, and why. It is written down and raises an alert."`
	JSON       bool   `name:"json" help:"Print JSON."`
}

// Run makes the call that the command is named after.
func (c *decideCmd) Run(a *app.App) error {
	d := secondcalls.Decision{ID: c.ID, Reason: c.Reason, BreakGlass: c.BreakGlass}
	return app.Call(a, "approval."+a.Verb(), d, c.JSON, func(p second.Proposal) { Print(a.Stdout, p) })
}
