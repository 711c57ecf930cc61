// Package casecmd is the command line over cases, guarantees and calendars.
package casecmd

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"postern/abuse/cases"
	"postern/abuse/cases/figures"
	"postern/abuse/cases/flow"
	"postern/cmd/postern/app"
	"postern/cmd/postern/casecalls"
)

// Case are the commands over cases.
type Case struct {
	List     listCmd     `cmd:"" help:"List cases, the next deadline first."`
	Show     showCmd     `cmd:"" help:"Show one case with its clocks and its timeline."`
	Reports  reportsCmd  `cmd:"" help:"List the reports of a case."`
	Open     openCmd     `cmd:"" help:"Open a case that no report opens."`
	State    stateCmd    `cmd:"" help:"Bring a case into another state."`
	Assign   assignCmd   `cmd:"" help:"Give a case to somebody, or take it from everybody."`
	Category categoryCmd `cmd:"" help:"Name the classes of spam a case belongs to, S1 to S5."`
	Priority priorityCmd `cmd:"" help:"Set the priority, U1 to U4."`
	Comment  reasonCmd   `cmd:"" help:"Add a line to the timeline."`
	Source   sourceCmd   `cmd:"" help:"Say where the mail came from."`
	Evidence evidenceCmd `cmd:"" help:"Add a file as evidence."`
	Merge    mergeCmd    `cmd:"" help:"Link two cases; the older one stands for both."`
	Unmerge  reasonCmd   `cmd:"" help:"Take the link away again."`
	Reopen   reasonCmd   `cmd:"" help:"Take a case up again, for a reason or an appeal."`
	Result   resultCmd   `cmd:"" help:"Note that the result was sent, or why not."`
	Answer   resultCmd   `cmd:"" help:"Note that a person answered the reporter."`
	Hold     reasonCmd   `cmd:"" help:"Put a case under legal hold: nothing of it is purged."`
	Unhold   reasonCmd   `cmd:"" help:"End a legal hold."`
	End      endCmd      `cmd:"" help:"Propose the permanent end of an account; another person approves it: see approval."`
	Figures  figuresCmd  `cmd:"" help:"How well the promises were kept, as JSON."`
}

type listCmd struct {
	View     string   `arg:"" optional:"" help:"queue (the default), mine, unowned, today, breach, contained, guarantee, probation, p0, done or all."`
	Owner    string   `help:"Cases of a person; - is nobody."`
	Kind     string   `help:"local or external."`
	Grade    string   `help:"Cases of a proof, P0 to P4."`
	Domain   []string `help:"Cases of accounts of a domain."`
	Text     string   `help:"Words that stand in the case."`
	Order    string   `help:"due or new."`
	State    string   `help:"Cases of a state."`
	Priority string   `help:"Cases of a priority."`
	Category string   `help:"Cases of a category."`
	Account  string   `help:"Cases of an account, closed ones too."`
	Source   string   `help:"Cases of an IP or a domain, closed ones too."`
	Limit    int      `default:"50" help:"Cases at most."`
	After    string   `help:"Where the list before ended."`
	JSON     bool     `name:"json" help:"Print JSON."`
}

// Run lists cases.
func (c *listCmd) Run(a *app.App) error {
	q := cases.Search{View: c.View, Owner: c.Owner, State: c.State, Priority: c.Priority, Category: c.Category, Account: c.Account, Source: c.Source, Limit: c.Limit, After: c.After,
		Kind: c.Kind, Grade: c.Grade, Domains: c.Domain, Text: c.Text, Order: c.Order}
	return app.Call(a, "case.list", q, c.JSON, func(p casecalls.Page) {
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "!\tDUE\tCASE\tKIND\tPROOF\tABOUT\tCATEGORY\tVOTES\tSTATE\tOWNER")
		for _, x := range p.Cases {
			fmt.Fprintf(w, "U%d\t%s\t%s\t%s\tP%d\t%s\t%s\t%s\t%s\t%s\n", x.Priority, due(x, a.Now()), x.ID, x.Kind, x.Grade, app.Clean(about(x)), joined(x.Categories), votes(x), x.State, app.Clean(x.Owner))
		}
		_ = w.Flush()
		if p.Next != "" {
			fmt.Fprintln(a.Stdout, "more: --after", p.Next)
		}
	})
}

func joined(all []cases.Category) string {
	out := make([]string, len(all))
	for i, c := range all {
		out[i] = string(c)
	}
	return strings.Join(out, ",")
}

// votes is "7 (1240)": votes, and reports in brackets.
func votes(c cases.Case) string { return fmt.Sprintf("%g (%d)", float64(c.Votes)/100, c.Reports) }

func about(c cases.Case) string {
	switch {
	case c.Account != "":
		return c.Account
	case c.Source.Domain != "":
		return c.Source.Domain
	case c.Source.IP.IsValid():
		return c.Source.IP.String()
	}
	return c.Subject
}

// due says how long there is until the next deadline, in words.
func due(c cases.Case, now time.Time) string {
	at, name, ok := c.Deadline()
	if !ok || !c.Open() {
		return "-"
	}
	left := at.Sub(now).Round(time.Minute)
	if left < 0 {
		return fmt.Sprintf("LATE %s (%s)", -left, name)
	}
	return fmt.Sprintf("in %s (%s)", left, name)
}

type showCmd struct {
	ID   string `arg:"" help:"The case."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run shows a case.
func (c *showCmd) Run(a *app.App) error {
	return app.Call(a, "case.show", casecalls.Paging{ID: c.ID}, c.JSON, func(s casecalls.Shown) { show(a, s) })
}

func show(a *app.App, s casecalls.Shown) {
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
	x := s.Case
	line := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	line("case", "%s  %s  %s since %s", x.ID, x.Kind, x.State, x.Since.Local().Format(time.DateTime))
	line("about", "%s", app.Clean(about(x)))
	line("proof", "P%d  %s", x.Grade, app.Clean(x.Sentence))
	line("votes", "%s; with the cases merged into it %g (%d)", votes(x), float64(s.Total.Votes)/100, s.Total.Reports)
	line("priority", "U%d  %s", x.Priority, joined(x.Categories))
	line("owner", "%s", app.Clean(x.Owner))
	for _, m := range s.Total.Merged {
		line("merged", "%s", m)
	}
	if x.MergedInto != "" {
		line("merged into", "%s", x.MergedInto)
	}
	for _, k := range x.Clocks {
		if k.Running() {
			line("clock", "%s due %s %s", k.Name, k.Due().Local().Format(time.DateTime), k.Calendar)
		}
	}
	line("can become", "%s", words(s.Moves))
	_ = w.Flush()
	fmt.Fprintln(a.Stdout)
	for _, e := range s.Timeline {
		to := ""
		if e.To != "" {
			to = " -> " + string(e.To)
		}
		fmt.Fprintf(a.Stdout, "%s  %s  %s%s  %s\n", e.At.Local().Format(time.DateTime), app.Clean(e.Actor), e.Action, to, app.Clean(e.Text))
	}
}

func words(all []flow.State) string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = string(s)
	}
	return strings.Join(out, ", ")
}

type reportsCmd struct {
	ID    string `arg:"" help:"The case."`
	Limit int    `default:"50" help:"Reports at most."`
	After string `help:"Where the list before ended."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Run lists reports.
func (c *reportsCmd) Run(a *app.App) error {
	return app.Call(a, "case.reports", casecalls.Paging{ID: c.ID, Limit: c.Limit, After: c.After}, c.JSON, func(r casecalls.Reports) {
		for _, l := range r.Reports {
			fmt.Fprintf(a.Stdout, "%s  P%d T%d  %+d/100  %s  %s\n", l.At.Local().Format(time.DateTime), l.Grade, l.Trust, l.Counts, app.Clean(l.Report), app.Clean(l.Reporter))
		}
		if r.Next != "" {
			fmt.Fprintln(a.Stdout, "more: --after", r.Next)
		}
	})
}

// done prints where a case stands after a change.
func done(a *app.App) func(cases.Case) {
	return func(c cases.Case) {
		fmt.Fprintf(a.Stdout, "%s is %s, U%d, due %s\n", c.ID, c.State, c.Priority, due(c, a.Now()))
	}
}

type figuresCmd struct {
	Month string    `help:"A month, 2026-06."`
	From  time.Time `format:"2006-01-02" help:"From a day."`
	To    time.Time `format:"2006-01-02" help:"Up to a day."`
	Agent string    `help:"Cases that this person answered first."`
	JSON  bool      `name:"json" help:"Print JSON; it is printed anyway."`
}

// Run prints figures.
func (c *figuresCmd) Run(a *app.App) error {
	if c.Month == "" && (c.From.IsZero() || c.To.IsZero()) {
		return app.Usagef("say which time: --month 2026-06, or --from and --to")
	}
	return app.Call(a, "case.figures", casecalls.Period{Month: c.Month, From: c.From, To: c.To, Agent: c.Agent}, true, func(figures.Figures) {})
}

// maxFile bounds a file that is handed in, in octets.
const maxFile = 32 << 20

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = app.Usagef("%s: larger than %d octets", path, maxFile)
	}
	return text, err
}
