package desk

import (
	"fmt"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/outbound"
)

// TraceKey are the commands over the keys of trace tokens.
type TraceKey struct {
	List   traceKeyListCmd   `cmd:"" help:"List the keys, and which one is in use."`
	Rotate traceKeyRotateCmd `cmd:"" help:"Make a new key. The old ones go on opening tokens for 180 days."`
}

type traceKeyListCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run lists the keys.
func (c *traceKeyListCmd) Run(a *app.App) error {
	return app.Call(a, "trace.keys", struct{}{}, c.JSON, func(k calls.TraceKeys) { printTraceKeys(a, k) })
}

type traceKeyRotateCmd struct {
	After time.Duration `help:"When the new key begins to be used (1h): with several nodes, time to copy the file to all of them."`
	Note  string        `help:"Why."`
	JSON  bool          `name:"json" help:"Print JSON."`
}

// Run makes a new key.
func (c *traceKeyRotateCmd) Run(a *app.App) error {
	return app.Call(a, "trace.rotate", calls.TraceRotate{After: c.After, Note: c.Note}, c.JSON, func(k calls.TraceKeys) {
		printTraceKeys(a, k)
		fmt.Fprintf(a.Stdout, "\nWith several nodes: copy %s to each of them before the new key begins.\n", app.Clean(k.File))
	})
}

func printTraceKeys(a *app.App, k calls.TraceKeys) {
	for _, one := range k.Keys {
		use := ""
		if one.ID == k.Sealing {
			use = "  in use"
		}
		fmt.Fprintf(a.Stdout, "key %-3s from %s%s\n", one.ID, one.From.Local().Format(time.DateTime), use)
	}
}

// token tells what a trace token says.
func (c *Trace) token(a *app.App) error {
	return app.Call(a, "trace.token", calls.TraceToken{Token: c.Token}, c.JSON, func(t outbound.Token) {
		fmt.Fprintf(a.Stdout, "message %s of %s, sealed with key %s\n", t.Serial, t.Minute.Local().Format("2006-01-02 15:04"), app.Clean(t.Key))
		if t.Account != "" {
			fmt.Fprintf(a.Stdout, "account %s\n", app.Clean(t.Account))
		}
		if t.Problem != "" {
			fmt.Fprintf(a.Stdout, "but: %s\n", t.Problem)
		}
		if t.Row == nil {
			return
		}
		r := t.Row
		fmt.Fprintf(a.Stdout, "sent %s from %s via %s, Message-ID %s, %d bytes, score %s\n", r.At.Local().Format(time.DateTime), r.Client, app.Clean(r.Listener), app.Clean(r.MessageID), r.Size, r.Score)
		for _, one := range r.Copies {
			fmt.Fprintf(a.Stdout, "  to %s: %s %s", app.Clean(one.Recipient), one.State, app.Clean(one.Reply))
			if one.Bounced != "" {
				fmt.Fprintf(a.Stdout, "; came back later with %s", app.Clean(one.Bounced))
			}
			fmt.Fprintln(a.Stdout)
		}
	})
}
