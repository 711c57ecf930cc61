package desk

import (
	"fmt"

	"postern/abuse"
	"postern/cmd/postern/app"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/measurecmd"
)

type accountUndoCmd struct {
	Name    string `arg:"" help:"The account, or @domain."`
	Reason  string `required:"" help:"Why; it is written into the audit trail."`
	Cleared bool   `help:"There was no abuse: held mail goes out at once, and the rules learn of it."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Run lifts every measure against an account.
func (c *accountUndoCmd) Run(a *app.App) error {
	end := calls.MeasureEnd{Account: c.Name, Reason: c.Reason, Cleared: c.Cleared}
	return app.Call(a, "account.undo", end, c.JSON, func(acc abuse.Account) { printAccount(a.Stdout, acc) })
}

type accountWhyCmd struct {
	Name string `arg:"" help:"The account."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run says what is in force against an account, and what its compromise score is made of.
func (c *accountWhyCmd) Run(a *app.App) error {
	return app.Call(a, "account.why", calls.AccountChange{Name: c.Name}, c.JSON, func(w calls.AccountWhy) {
		fmt.Fprintf(a.Stdout, "%s: %s\n", app.Clean(w.Account.Name), w.Level)
		for _, m := range w.Measures {
			measurecmd.Print(a.Stdout, m)
		}
		fmt.Fprintf(a.Stdout, "compromise score %d\n", w.Judged.Score)
		for _, s := range w.Judged.Signals {
			fmt.Fprintf(a.Stdout, "  %+d %s (%s): %s\n", s.Weight, app.Clean(s.Rule), s.Family, app.Clean(s.Detail))
		}
	})
}
