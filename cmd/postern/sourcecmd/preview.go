package sourcecmd

import (
	"cmp"
	"fmt"
	"time"

	"postern/abuse/external/order"
	"postern/cmd/postern/app"
	"postern/cmd/postern/sources/trial"
)

type previewCmd struct {
	Value string `arg:"" help:"Address, network, domain or sender's address, as for block."`
	Scope string `help:"ip, net, domain or from; by its form if not given."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Run tries a block.
func (c *previewCmd) Run(a *app.App) error {
	b := order.Block{Scope: cmp.Or(c.Scope, scopeOf(c.Value)), Value: c.Value, Rule: order.WhenQuiet, Why: "preview", Until: a.Now().UTC().Add(time.Hour)}
	return app.Call(a, "source.preview", b, c.JSON, func(r trial.Result) {
		if r.Refused != "" {
			fmt.Fprintln(a.Stdout, app.Clean(r.Refused))
			return
		}
		more := ""
		if r.More {
			more = " at least"
		}
		fmt.Fprintf(a.Stdout, "%s %s:%s %d mails in %d days, %d of them reached somebody, nothing was found against %d; %d addresses, %d sender domains\n",
			r.Block.Scope, app.Clean(r.Block.Value), more, r.Mails, r.Days, r.Taken, r.Good, r.Addresses, r.Senders)
		for _, e := range r.Some {
			fmt.Fprintf(a.Stdout, "  %s %s %s to %s (%s)\n", e.At.Local().Format(time.DateTime), e.IP, app.Clean(cmp.Or(e.From, "<>")), app.Clean(e.To), e.ID)
		}
	})
}
