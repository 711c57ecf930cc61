// Package servicecmd are the commands over the figures of the service guarantee.
package servicecmd

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"postern/abuse/service/exclusion"
	"postern/abuse/service/month"
	"postern/abuse/service/paper"
	"postern/cmd/postern/app"
	"postern/cmd/postern/service"
)

// Service are the commands.
type Service struct {
	Report     reportCmd     `cmd:"" help:"The figures of a month, each by its own formula."`
	Rows       rowsCmd       `cmd:"" help:"What stands behind the figures of a month, as CSV."`
	Exclusions exclusionsCmd `cmd:"" help:"Times of a month that do not count, or are proposed not to."`
	Exclude    excludeCmd    `cmd:"" help:"Propose that a time does not count; another person approves it."`
	Approve    approveCmd    `cmd:"" help:"Approve an exclusion that another person proposed."`
	Refuse     refuseCmd     `cmd:"" help:"Refuse a proposed exclusion."`
	Withdraw   withdrawCmd   `cmd:"" help:"End an exclusion: its time counts again."`
	Credit     creditCmd     `cmd:"" help:"What is owed where a promise was broken: one draft for a figure and a month."`
}

type reportCmd struct {
	Month    string `arg:"" help:"A month: 2026-06."`
	Format   string `enum:"text,json,csv,html" default:"text" help:"text, json, csv or html: a page to print."`
	Language string `enum:"en,zh,ru,el" default:"en" help:"Of the page: en, zh, ru or el."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// Run prints the report.
func (c *reportCmd) Run(a *app.App) (err error) {
	cerr := app.Call(a, "service.report", service.Ask{Month: c.Month}, c.JSON || c.Format == "json", func(r month.Report) {
		switch c.Format {
		case "csv":
			err = paper.CSV(a.Stdout, r)
		case "html":
			err = paper.HTML(a.Stdout, r, c.Language)
		default:
			err = table(a, r)
		}
	})
	return errors.Join(cerr, err)
}

func table(a *app.App, r month.Report) error {
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "FIGURE\tCLAUSE\tVALUE\tUNIT\tPROMISE\tSTATE")
	for _, f := range r.Figures {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", f.ID, f.Clause, number(f.Value), f.Unit, promise(f), f.State)
	}
	if err := w.Flush(); err != nil || len(r.Credits) == 0 {
		return err
	}
	fmt.Fprintln(a.Stdout)
	return credits(a, r.Credits)
}

type rowsCmd struct {
	Kind  string `arg:"" enum:"outages,minutes,faults,exclusions,tenants,lists,proofs,credits" help:"outages, minutes, faults, exclusions, tenants, lists, proofs or credits."`
	Month string `arg:"" help:"A month: 2026-06."`
}

// Run prints what stands behind the figures, as CSV.
func (c *rowsCmd) Run(a *app.App) (err error) {
	cerr := app.Call(a, "service.report", service.Ask{Month: c.Month}, false, func(r month.Report) { err = paper.Rows(a.Stdout, r, c.Kind) })
	return errors.Join(cerr, err)
}

func number(v *float64) string {
	if v == nil {
		return "no data"
	}
	return strconv.FormatFloat(*v, 'f', -1, 64)
}

func promise(f month.Figure) string {
	if f.Limit == nil {
		return "-"
	}
	return f.Bound + " " + strconv.FormatFloat(*f.Limit, 'g', -1, 64)
}

type exclusionsCmd struct {
	Month string `arg:"" help:"A month: 2026-06."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Run lists exclusions.
func (c *exclusionsCmd) Run(a *app.App) error {
	return app.Call(a, "service.exclusions", service.Ask{Month: c.Month}, c.JSON, func(r service.Exclusions) {
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		for _, e := range r.Exclusions {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.ID, e.State, e.Class, e.From.Format(time.RFC3339), e.To.Format(time.RFC3339), app.Clean(cmp.Or(e.Decided, e.By)), app.Clean(e.Reason))
		}
		_ = w.Flush()
	})
}

type excludeCmd struct {
	From    time.Time `required:"" format:"2006-01-02T15:04:05Z07:00" help:"From: 2026-06-01T22:00:00+08:00."`
	To      time.Time `required:"" format:"2006-01-02T15:04:05Z07:00" help:"Up to."`
	Class   string    `required:"" help:"Clause of the guarantee, a to f."`
	Reason  string    `required:"" help:"Why it does not count."`
	Group   []string  `help:"Only for these doors: smtp-in, submission, smarthost, smtp-out, web."`
	Planned bool      `help:"A change that was announced."`
	JSON    bool      `name:"json" help:"Print JSON."`
}

// Run proposes an exclusion.
func (c *excludeCmd) Run(a *app.App) error {
	e := exclusion.Exclusion{From: c.From, To: c.To, Class: c.Class, Reason: c.Reason, Groups: c.Group, Planned: c.Planned}
	return app.Call(a, "service.exclude", e, c.JSON, says(a))
}

func says(a *app.App) func(exclusion.Exclusion) {
	return func(e exclusion.Exclusion) { fmt.Fprintln(a.Stdout, e.ID, "is", e.State) }
}

type decideCmd struct {
	ID   string `arg:"" help:"ID of the exclusion."`
	Why  string `help:"Why."`
	JSON bool   `name:"json" help:"Print JSON."`
}

func (c *decideCmd) run(a *app.App, call string) error {
	return app.Call(a, call, service.Decision{ID: c.ID, Why: c.Why}, c.JSON, says(a))
}

type approveCmd struct{ decideCmd }

// Run approves.
func (c *approveCmd) Run(a *app.App) error { return c.run(a, "service.approve") }

type refuseCmd struct{ decideCmd }

// Run refuses.
func (c *refuseCmd) Run(a *app.App) error { return c.run(a, "service.refuse") }

type withdrawCmd struct{ decideCmd }

// Run withdraws.
func (c *withdrawCmd) Run(a *app.App) error { return c.run(a, "service.withdraw") }
