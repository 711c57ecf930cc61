// Package digestcmd is the command line over the letters that tell recipients of their held
// mail.
package digestcmd

import (
	"fmt"
	"text/tabwriter"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/recipients"
	"postern/internal/desk/mine"
)

// Digest are the commands.
type Digest struct {
	List    listCmd    `cmd:"" help:"List recipients: when their next letter goes out, and what became of the last."`
	Preview previewCmd `cmd:"" help:"Print the letter that a recipient would get now. Its links do nothing."`
	Send    sendCmd    `cmd:"" help:"Send a recipient's letter now, before its hour."`
}

type listCmd struct {
	Address string `arg:"" optional:"" help:"Of this recipient alone."`
	Limit   int    `default:"50" help:"Recipients at most."`
	After   string `help:"Where the list before ended."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Run lists recipients.
func (c *listCmd) Run(a *app.App) error {
	return app.Call(a, "digest.list", mine.Of{Address: c.Address, Limit: c.Limit, After: c.After}, c.JSON, func(p recipients.Letters) {
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "RECIPIENT\tNEXT\tLAST\tMESSAGES\tBECAME")
		for _, r := range p.Readers {
			due, last, n, became := "-", "-", "", ""
			switch {
			case r.Off:
				due = "off"
			case !r.Due.IsZero():
				due = r.Due.Local().Format(time.DateTime)
			}
			if r.Last != nil {
				last, n, became = r.Last.At.Local().Format(time.DateTime), fmt.Sprint(r.Last.Holds), r.Last.State+" "+r.Last.Reply
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", app.Clean(r.Address), due, last, n, app.Clean(became))
		}
		_ = w.Flush()
		if p.Next != "" {
			fmt.Fprintln(a.Stdout, "more: --after", p.Next)
		}
	})
}

type previewCmd struct {
	Address string `arg:"" help:"The recipient."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Run prints a letter.
func (c *previewCmd) Run(a *app.App) error {
	return app.Call(a, "digest.preview", mine.Of{Address: c.Address}, c.JSON, func(w recipients.Wrote) {
		if w.Holds == 0 {
			fmt.Fprintf(a.Stdout, "nothing new is held for %s, or the letters are off\n", app.Clean(w.Address))
			return
		}
		_, _ = a.Stdout.Write(w.Message) // nobody to tell
	})
}

type sendCmd struct {
	Address string `arg:"" help:"The recipient."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Run sends a letter.
func (c *sendCmd) Run(a *app.App) error {
	return app.Call(a, "digest.send", mine.Of{Address: c.Address}, c.JSON, func(w recipients.Wrote) {
		fmt.Fprintf(a.Stdout, "%s: a letter about %d messages is in the outbox as %s\n", app.Clean(w.Address), w.Holds, w.Entry)
	})
}
