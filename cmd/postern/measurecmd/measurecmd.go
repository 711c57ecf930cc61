// Package measurecmd is the command line of measures against accounts, and of what takes them
// without a person.
package measurecmd

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"postern/abuse/measure"
	"postern/abuse/measure/shadow"
	"postern/abuse/second"
	"postern/cmd/postern/app"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/secondcmd"
)

// Measure are the subcommands of measure.
type Measure struct {
	List       listCmd       `cmd:"" help:"Measures in force."`
	Show       showCmd       `cmd:"" help:"Show one measure."`
	Apply      applyCmd      `cmd:"" help:"Take a measure against an account or a domain."`
	Undo       undoCmd       `cmd:"" help:"Lift a measure; what was before is restored."`
	Reviewed   reviewedCmd   `cmd:"" help:"Say that a measure was looked at and stands."`
	Automation automationCmd `cmd:"" help:"How automation stands: kill switch, breaker, rules."`
	Stop       stopCmd       `cmd:"" help:"Kill switch: nothing automatic is in force any more, on all nodes."`
	Start      stopCmd       `cmd:"" help:"Let automation act again."`
	Reset      resetCmd      `cmd:"" help:"Reset the breaker after it has tripped."`
	Enable     ruleCmd       `cmd:"" help:"Let a rule take measures; only after its time in shadow."`
	Disable    ruleCmd       `cmd:"" help:"Put a rule back into shadow."`
}

type listCmd struct {
	Account string `arg:"" optional:"" help:"An account or @domain; all by default."`
	All     bool   `help:"Those that ended as well."`
	Limit   int    `default:"50" help:"Measures of one page."`
	After   string `help:"The next page's mark."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Run lists measures, newest first.
func (c *listCmd) Run(a *app.App) error {
	q := calls.MeasureList{Account: c.Account, All: c.All, Limit: c.Limit, After: c.After}
	return app.Call(a, "measure.list", q, c.JSON, func(p calls.MeasurePage) {
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tSINCE\tLEVEL\tON\tSTATE\tUNTIL\tBY\tCASE\tREASON")
		for _, m := range p.Measures {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.ID, when(m.At), m.Level, app.Clean(m.Target), m.State, until(m), app.Clean(m.Actor), m.Case, cut(m.Reason))
		}
		_ = w.Flush()
		if p.Next != "" {
			fmt.Fprintf(a.Stdout, "more: --after %s\n", p.Next)
		}
	})
}

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}

func until(m measure.Measure) string {
	if m.Until.IsZero() && !m.Review.IsZero() {
		return "review " + when(m.Review)
	}
	return when(m.Until)
}

func cut(s string) string {
	r := []rune(app.Clean(s))
	if len(r) > 60 {
		return string(r[:57]) + "..."
	}
	return string(r)
}

// Print shows a measure with all its parts.
func Print(w io.Writer, m measure.Measure) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-10s %s\n", name, app.Clean(fmt.Sprintf(format, args...)))
	}
	line("id", "%s", m.ID)
	line("measure", "%s (%s) on %s, %s", m.Level, m.Level.Word(), m.Target, m.State)
	line("by", "%s at %s: %s", m.Actor, when(m.At), m.Reason)
	line("until", "%s", until(m))
	if m.Case != "" {
		line("case", "%s", m.Case)
	}
	if len(m.Rules) > 0 {
		line("rules", "%s of families %v, score %d", strings.Join(m.Rules, ", "), m.Families, m.Score)
	}
	for _, c := range m.Connectors {
		state := "proved"
		if !c.Verified {
			state = "not proved " + c.Failure
		}
		line("at", "%s: %s", c.Name, state)
	}
	if m.Ended != nil {
		line("ended", "%s by %s: %s", when(m.Ended.At), m.Ended.Actor, m.Ended.Reason)
	}
}

type showCmd struct {
	ID   string `arg:"" help:"The measure."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run shows a measure.
func (c *showCmd) Run(a *app.App) error {
	return app.Call(a, "measure.show", calls.ID{ID: c.ID}, c.JSON, func(m measure.Measure) { Print(a.Stdout, m) })
}

type applyCmd struct {
	Level      string  `arg:"" help:"M0 to M7, or watch, throttle, hold, suspend, reset, login-off, domain, end."`
	On         string  `arg:"" help:"An account, or @domain."`
	Reason     string  `required:"" help:"Why; it is written into the audit trail."`
	Case       string  `help:"The case it belongs to."`
	Hours      float64 `help:"End by itself after so long; else somebody ends it."`
	BreakGlass string  `name:"break-glass" placeholder:"WHY" help:"M5 and more, and whole domains: act alone, and why nobody else can approve. It is written down and raises an alert."`
	Messages   int     `help:"Throttle: messages an hour."`
	Recipients int     `help:"Throttle: recipients an hour."`
	JSON       bool    `name:"json" help:"Print JSON."`
}

// Run takes a measure, or proposes it where two persons are needed, and ends with a finding while a connector has not proved it.
func (c *applyCmd) Run(a *app.App) error {
	ask := calls.MeasureAsk{Level: c.Level, Reason: c.Reason, Case: c.Case, Hours: c.Hours, BreakGlass: c.BreakGlass, Messages: c.Messages, Recipients: c.Recipients}
	if domain, yes := strings.CutPrefix(c.On, "@"); yes {
		ask.Domain = domain
	} else {
		ask.Account = c.On
	}
	if ask.Two() && c.BreakGlass == "" {
		return app.Call(a, "measure.propose", ask, c.JSON, func(p second.Proposal) {
			secondcmd.Print(a.Stdout, p)
			fmt.Fprintf(a.Stdout, "it waits for a second person: postern approval approve %s\n", p.ID)
		})
	}
	return app.Call(a, "measure.apply", ask, c.JSON, func(m measure.Measure) { Print(a.Stdout, m) })
}

type undoCmd struct {
	ID      string `arg:"" help:"The measure."`
	Reason  string `required:"" help:"Why; it is written into the audit trail."`
	Cleared bool   `help:"There was no abuse: held mail goes out at once, and the rules learn of it."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Run lifts a measure.
func (c *undoCmd) Run(a *app.App) error {
	return app.Call(a, "measure.undo", calls.MeasureEnd{ID: c.ID, Reason: c.Reason, Cleared: c.Cleared}, c.JSON, func(m measure.Measure) { Print(a.Stdout, m) })
}

type reviewedCmd struct {
	ID   string `arg:"" help:"The measure."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run puts the next review off by a week.
func (c *reviewedCmd) Run(a *app.App) error {
	return app.Call(a, "measure.reviewed", calls.ID{ID: c.ID}, c.JSON, func(m measure.Measure) { Print(a.Stdout, m) })
}

type automationCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run shows how automation stands.
func (c *automationCmd) Run(a *app.App) error {
	return app.Call(a, "automation.show", struct{}{}, c.JSON, func(s calls.Automation) { printAutomation(a.Stdout, s) })
}

func printAutomation(w io.Writer, s calls.Automation) {
	switch {
	case s.Switch.File:
		fmt.Fprintln(w, "automation is off: the file is there on this node")
	case s.Switch.Off:
		fmt.Fprintf(w, "automation is off since %s by %s: %s\n", when(s.Switch.At), app.Clean(s.Switch.By), app.Clean(s.Switch.Reason))
	default:
		fmt.Fprintln(w, "automation is on")
	}
	fmt.Fprintf(w, "%d accounts were held or suspended in the last hour\n", s.LastHour)
	for name, t := range s.Trips {
		if name == "" {
			name = "all"
		}
		fmt.Fprintf(w, "the breaker of %s tripped at %s: %s; %d times only alerted since\n", app.Clean(name), when(t.At), app.Clean(t.Why), t.Missed)
	}
	for _, p := range s.Rules {
		printRule(w, p)
	}
}

func printRule(w io.Writer, p shadow.Preview) {
	state := "in shadow, ready " + when(p.Ready)
	if p.Rule.Live {
		state = "enabled by " + app.Clean(p.Rule.By)
	}
	fmt.Fprintf(w, "rule %s: %s; %s\n", app.Clean(p.Rule.Name), state, p)
}

type stopCmd struct {
	Reason string `required:"" help:"Why; it is written into the audit trail."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run presses the kill switch or lets go of it, as the command was called.
func (c *stopCmd) Run(a *app.App) error {
	return app.Call(a, "automation.set", calls.AutomationSet{Off: a.Verb() == "stop", Reason: c.Reason}, c.JSON, func(s calls.Automation) { printAutomation(a.Stdout, s) })
}

type resetCmd struct {
	Reason string `required:"" help:"Why; it is written into the audit trail."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run resets the breaker.
func (c *resetCmd) Run(a *app.App) error {
	return app.Call(a, "automation.reset", calls.ID{Note: c.Reason}, c.JSON, func(s calls.Automation) { printAutomation(a.Stdout, s) })
}

type ruleCmd struct {
	Rule string `arg:"" help:"The rule."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run enables or disables a rule, as the command was called.
func (c *ruleCmd) Run(a *app.App) error {
	return app.Call(a, "automation."+a.Verb(), calls.ID{ID: c.Rule}, c.JSON, func(p shadow.Preview) { printRule(a.Stdout, p) })
}
