// Package inboxcmd is the command line over the test inbox.
package inboxcmd

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/testinbox"
	"postern/internal/inbox"
	"postern/internal/record"
)

// Inbox are the commands.
type Inbox struct {
	List   listCmd   `cmd:"" help:"List what is kept, the newest first."`
	Show   showCmd   `cmd:"" help:"Show one message."`
	Raw    rawCmd    `cmd:"" help:"Write one message as it is kept."`
	Wait   waitCmd   `cmd:"" help:"Wait for a message and show it; exit 1 if none comes."`
	Counts countsCmd `cmd:"" help:"How many were kept, blocked and deferred."`
	Clear  clearCmd  `cmd:"" help:"Forget messages."`
}

type listCmd struct {
	To      string    `help:"To this recipient."`
	Subject string    `help:"With this in the subject."`
	Since   time.Time `help:"Kept at this time or later, as 2026-01-02T03:04:05Z."`
	Limit   int       `default:"50" help:"Messages of one page."`
	After   string    `help:"The next page's mark."`
	JSON    bool      `name:"json" help:"Print JSON."`
}

// Run lists messages.
func (c *listCmd) Run(a *app.App) error {
	q := inbox.Query{To: c.To, Subject: c.Subject, Since: c.Since, Limit: c.Limit, After: c.After}
	return app.Call(a, "inbox.list", q, c.JSON, func(p inbox.Page) {
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tWHEN\tVERDICT\tFROM\tTO\tSUBJECT")
		for _, m := range p.Messages {
			fmt.Fprintf(w, "%s\t%s\t%s %.2f\t%s\t%s\t%s\n", m.ID, m.At.Local().Format(time.DateTime), m.Verdict.Action, m.Verdict.Score,
				record.Clean(m.From, 40), record.Clean(strings.Join(m.To, ","), 40), record.Clean(m.Subject, 60))
		}
		_ = w.Flush()
		if p.Next != "" {
			fmt.Fprintln(a.Stdout, "more: --after", p.Next)
		}
	})
}

type showCmd struct {
	ID   string `arg:"" help:"ID of the message."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run shows a message.
func (c *showCmd) Run(a *app.App) error {
	return app.Call(a, "inbox.show", testinbox.ID{ID: c.ID}, c.JSON, func(m inbox.Full) { show(a.Stdout, m) })
}

func show(w io.Writer, m inbox.Full) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-10s %s\n", name, app.Clean(fmt.Sprintf(format, args...)))
	}
	line("id", "%s (reference %s)", m.ID, m.Reference)
	line("kept", "%s, %d bytes, on %s", m.At.Local().Format(time.DateTime), m.Size, m.Node)
	line("from", "<%s> through %s %s %s", m.From, m.Client.IP, m.Client.Helo, m.Client.Account)
	line("to", "%s", strings.Join(m.To, ", "))
	line("subject", "%s", m.Subject)
	line("verdict", "%s %.2f under policy %s", m.Verdict.Action, m.Verdict.Score, m.Verdict.Policy)
	for _, r := range m.Verdict.Reasons {
		line("", "%s %+.2f %s %s", r.Symbol, r.Score, r.Describe, r.Detail)
	}
	for _, u := range m.Verdict.Unchecked {
		line("unchecked", "%s (%s)", u.Step, u.Reason)
	}
	for _, f := range m.Attachments {
		line("attachment", "%s, %s, %d bytes", f.Name, f.Type, f.Size)
	}
	text := m.Text
	if text == "" {
		text = m.HTMLText
	}
	fmt.Fprintln(w)
	for l := range strings.Lines(text) {
		fmt.Fprintln(w, app.Clean(strings.TrimRight(l, "\n")))
	}
}

type rawCmd struct {
	ID string `arg:"" help:"ID of the message."`
}

// Run writes the bytes.
func (c *rawCmd) Run(a *app.App) error {
	return app.Call(a, "inbox.raw", testinbox.ID{ID: c.ID}, false, func(r testinbox.Raw) { _, _ = a.Stdout.Write(r.Body) })
}

type waitCmd struct {
	To      string    `help:"To this recipient."`
	Subject string    `help:"With this in the subject."`
	Since   time.Time `help:"Kept at this time or later, as 2026-01-02T03:04:05Z."`
	Seconds int       `default:"30" help:"Seconds at most; 90 is the most."`
	JSON    bool      `name:"json" help:"Print JSON."`
}

// Run waits.
func (c *waitCmd) Run(a *app.App) error {
	q, came := testinbox.Wait{To: c.To, Subject: c.Subject, Since: c.Since, Seconds: c.Seconds}, false
	err := app.Call(a, "inbox.wait", q, false, func(got testinbox.Waited) {
		if came = got.Found; !came {
			return
		}
		if c.JSON {
			_ = a.JSON(got.Message)
			return
		}
		show(a.Stdout, *got.Message)
	})
	if err == nil && !came {
		return app.Findf("no such message came in %d s", c.Seconds)
	}
	return err
}

type countsCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run prints the counters.
func (c *countsCmd) Run(a *app.App) error {
	return app.Call(a, "inbox.counts", struct{}{}, c.JSON, func(n inbox.Counters) {
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "DOMAIN\tKEPT\tOF THEM HELD\tBLOCKED\tDEFERRED")
		row := func(name string, c inbox.Counts) {
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", name, c.Kept, c.Held, c.Blocked, c.Deferred)
		}
		for _, domain := range slices.Sorted(maps.Keys(n.Domains)) {
			row(app.Clean(domain), n.Domains[domain])
		}
		row("all", n.Counts)
		_ = w.Flush()
	})
}

type clearCmd struct {
	IDs      []string `arg:"" optional:"" name:"id" help:"These messages; none: all."`
	To       string   `help:"Those to this recipient."`
	Counters bool     `help:"Let the counters begin at nothing as well."`
	JSON     bool     `name:"json" help:"Print JSON."`
}

// Run forgets messages.
func (c *clearCmd) Run(a *app.App) error {
	if len(c.IDs) > 0 && (c.To != "" || c.Counters) {
		return app.Usagef("name messages, or use --to and --counters")
	}
	for _, id := range c.IDs {
		err := app.Call(a, "inbox.delete", testinbox.ID{ID: id}, c.JSON, func(m inbox.Message) { fmt.Fprintln(a.Stdout, m.ID, "is gone") })
		if err != nil {
			return err
		}
	}
	if len(c.IDs) > 0 {
		return nil
	}
	return app.Call(a, "inbox.clear", testinbox.Clear{To: c.To, Counters: c.Counters}, c.JSON, func(n testinbox.Cleared) {
		fmt.Fprintf(a.Stdout, "%d messages are gone\n", n.Messages)
	})
}
