package intakecmd

import (
	"fmt"
	"strings"

	"postern/abuse/complaint"
	"postern/cmd/postern/app"
	"postern/cmd/postern/intakecalls"
)

type viewCmd struct {
	ID   string `arg:"" help:"ID of the report."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run shows a report to a person. That it was looked at is in the audit trail.
func (c *viewCmd) Run(a *app.App) error {
	return app.Call(a, "complaint.view", intakecalls.ID{ID: c.ID}, c.JSON, func(v intakecalls.View) {
		fmt.Fprintf(a.Stdout, "SHA-256 of the bytes %s\n\n", v.SHA256)
		printView(a, v.Report)
		if v.Original != nil {
			fmt.Fprintf(a.Stdout, "\n--- the message it is about\n\n")
			printView(a, *v.Original)
		}
	})
}

func printView(a *app.App, v complaint.View) {
	for _, f := range v.Fields {
		mark := " "
		if f.Lit {
			mark = "*"
		}
		fmt.Fprintf(a.Stdout, "%s %s: %s\n", mark, app.Clean(f.Name), app.Clean(f.Value))
	}
	fmt.Fprintln(a.Stdout)
	for line := range strings.Lines(v.Text) {
		fmt.Fprintln(a.Stdout, app.Clean(strings.TrimRight(line, "\r\n")))
	}
	for _, p := range v.Parts {
		fmt.Fprintf(a.Stdout, "part %s %s %s, %d octets, SHA-256 %s\n", p.Path, app.Clean(p.Type), app.Clean(p.Name), p.Size, p.SHA256)
	}
	for _, l := range v.Links {
		fmt.Fprintf(a.Stdout, "link %s shown as %s\n", app.Clean(l.URL), app.Clean(l.Shown))
	}
	for _, p := range v.Problems {
		fmt.Fprintf(a.Stdout, "problem: %s\n", app.Clean(p))
	}
}
