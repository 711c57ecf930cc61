package desk

import (
	"fmt"
	"io"
	"strings"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/calls"
	"postern/internal/report"
	"postern/internal/report/aggregate"
	"postern/internal/report/tlsreport"
)

// Reports are the commands over reports of DMARC and TLS.
type Reports struct {
	List reportsListCmd `cmd:"" help:"List the reports that others sent us."`
	Show reportsShowCmd `cmd:"" help:"Show one received report."`
	Sent reportsSentCmd `cmd:"" help:"List what became of the reports we send."`
}

type reportsListCmd struct {
	Kind   string        `help:"dmarc or tls; both by default."`
	Domain string        `help:"Only about this domain."`
	Since  time.Duration `help:"Only of the last time (720h)."`
	After  string        `help:"Go on behind this key."`
	Limit  int           `default:"100" help:"How many."`
	JSON   bool          `name:"json" help:"Print JSON."`
}

// Run lists received reports.
func (c *reportsListCmd) Run(a *app.App) error {
	q := calls.Reports{Kind: c.Kind, Domain: c.Domain, After: c.After, Limit: c.Limit}
	if c.Since > 0 {
		q.Since = a.Now().Add(-c.Since)
	}
	return app.Call(a, "reports.list", q, c.JSON, func(all []report.Received) {
		for _, r := range all {
			fmt.Fprintf(a.Stdout, "%s  %-5s %s  %-25s %-25s %d of %d %s%s\n", r.Key, r.Kind, r.Begin.UTC().Format(time.DateOnly),
				app.Clean(r.Domain), app.Clean(r.Org), r.Failed, r.Messages, failedWord(r.Kind), unprovenWord(r))
		}
	})
}

func failedWord(kind string) string {
	if kind == report.KindTLS {
		return "sessions failed"
	}
	return "messages unproven"
}

func unprovenWord(r report.Received) string {
	if r.Proven {
		return ""
	}
	return "  (the report's own sender is not proven)"
}

type reportsShowCmd struct {
	Key  string `arg:"" help:"The key, as list shows it."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run shows a report.
func (c *reportsShowCmd) Run(a *app.App) error {
	return app.Call(a, "reports.show", calls.ID{ID: c.Key}, c.JSON, func(r report.Received) {
		fmt.Fprintf(a.Stdout, "%s report of %s about %s, %s to %s UTC\nreport ID %s, came %s in message %s from %s%s\n\n", strings.ToUpper(r.Kind), app.Clean(r.Org), app.Clean(r.Domain),
			r.Begin.UTC().Format(time.DateTime), r.End.UTC().Format(time.DateTime), app.Clean(r.ID), r.At.Local().Format(time.DateTime), app.Clean(r.Message), app.Clean(r.From), unprovenWord(r))
		if r.DMARC != nil {
			printDMARC(a.Stdout, r.DMARC)
		}
		if t, err := tlsreport.Read(r.TLS); err == nil {
			printTLS(a.Stdout, t)
		}
		if r.Left > 0 {
			fmt.Fprintf(a.Stdout, "and %d records that were too many to keep\n", r.Left)
		}
	})
}

func printDMARC(w io.Writer, f *aggregate.Feedback) {
	p := f.Policy
	fmt.Fprintf(w, "policy of %s: p=%s sp=%s adkim=%s aspf=%s\n", app.Clean(p.Domain), app.Clean(p.P), app.Clean(p.SP), app.Clean(p.ADKIM), app.Clean(p.ASPF))
	for _, r := range f.Records {
		e := r.Row.Evaluated
		fmt.Fprintf(w, "%6d from %-39s as %-30s dkim=%s spf=%s -> %s", r.Row.Count, app.Clean(r.Row.Source), app.Clean(r.IDs.HeaderFrom), app.Clean(e.DKIM), app.Clean(e.SPF), app.Clean(e.Disposition))
		for _, x := range e.Reasons {
			fmt.Fprintf(w, " (%s %s)", app.Clean(x.Type), app.Clean(x.Comment))
		}
		fmt.Fprintln(w)
	}
}

func printTLS(w io.Writer, t *tlsreport.Report) {
	for _, p := range t.Policies {
		fmt.Fprintf(w, "%s of %s: %d sessions succeeded, %d failed\n", app.Clean(p.Policy.Type), app.Clean(p.Policy.Domain), p.Summary.Good, p.Summary.Failed)
		for _, f := range p.Failures {
			fmt.Fprintf(w, "%6d %s from %s at %s %s\n", f.Count, app.Clean(f.Type), app.Clean(f.Sender), app.Clean(f.Host), app.Clean(f.Reason))
		}
	}
}

type reportsSentCmd struct {
	Domain string `help:"Only about this domain."`
	Limit  int    `default:"100" help:"How many."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run lists what became of our reports.
func (c *reportsSentCmd) Run(a *app.App) error {
	return app.Call(a, "reports.sent", calls.Reports{Domain: c.Domain, Limit: c.Limit}, c.JSON, func(all []report.Sent) {
		for _, s := range all {
			to := "nobody"
			if len(s.To) > 0 {
				to = strings.Join(s.To, ", ")
			}
			fmt.Fprintf(a.Stdout, "%s  %-30s %6d messages, to %s", s.Day, app.Clean(s.Domain), s.Messages, app.Clean(to))
			if s.Note != "" {
				fmt.Fprintf(a.Stdout, ": %s", app.Clean(s.Note))
			}
			fmt.Fprintln(a.Stdout)
		}
	})
}
