package desk

import (
	"fmt"
	"time"

	"postern/abuse/intake"
	"postern/internal/alert"
)

// observed asks people to look at what a new feed reports, which has no vote yet.
func (d *Desk) observed(feed, account string, until time.Time) {
	key := "feed:" + feed
	if account == "" {
		d.p.Alerts.Clear(key)
		return
	}
	d.p.Alerts.Raise(key, alert.Warning, fmt.Sprintf("the feedback loop %s has sent %d reports or more in a day, the last about %s", feed, intake.ObservedMost, account),
		fmt.Sprintf("It is new and only observes until %s: its reports have no vote, and nothing is done by itself. Look whether they are right: postern complaint list --feed %s", until.UTC().Format(time.DateOnly), feed))
}
