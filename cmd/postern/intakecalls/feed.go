package intakecalls

import (
	"context"
	"time"

	"postern/abuse/intake"
	"postern/abuse/intake/feeds"
	"postern/abuse/intake/shelf"
	"postern/internal/control"
	"postern/internal/entity"
)

// countMost bounds the counting of a feed's reports.
const countMost = 100_000

// FeedShown is a feedback loop and how much it reports.
type FeedShown struct {
	Feed  intake.Feed `json:"feed"`
	Trust feeds.Trust `json:"trust"`
	Until time.Time   `json:"observed_until"` // its reports have no vote before
	Day   int         `json:"day"`            // reports of the last 24 hours
	Week  int         `json:"week"`
	Month int         `json:"month"`
	Last  time.Time   `json:"last,omitzero"` // when the youngest was worked on
}

// FeedTrust says how far a feed is believed from now on.
type FeedTrust struct {
	ID     string      `json:"id"`
	Trust  feeds.Trust `json:"trust"` // believed, observed, unheeded
	Reason string      `json:"reason"`
}

// feed counts what came of a feed.
func (p Parts) feed(ctx context.Context, f intake.Feed) (FeedShown, error) {
	now := p.Desk.Now()
	out := FeedShown{Feed: f, Trust: f.Trust(now), Until: f.Observing()}
	works := shelf.Works(p.Desk.Home)
	q := entity.Query{Index: "feed", Value: shelf.Value(f.Name), To: shelf.Milli(now) + 1}
	for _, c := range []struct {
		n    *int
		days int
	}{{&out.Day, 1}, {&out.Week, 7}, {&out.Month, 30}} {
		q.From = shelf.Milli(now.AddDate(0, 0, -c.days))
		n, err := works.Count(ctx, q, countMost)
		if err != nil {
			return out, err
		}
		*c.n = n
	}
	rows, _, err := works.Find(ctx, entity.Query{Index: "feed", Value: q.Value, Limit: 1})
	if err == nil && len(rows) > 0 {
		r, _, getErr := p.Desk.Get(ctx, rows[0].Value.Report)
		if getErr == nil {
			out.Last = r.At
		}
	}
	return out, err
}

func (p Parts) feedCalls(s *control.Server) {
	control.Handle(s, "feed.show", func(ctx context.Context, q ID) (FeedShown, error) {
		f, err := p.Desk.Feeds.Get(ctx, q.ID)
		if err != nil {
			return FeedShown{}, refused(err)
		}
		return p.feed(ctx, f)
	})
	control.Handle(s, "feed.trust", func(ctx context.Context, t FeedTrust) (FeedShown, error) {
		before, err := p.Desk.Feeds.Get(ctx, t.ID)
		if err != nil {
			return FeedShown{}, refused(err)
		}
		who := control.Actor(ctx)
		f, err := p.Desk.Feeds.SetTrust(ctx, who, t.ID, t.Trust, t.Reason)
		if err != nil {
			return FeedShown{}, refused(err)
		}
		if err := p.Audit(ctx, who, "feed-trust", f.Name, before, f, t.Reason); err != nil {
			return FeedShown{}, err
		}
		return p.feed(ctx, f)
	})
	control.Handle(s, "feed.list", func(ctx context.Context, _ struct{}) ([]intake.Feed, error) {
		all, err := p.Desk.Feeds.All(ctx)
		if all == nil {
			all = []intake.Feed{}
		}
		return all, err
	})
	control.Handle(s, "feed.add", func(ctx context.Context, f intake.Feed) (intake.Feed, error) {
		f.By = control.Actor(ctx)
		f, err := p.Desk.Feeds.Register(ctx, f)
		if err != nil {
			return f, refused(err)
		}
		return f, p.Audit(ctx, f.By, "feed-add", f.Name, nil, f, "")
	})
	control.Handle(s, "feed.remove", func(ctx context.Context, q ID) (struct{}, error) {
		if err := p.Desk.Feeds.End(ctx, q.ID); err != nil {
			return struct{}{}, refused(err)
		}
		return struct{}{}, p.Audit(ctx, control.Actor(ctx), "feed-remove", q.ID, nil, nil, "")
	})
}
