// Package intakecmd is the commands over what came in at the abuse desk.
package intakecmd

import (
	"fmt"
	"strings"
	"time"

	"postern/abuse/intake"
	"postern/abuse/intake/verdict"
	"postern/cmd/postern/app"
	"postern/cmd/postern/intakecalls"
)

// Complaint is the commands over reports.
type Complaint struct {
	List  listCmd  `cmd:"" help:"List the reports that came in, newest first."`
	Show  showCmd  `cmd:"" help:"Show one report, what it proves and why."`
	Raw   rawCmd   `cmd:"" help:"Print a report as it came, byte for byte. It may hold anything."`
	View  viewCmd  `cmd:"" help:"Show a report, and the message it is about, as text that is safe to look at."`
	Take  takeCmd  `cmd:"" help:"Hand in a complaint that did not come as mail: a file, or what somebody said on the phone."`
	Judge judgeCmd `cmd:"" help:"Say whether a report was right: so reporters become known."`
}

// Feed is the commands over feedback loops.
type Feed struct {
	List   feedListCmd   `cmd:"" help:"List the registered feedback loops."`
	Add    feedAddCmd    `cmd:"" help:"Register one: it has an address of its own and only observes for 14 days."`
	Show   feedShowCmd   `cmd:"" help:"Show one: how far it is believed, and how much it reports."`
	Trust  feedTrustCmd  `cmd:"" help:"Believe it, watch it for another 14 days, or heed it no more."`
	Remove feedRemoveCmd `cmd:"" help:"Forget one: its address is no longer believed."`
}

type listCmd struct {
	State    string        `help:"new, done, folded or failed."`
	Reporter string        `help:"Only of this reporter."`
	Account  string        `help:"Only about this account."`
	Case     string        `help:"Only of this case."`
	Fold     string        `help:"Only of this flood."`
	Feed     string        `help:"Only of this feedback loop."`
	SHA256   string        `name:"sha256" help:"Only with these bytes."`
	Since    time.Duration `help:"Only of the last time (72h)."`
	After    string        `help:"Go on behind this page."`
	Limit    int           `default:"100" help:"How many."`
	JSON     bool          `name:"json" help:"Print JSON."`
}

// Run lists.
func (c *listCmd) Run(a *app.App) error {
	q := intakecalls.Query{State: c.State, Reporter: c.Reporter, Account: c.Account, Case: c.Case, Fold: c.Fold, Feed: c.Feed, SHA256: c.SHA256, After: c.After, Limit: c.Limit}
	if c.Since > 0 {
		q.Since = a.Now().Add(-c.Since)
	}
	return app.Call(a, "complaint.list", q, c.JSON, func(p intakecalls.Page) {
		for _, r := range p.Complaints {
			fmt.Fprintf(a.Stdout, "%s  %s  %-6s %s %s  %-30s %s\n", r.Report.ID, r.Report.At.UTC().Format(time.RFC3339), r.Work.State, r.Work.Proof.Grade, r.Work.Trust,
				app.Clean(r.Work.Reporter), app.Clean(strings.Join(r.Work.Cases, " ")))
		}
		if p.Next != "" {
			fmt.Fprintf(a.Stdout, "more: --after %s\n", app.Clean(p.Next))
		}
	})
}

type showCmd struct {
	ID   string `arg:"" help:"ID of the report."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run shows one.
func (c *showCmd) Run(a *app.App) error {
	return app.Call(a, "complaint.show", intakecalls.ID{ID: c.ID}, c.JSON, func(r intakecalls.Complaint) {
		if r.Bundle != nil {
			showBundle(a, r)
			return
		}
		line := func(name, value string) { fmt.Fprintf(a.Stdout, "%-11s %s\n", name, app.Clean(value)) }
		line("report", r.Report.ID+" "+r.Report.By)
		line("received", r.Report.At.UTC().Format(time.RFC3339))
		line("client", fmt.Sprintf("%s port %d, HELO %s, %s", r.Report.Client, r.Report.Port, r.Report.Helo, r.Report.TLS))
		line("from", r.Report.From+" to "+strings.Join(r.Report.To, ", "))
		line("proved", fmt.Sprintf("SPF %s, DMARC %s %s, DKIM %s", r.Report.Auth.SPF, r.Report.Auth.DMARC, r.Report.Auth.Author, strings.Join(r.Report.Auth.DKIM, " ")))
		line("bytes", fmt.Sprintf("%d, SHA-256 %s", r.Report.Size, r.Report.SHA256))
		line("state", r.Work.State+" "+strings.Join(r.Work.Cases, " "))
		line("reporter", fmt.Sprintf("%s %s %s", r.Work.Trust, r.Work.Reporter, r.Work.Feed))
		line("verdict", judged(r.Work))
		if r.Like > 1 {
			line("flood", fmt.Sprintf("%d more like this", r.Like-1))
		}
		line("proof", fmt.Sprintf("%s %s, votes %d/100: %s", r.Work.Proof.Grade, r.Work.Proof.Class, r.Work.Proof.Votes, r.Work.Proof.Sentence))
		for _, t := range r.Work.Proof.Transcript {
			line("", t)
		}
		for _, t := range r.Work.Problems {
			line("problem", t)
		}
	})
}

// showBundle names the reports that one record of a flood stands for.
func showBundle(a *app.App, r intakecalls.Complaint) {
	fmt.Fprintf(a.Stdout, "%s stands for %d reports of one flood since %s, case %s\n", r.Bundle.ID, r.Like, r.Bundle.At.UTC().Format(time.RFC3339), r.Bundle.Case)
	for _, one := range r.Bundle.Reports {
		fmt.Fprintf(a.Stdout, "%s  SHA-256 %s\n", one.ID, one.SHA256)
	}
}

type rawCmd struct {
	ID string `arg:"" help:"ID of the report."`
}

// Run prints the bytes.
func (c *rawCmd) Run(a *app.App) error {
	return app.Call(a, "complaint.raw", intakecalls.ID{ID: c.ID}, false, func(r intakecalls.Raw) {
		_, _ = a.Stdout.Write(r.Bytes) // a reader that has gone has seen enough
	})
}

type judgeCmd struct {
	ID      string `arg:"" help:"ID of the report."`
	Verdict string `arg:"" enum:"right,wrong,abusive,none" help:"right, wrong, abusive (reported against better knowledge), or none to take it back."`
	Reason  string `help:"Why; abusive needs one."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Run notes it.
func (c *judgeCmd) Run(a *app.App) error {
	j := intakecalls.Judgement{ID: c.ID, Verdict: verdict.Verdict(c.Verdict), Reason: c.Reason}
	if c.Verdict == "none" {
		j.Verdict = ""
	}
	return app.Call(a, "complaint.judge", j, c.JSON, func(r intakecalls.Complaint) { fmt.Fprintf(a.Stdout, "%s %s\n", r.Report.ID, judged(r.Work)) })
}

func judged(w intake.Work) string {
	switch {
	case w.Judged == "":
		return "is not judged"
	case w.JudgedWith != "":
		return fmt.Sprintf("was %s, as %s said with %s", w.Judged, app.Clean(w.JudgedBy), w.JudgedWith)
	}
	return fmt.Sprintf("was %s, as %s said", w.Judged, app.Clean(w.JudgedBy))
}

type feedListCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run lists.
func (c *feedListCmd) Run(a *app.App) error {
	return app.Call(a, "feed.list", struct{}{}, c.JSON, func(all []intake.Feed) {
		for _, f := range all {
			word := "counts"
			if a.Now().Before(f.Observing()) {
				word = "observes until " + f.Observing().UTC().Format(time.DateOnly)
			}
			fmt.Fprintf(a.Stdout, "%-20s %-30s d=%-25s %s\n", app.Clean(f.Name), app.Clean(f.Alias), app.Clean(f.Domain), word)
		}
	})
}

type feedAddCmd struct {
	Name   string `arg:"" help:"Its name here."`
	Alias  string `arg:"" help:"The address given to it and to nobody else."`
	Domain string `arg:"" help:"d= of the signature on its reports."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run registers.
func (c *feedAddCmd) Run(a *app.App) error {
	return app.Call(a, "feed.add", intake.Feed{Name: c.Name, Alias: c.Alias, Domain: c.Domain}, c.JSON, func(f intake.Feed) {
		fmt.Fprintf(a.Stdout, "%s reports to %s; it only observes until %s\n", f.Name, f.Alias, f.Observing().UTC().Format(time.DateOnly))
	})
}

type feedRemoveCmd struct {
	Name string `arg:"" help:"Its name here."`
}

// Run forgets.
func (c *feedRemoveCmd) Run(a *app.App) error {
	return app.Call(a, "feed.remove", intakecalls.ID{ID: c.Name}, false, func(struct{}) { fmt.Fprintf(a.Stdout, "%s is forgotten\n", c.Name) })
}
