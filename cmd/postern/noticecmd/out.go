package noticecmd

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/outcalls"
)

type outCmd struct {
	Sort  string `enum:"letter,report,body," default:"" help:"letter, report (to networks) or body (the national one)."`
	State string `enum:"waiting,delivered,bounced,barred," default:"" help:"waiting, delivered, bounced or barred."`
	Case  string `help:"Of a case."`
	To    string `help:"With this in the address."`
	Limit int    `default:"50" help:"How many at most."`
	After string `help:"Where the list before ended."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Run lists what went out.
func (c *outCmd) Run(a *app.App) error {
	q := outcalls.Query{Sort: c.Sort, State: c.State, Case: c.Case, To: c.To, Limit: c.Limit, After: c.After}
	return app.Call(a, "notice.out", q, c.JSON, func(p outcalls.Page) {
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tAT\tCASE\tSORT\tKIND\tSTATE\tTO\tWHY")
		for _, s := range p.Sent {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, s.At.Local().Format(time.DateTime), s.Case, s.Sort, app.Clean(s.Kind), s.State, app.Clean(cmp.Or(s.To, "-")), app.Clean(s.Why))
		}
		_ = w.Flush()
		if p.Next != "" {
			fmt.Fprintln(a.Stdout, "more: --after", p.Next)
		}
	})
}

type messageCmd struct {
	ID   string `arg:"" help:"As out lists it."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run shows one.
func (c *messageCmd) Run(a *app.App) error {
	return app.Call(a, "notice.message", outcalls.Work{ID: c.ID}, c.JSON, message(a))
}

func message(a *app.App) func(outcalls.Message) {
	return func(m outcalls.Message) {
		fmt.Fprintf(a.Stdout, "%s %s of %s to %s: %s %s\n\n", m.Sort, app.Clean(m.Kind), m.Case, app.Clean(cmp.Or(m.To, "nobody")), m.State, app.Clean(m.Why))
		for line := range strings.Lines(m.Text) {
			fmt.Fprintln(a.Stdout, app.Clean(strings.TrimRight(line, "\n")))
		}
	}
}

type resendCmd struct {
	ID     string `arg:"" help:"As out lists it."`
	Reason string `required:"" help:"Why."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run sends it again.
func (c *resendCmd) Run(a *app.App) error {
	return app.Call(a, "notice.resend", outcalls.Work{ID: c.ID, Reason: c.Reason}, c.JSON, message(a))
}
