package service

import (
	"context"
	"errors"
	"time"

	"postern/abuse/cases/figures"
	"postern/abuse/service/credit"
	"postern/abuse/service/month"
)

// Report makes the report of a month, with what this node has seen up to now. The ledger of
// credits follows it as long as the month is open.
func (d *Desk) Report(ctx context.Context, text string) (month.Report, error) {
	r, err := d.count(ctx, text)
	if err == nil && d.open(r) {
		err = d.Credits.Settle(ctx, r.Month, r.Results())
	}
	if err == nil {
		r.Credits, err = d.Credits.Of(ctx, r.Month)
	}
	return r, err
}

func (d *Desk) count(ctx context.Context, text string) (month.Report, error) {
	if err := d.Book.Flush(ctx); err != nil {
		return month.Report{}, err
	}
	return month.Source{
		Book: d.Book, Exclusions: d.Exclusions, Hostname: d.p.Config().Hostname, Now: d.p.Now, Zone: d.zone, Lists: d.p.Lists, Proofs: d.p.Proofs,
		Cases: func(ctx context.Context, p figures.Period) (figures.Figures, error) {
			return figures.Count(ctx, d.p.Cases(), p, d.p.Now(), d.p.Calendars().Team)
		},
	}.Count(ctx, text)
}

// open reports whether the credits of a month follow its figures: it is over, and not for long.
// Before its end a broken figure may still be kept.
func (d *Desk) open(r month.Report) bool { return r.Whole && d.p.Now().Sub(r.To) <= credit.Open }

// Recent is the month that a moment lies in, as it is asked for.
func (d *Desk) Recent(at time.Time) string { return at.In(d.zone()).Format("2006-01") }

// settleBetween lets the ledger follow the months that a period touches, and are over.
func (d *Desk) settleBetween(ctx context.Context, from, to time.Time) error {
	var errs []error
	y, m, _ := from.In(d.zone()).Date()
	now := d.p.Now()
	for i := 0; ; i++ {
		begin := time.Date(y, m+time.Month(i), 1, 0, 0, 0, 0, d.zone())
		end := time.Date(y, m+time.Month(i)+1, 1, 0, 0, 0, 0, d.zone())
		if !begin.Before(to) || end.After(now) {
			return errors.Join(errs...)
		}
		if now.Sub(end) <= credit.Open {
			_, err := d.Report(ctx, begin.Format("2006-01"))
			errs = append(errs, err)
		}
	}
}

// settleEvery is how often the months that are open are counted again.
const settleEvery = 12 * time.Hour

// Owe lets the ledger of credits follow the months that are over, one node for all.
func (d *Desk) Owe(ctx context.Context) error {
	var last time.Time
	wait := settleEvery
	for {
		if now := d.p.Now(); d.p.Calendars() != nil && (now.Sub(last) >= wait || now.Before(last) || d.Recent(now) != d.Recent(last)) {
			last, wait = now, settleEvery
			if !d.said("the credits", d.p.Alone(ctx, "service-credits", func(ctx context.Context) error { return d.settleBetween(ctx, now.Add(-credit.Open), now) })) {
				wait = sampleEvery
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Duration(d.p.Config().Abuse.Service.Probe)):
		}
	}
}
