package desk

import (
	"fmt"
	"io"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/auditcalls"
	"postern/internal/record"
)

func auditLine(w io.Writer, e record.Entry) {
	fmt.Fprintf(w, "%6d %s %-24s %-12s %s %s\n", e.Seq, e.Time.Local().Format(time.DateTime), app.Clean(e.Actor), app.Clean(e.Action), app.Clean(e.Object), app.Clean(e.Note))
}

type auditFindCmd struct {
	Text   string    `arg:"" optional:"" help:"Somewhere in the entry, also in what was before and after."`
	Actor  string    `help:"By whom; a part of it."`
	Action string    `help:"What was done, in full, or its beginning before a *: case-*."`
	Object string    `help:"To what; a part of it."`
	Since  time.Time `help:"At this time or later, as 2026-01-02T03:04:05Z."`
	Until  time.Time `help:"Before this time."`
	Before int64     `help:"The next page's mark: only entries with a smaller number."`
	Limit  int       `default:"50" help:"Entries of one page; 500 is the most."`
	JSON   bool      `name:"json" help:"Print JSON."`
}

// Run searches.
func (c *auditFindCmd) Run(a *app.App) error {
	q := auditcalls.Query{Actor: c.Actor, Action: c.Action, Object: c.Object, Text: c.Text, Since: c.Since, Until: c.Until, Before: c.Before, Limit: c.Limit}
	none := false
	var failed error
	err := app.Call(a, "audit.find", q, false, func(f auditcalls.Found) {
		if none = len(f.Entries) == 0 && f.Next == 0; c.JSON {
			failed = a.JSON(f)
			return
		}
		for _, e := range f.Entries {
			auditLine(a.Stdout, e)
		}
		if f.Next > 0 {
			fmt.Fprintln(a.Stdout, "more: --before", f.Next)
		}
	})
	switch {
	case err != nil:
		return err
	case failed != nil:
		return failed
	case none:
		return app.Findf("no such entry")
	}
	return nil
}
