// Package suppresscmd is the command line over recipients who want no mail of an account.
package suppresscmd

import (
	"fmt"
	"text/tabwriter"
	"time"

	"postern/abuse/suppress"
	"postern/cmd/postern/app"
	"postern/cmd/postern/suppresscalls"
)

// Suppress are the commands.
type Suppress struct {
	List listCmd `cmd:"" help:"List recipients who want no mail of an account."`
	Add  addCmd  `cmd:"" help:"Note that a recipient wants no mail of an account: it is refused from now on."`
	Lift liftCmd `cmd:"" help:"Let mail through again."`
}

type listCmd struct {
	Account   string `help:"Of this account alone."`
	Recipient string `help:"Of this recipient alone."`
	Limit     int    `default:"50" help:"Entries at most."`
	After     string `help:"Where the list before ended."`
	JSON      bool   `name:"json" help:"Print JSON."`
}

// Run lists entries.
func (c *listCmd) Run(a *app.App) error {
	q := suppress.Query{Account: c.Account, Recipient: c.Recipient, Limit: c.Limit, After: c.After}
	return app.Call(a, "suppress.list", q, c.JSON, func(p suppress.Page) {
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tSINCE\tACCOUNT\tRECIPIENT\tBY\tREASON")
		for _, e := range p.Entries {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", e.ID, e.At.Local().Format(time.DateTime), app.Clean(e.Account), app.Clean(e.Recipient), app.Clean(e.By), app.Clean(e.Reason))
		}
		_ = w.Flush()
		if p.Next != "" {
			fmt.Fprintln(a.Stdout, "more: --after", p.Next)
		}
	})
}

type addCmd struct {
	Account   string `arg:"" help:"The account that sends."`
	Recipient string `arg:"" help:"Who wants no more of it."`
	Reason    string `help:"Why."`
	JSON      bool   `name:"json" help:"Print JSON."`
}

// Run adds an entry.
func (c *addCmd) Run(a *app.App) error {
	q := suppresscalls.Add{Account: c.Account, Recipient: c.Recipient, Reason: c.Reason}
	return app.Call(a, "suppress.add", q, c.JSON, func(e suppress.Entry) {
		fmt.Fprintf(a.Stdout, "%s: mail of %s to %s is refused\n", e.ID, app.Clean(e.Account), app.Clean(e.Recipient))
	})
}

type liftCmd struct {
	ID     string `arg:"" help:"The entry."`
	Reason string `required:"" help:"Why."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run lifts an entry.
func (c *liftCmd) Run(a *app.App) error {
	return app.Call(a, "suppress.lift", suppresscalls.Lift{ID: c.ID, Reason: c.Reason}, c.JSON, func(e suppress.Entry) {
		fmt.Fprintf(a.Stdout, "mail of %s to %s goes through again\n", app.Clean(e.Account), app.Clean(e.Recipient))
	})
}
