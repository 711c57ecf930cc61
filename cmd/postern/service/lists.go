package service

import (
	"context"
	"time"

	"postern/abuse/external/published"
	"postern/abuse/service/month"
)

// ListsOf are the published lists of a period, by their publication. Those that were taken in
// more than a month before it are not looked at.
func ListsOf(ctx context.Context, d *published.Desk, from, to time.Time) (out []month.List, err error) {
	for after := ""; ; {
		all, next, err := d.List(ctx, after, 200)
		if err != nil {
			return nil, err
		}
		for _, e := range all {
			if e.Imported.Before(from.AddDate(0, -1, 0)) {
				return out, nil
			}
			if !e.Published.Before(from) && e.Published.Before(to) {
				out = append(out, month.List{ID: e.ID, List: e.List, Published: e.Published, Imported: e.Imported, Applied: e.Applied, Due: e.Due, Dropped: e.State == published.Dropped})
			}
		}
		if after = next; after == "" {
			return out, nil
		}
	}
}
