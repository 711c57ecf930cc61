package desk

import (
	"fmt"
	"io"
	"strings"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/calls"
	"postern/filter/greylist"
)

// Greylist are the commands over senders that were asked to come again.
type Greylist struct {
	List  greylistListCmd  `cmd:"" help:"Show who was asked to come again."`
	Allow greylistAllowCmd `cmd:"" help:"Let a sender in without waiting."`
}

type greylistListCmd struct {
	After string `help:"Go on behind this ID."`
	Limit int    `default:"100" help:"How many, at most 1000."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Run lists who waits.
func (c *greylistListCmd) Run(a *app.App) error {
	return app.Call(a, "greylist.list", calls.Paging{After: c.After, Limit: c.Limit}, c.JSON, func(all []greylist.Waiting) {
		if len(all) == 0 {
			fmt.Fprintln(a.Stdout, "nobody waits")
		}
		for _, w := range all {
			printWaiting(a.Stdout, w, a.Now())
		}
	})
}

func printWaiting(out io.Writer, w greylist.Waiting, now time.Time) {
	from := w.From
	if from == "" {
		from = "<>"
	}
	to := strings.Join(w.To, ", ")
	if more := w.Recipients - len(w.To); more > 0 {
		to += fmt.Sprintf(" and %d more", more)
	}
	may := "may come from " + w.NotBefore.Local().Format(time.DateTime)
	if !now.Before(w.NotBefore) {
		may = "may come since " + w.NotBefore.Local().Format(time.DateTime)
	}
	tries := "1 try"
	if w.Tries != 1 {
		tries = fmt.Sprintf("%d tries, the last at %s", w.Tries, w.Last.Local().Format(time.DateTime))
	}
	fmt.Fprintf(out, "%s  %s -> %s\n  from %s %s, first at %s, %s, %s\n", w.ID, app.Clean(from), app.Clean(to),
		app.Clean(w.Client), app.Clean(w.Name), w.First.Local().Format(time.DateTime), tries, may)
}

type greylistAllowCmd struct {
	Of   string `arg:"" help:"ID that list shows, or an address, a /24 or /64 network, or a domain."`
	Note string `help:"Why; it is audited."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run lets a sender in.
func (c *greylistAllowCmd) Run(a *app.App) error {
	return app.Call(a, "greylist.allow", calls.Let{Of: c.Of, Note: c.Note}, c.JSON, func(k greylist.Known) {
		fmt.Fprintf(a.Stdout, "%s is not asked to wait until %s; what waits passes at its next try\n", app.Clean(k.Source), k.Until.Local().Format(time.DateTime))
	})
}
