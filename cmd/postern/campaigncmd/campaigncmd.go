// Package campaigncmd is the command line over the copies of letters.
package campaigncmd

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/campaigns"
)

// Campaign are the commands.
type Campaign struct {
	List listCmd `cmd:"" help:"List letters of which several copies came in."`
	Show showCmd `cmd:"" help:"Show one letter: who got copies, when, and by which IDs they are traced."`
	Mark markCmd `cmd:"" help:"Say that a letter is bad or good, or forget what was said."`
}

type listCmd struct {
	Since  time.Duration `help:"Of which a copy came within this time; without it, all that are kept."`
	Copies int           `default:"2" help:"Letters with at least so many copies."`
	Word   string        `enum:"good,bad,reported," default:"" help:"Letters of which this was said: good, bad or reported."`
	Limit  int           `default:"50" help:"Letters at most."`
	JSON   bool          `name:"json" help:"Print JSON."`
}

// Run lists letters.
func (c *listCmd) Run(a *app.App) error {
	q := campaigns.List{Copies: c.Copies, Word: c.Word, Limit: c.Limit}
	if c.Since > 0 {
		q.Since = a.Now().Add(-c.Since).UTC()
	}
	return app.Call(a, "campaign.list", q, c.JSON, func(p campaigns.Listed) {
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "CAMPAIGN\tLAST\tCOPIES\tDELIVERED\tSOURCES\tSAID\tSENDERS\tSUBJECT")
		for _, one := range p.Campaigns {
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s\n", one.Print, one.Last.Local().Format(time.DateTime), one.Messages, one.Delivered, one.Sources, said(one), app.Clean(strings.Join(one.Senders, ",")), app.Clean(one.Subject))
		}
		_ = w.Flush()
		if p.More {
			fmt.Fprintln(a.Stdout, "there are more: narrow it by --since, --copies or --word")
		}
	})
}

func said(one campaigns.Campaign) string {
	if one.Said == nil {
		return "-"
	}
	return one.Said.Word
}

type showCmd struct {
	Campaign string `arg:"" help:"The letter, as the list calls it."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// Run shows a letter.
func (c *showCmd) Run(a *app.App) error {
	return app.Call(a, "campaign.show", campaigns.Show{Print: c.Campaign}, c.JSON, func(s campaigns.Shown) { show(a, s) })
}

func show(a *app.App, s campaigns.Shown) {
	fmt.Fprintf(a.Stdout, "%s: %d copies, %d delivered, from %d sources\n", s.Print, s.Messages, s.Delivered, s.Sources)
	if s.Said != nil {
		fmt.Fprintf(a.Stdout, "%s, says %s at %s: %s\n", s.Said.Word, app.Clean(s.Said.By), s.Said.At.Local().Format(time.DateTime), app.Clean(s.Said.Why))
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "AT\tSTATE\tTRACE\tFROM\tSOURCE\tTO\tSUBJECT")
	for _, o := range s.Copies {
		to := strings.Join(o.To, ",")
		if o.More > 0 {
			to = fmt.Sprintf("%s and %d more", to, o.More)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", o.At.Local().Format(time.DateTime), o.State, app.Clean(o.ID), app.Clean(o.From), app.Clean(o.Source), app.Clean(to), app.Clean(o.Subject))
	}
	_ = w.Flush()
}

type markCmd struct {
	Campaign string `arg:"" help:"The letter, as the list calls it."`
	Word     string `arg:"" enum:"bad,good,forget" help:"bad, good, or forget."`
	Reason   string `required:"" help:"Why."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// Run says what a letter is.
func (c *markCmd) Run(a *app.App) error {
	return app.Call(a, "campaign.mark", campaigns.Mark{Print: c.Campaign, Word: c.Word, Reason: c.Reason}, c.JSON, func(s campaigns.Shown) {
		show(a, s)
		if c.Word == "bad" && s.Delivered > 0 {
			fmt.Fprintln(a.Stdout, "nothing is taken back from who got it: tell them")
		}
	})
}
