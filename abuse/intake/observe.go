package intake

import (
	"context"
	"time"

	"postern/abuse/intake/shelf"
	"postern/abuse/proof"
	"postern/internal/entity"
)

// ObservedMost is how many reports of a feed in a day people hear about while the feed only
// observes.
const ObservedMost = 20

// observed tells people that a feed which has no vote yet reports much: nothing is done by itself.
func (d *Desk) observed(ctx context.Context, who proof.Reporter, p proof.Proof) error {
	if d.Observed == nil || who.Trust != proof.T3 || p.Account == "" {
		return nil
	}
	now := d.Now()
	if !now.Before(who.Observing) {
		d.Observed(who.Feed, "", who.Observing)
		return nil
	}
	q := entity.Query{Index: "feed", Value: shelf.Value(who.Feed), From: shelf.Milli(now.Add(-24 * time.Hour)), To: shelf.Milli(now) + 1}
	n, err := shelf.Works(d.Home).Count(ctx, q, ObservedMost)
	if err == nil && n >= ObservedMost-1 { // this one is not written down yet
		d.Observed(who.Feed, p.Account, who.Observing)
	}
	return err
}
