package cases

import (
	"context"
	"errors"
	"time"

	"postern/abuse/cases/dossier"
	"postern/abuse/cases/seek"
	"postern/internal/entity"
)

// The actions of the machine.
const (
	actionClock    = "clock"
	actionFollowed = "followed"
)

// tickPage is how many cases one query of a tick looks at.
const tickPage = 200

// Tick does what is due: it tells of clocks, closes what waited long enough, finishes what a
// crash has cut short. Of several nodes one runs it at a time.
func (d *Desk) Tick(ctx context.Context) error {
	return errors.Join(d.tickClocks(ctx), d.tickPending(ctx), d.tickLoose(ctx), seek.File(ctx, d.Entities))
}

func (d *Desk) tickClocks(ctx context.Context) error {
	var ids []string
	q := entity.Query{Index: dossier.IndexDue, From: 1, To: d.Now().UnixMilli(), Rising: true, Limit: tickPage}
	err := d.cases().Each(ctx, q, func(r entity.Row[Case]) error { ids = append(ids, r.Value.ID); return nil })
	for _, id := range ids {
		err = errors.Join(err, d.tickCase(ctx, id))
	}
	return err
}

// tickCase tells of one mark after the other until none is due.
func (d *Desk) tickCase(ctx context.Context, id string) error {
	for {
		told := false
		_, err := d.change(ctx, id, Machine(), actionClock, func(c *Case, e *Event) error {
			k := c.Due(d.Now())
			if k == nil {
				return entity.ErrUnchanged
			}
			told = true
			return c.Tell(k, e, d.calendar(c))
		})
		if err != nil || !told {
			return err
		}
	}
}

// tickPending asks followers again.
func (d *Desk) tickPending(ctx context.Context) error {
	var ids []string
	q := entity.Query{Index: dossier.IndexPending, From: 1, To: d.Now().UnixMilli(), Rising: true, Limit: tickPage}
	err := d.cases().Each(ctx, q, func(r entity.Row[Case]) error { ids = append(ids, r.Value.ID); return nil })
	for _, id := range ids {
		d.book().Settle(ctx, id)
	}
	return err
}

// looseFor is how long a report may be without a case before the tick takes it up.
const looseFor = time.Minute

func (d *Desk) tickLoose(ctx context.Context) error {
	var loose []Link
	q := entity.Query{Index: "loose", From: 1, To: d.Now().Add(-looseFor).UnixMilli(), Rising: true, Limit: tickPage}
	err := d.links().Each(ctx, q, func(r entity.Row[Link]) error { loose = append(loose, r.Value); return nil })
	for _, l := range loose {
		_, again := d.Attach(ctx, l.Complaint)
		err = errors.Join(err, again)
	}
	return err
}
