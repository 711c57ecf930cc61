package casecmd

import (
	"fmt"
	"strings"
	"time"

	"postern/abuse/calendar"
	"postern/cmd/postern/app"
	"postern/cmd/postern/casecalls"
)

// Calendar are the commands over working time.
type Calendar struct {
	Show  calendarShowCmd  `cmd:"" help:"Show the teams, and the days that differ from the plain week."`
	Check calendarCheckCmd `cmd:"" help:"Read a folder of calendars, or say which days are missing in those in force."`
	Due   calendarDueCmd   `cmd:"" help:"Say when a number of business days has gone by."`
}

type calendarShowCmd struct {
	Name string `arg:"" optional:"" help:"One calendar alone."`
	Year int    `help:"One year alone."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run shows calendars.
func (c *calendarShowCmd) Run(a *app.App) error {
	return app.Call(a, "calendar.show", struct{}{}, c.JSON, func(all casecalls.Calendars) {
		for _, t := range all.Teams {
			if c.Name == "" || c.Name == t.Calendar {
				fmt.Fprintf(a.Stdout, "team %s: %s, %s, %d minutes a day, version %s\n", t.Name, t.Calendar, t.Zone, t.Minutes, t.Version)
			}
		}
		for _, d := range all.Days {
			if c.Name == "" || c.Name == d.Name {
				c.days(a, d)
			}
		}
	})
}

func (c *calendarShowCmd) days(a *app.App, d *calendar.Days) {
	for _, y := range d.Years {
		if c.Year != 0 && c.Year != y.Year {
			continue
		}
		fmt.Fprintf(a.Stdout, "\n%s %d (%s): %s\n", d.Name, y.Year, y.Status, app.Clean(y.Source))
		list(a, "off", y.Off)
		list(a, "WORK", y.Work)
		list(a, "short", y.Short)
	}
}

func list(a *app.App, word string, spans []calendar.Span) {
	for _, s := range spans {
		to := ""
		if s.To != nil {
			to = " to " + s.To.String()
		}
		fmt.Fprintf(a.Stdout, "  %-5s  %s%s  %s\n", word, s.Day, to, app.Clean(s.Name))
	}
}

type calendarCheckCmd struct {
	Dir  string `arg:"" optional:"" type:"path" help:"A folder that is not in force yet."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run looks for what is missing; that is a finding.
func (c *calendarCheckCmd) Run(a *app.App) error {
	gaps := []calendar.Gap{}
	if c.Dir != "" {
		set, err := calendar.Open(c.Dir, nil)
		if err != nil {
			return app.Findf("%v", err)
		}
		gaps = append(gaps, set.Gaps(a.Now())...)
	} else if err := app.Call(a, "calendar.show", struct{}{}, false, func(all casecalls.Calendars) { gaps = append(gaps, all.Gaps...) }); err != nil {
		return err
	}
	if c.JSON {
		if err := a.JSON(gaps); err != nil {
			return err
		}
	}
	var text []string
	for _, g := range gaps {
		text = append(text, g.Text())
	}
	if len(text) > 0 {
		return app.Findf("%s", strings.Join(text, "\n"))
	}
	if !c.JSON {
		fmt.Fprintln(a.Stdout, "the calendars are complete")
	}
	return nil
}

type calendarDueCmd struct {
	Days int    `arg:"" optional:"" default:"1" help:"Business days."`
	From string `help:"From when, 2026-02-13T17:30:00+08:00; now when left out."`
	Team string `help:"Whose working time; the first team's when left out."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run computes a deadline.
func (c *calendarDueCmd) Run(a *app.App) error {
	q := casecalls.Due{Team: c.Team, Days: c.Days}
	if c.From != "" {
		at, err := time.Parse(time.RFC3339, c.From)
		if err != nil {
			return app.Usagef("--from: %q is no time; write it as 2026-02-13T17:30:00+08:00", c.From)
		}
		q.From = at
	}
	return app.Call(a, "calendar.due", q, c.JSON, func(d casecalls.DueAt) {
		unsure := ""
		if d.Unsure {
			unsure = ", on days that are not final"
		}
		fmt.Fprintf(a.Stdout, "%s %s (team %s, %s%s)\n", d.At.Format("Mon 2006-01-02 15:04"), d.Zone, d.Team, d.Calendar, unsure)
	})
}
