package intakecmd

import (
	"fmt"
	"time"

	"postern/abuse/intake/feeds"
	"postern/cmd/postern/app"
	"postern/cmd/postern/intakecalls"
)

type feedShowCmd struct {
	Name string `arg:"" help:"Its name."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run shows a feedback loop.
func (c *feedShowCmd) Run(a *app.App) error {
	return app.Call(a, "feed.show", intakecalls.ID{ID: c.Name}, c.JSON, feedShown(a))
}

func feedShown(a *app.App) func(intakecalls.FeedShown) {
	return func(f intakecalls.FeedShown) {
		fmt.Fprintf(a.Stdout, "%s %s, signed by %s: %s", f.Feed.Name, app.Clean(f.Feed.Alias), app.Clean(f.Feed.Domain), f.Trust)
		if f.Trust == feeds.Observed {
			fmt.Fprintf(a.Stdout, " until %s", f.Until.Local().Format(time.DateTime))
		}
		fmt.Fprintf(a.Stdout, "\nreports: %d in a day, %d in 7, %d in 30\n", f.Day, f.Week, f.Month)
		if !f.Feed.Changed.IsZero() {
			fmt.Fprintf(a.Stdout, "changed at %s by %s: %s\n", f.Feed.Changed.Local().Format(time.DateTime), app.Clean(f.Feed.ChangedBy), app.Clean(f.Feed.Note))
		}
	}
}

type feedTrustCmd struct {
	Name   string      `arg:"" help:"Its name."`
	Trust  feeds.Trust `arg:"" enum:"believed,observed,unheeded" help:"believed, observed or unheeded."`
	Reason string      `required:"" help:"Why."`
	JSON   bool        `name:"json" help:"Print JSON."`
}

// Run changes how far it is believed.
func (c *feedTrustCmd) Run(a *app.App) error {
	return app.Call(a, "feed.trust", intakecalls.FeedTrust{ID: c.Name, Trust: c.Trust, Reason: c.Reason}, c.JSON, feedShown(a))
}
