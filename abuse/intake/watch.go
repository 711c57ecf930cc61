package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postern/abuse/complaint"
	"postern/abuse/intake/sheaf"
	"postern/abuse/intake/shelf"
	"postern/filter"
	"postern/internal/entity"
	"postern/internal/mime"
)

// Done implements filter.Observer: complaints among the mail that a postmaster got are copied
// here. The mailbox has them all the same.
func (d *Desk) Done(ctx context.Context, m *filter.Message, o filter.Outcome) error {
	if d.Postmaster == nil || m.Direction != filter.Inbound || m.Parts == nil || m.Body == nil || m.Size > readMost {
		return nil
	}
	var to []string
	for i, r := range m.To {
		if d.Takes != nil && d.Takes(r.Address) { // the desk has it already
			return nil
		}
		if i < len(o.Fates) && (o.Fates[i].State == filter.Delivered || o.Fates[i].State == filter.InOutbox) && d.Postmaster(r.Address) {
			to = append(to, r.Address)
		}
	}
	if len(to) == 0 {
		return nil
	}
	if tree, err := m.Parts(); err != nil || !resembles(tree) {
		return nil //nolint:nilerr // what cannot be read is in the mailbox
	}
	raw := make([]byte, m.Size)
	if _, err := m.Body.ReadAt(raw, 0); err != nil && m.Size > 0 {
		return fmt.Errorf("a complaint to the postmaster: %w", err)
	}
	switch complaint.Parse(raw, complaint.Options{}).Format {
	case complaint.ARF, complaint.XARF3, complaint.XARF4, complaint.CFBL:
	default:
		return nil
	}
	id, err := d.Provisional(ctx, Arrival{Message: m, Report: o.Report, To: to, Key: "postmaster " + m.SHA256 + " " + m.From, By: ByPostmaster})
	if err == nil {
		err = d.Confirm(ctx, id)
	}
	if err != nil {
		return fmt.Errorf("a complaint to the postmaster: %w", err)
	}
	return nil
}

// resembles looks at the kinds of parts alone: few mails to a postmaster are read any further.
func resembles(t *mime.Tree) bool {
	for _, p := range t.Parts {
		switch p.MediaType {
		case "message/feedback-report", "application/json", "application/xarf+json", "application/xarf":
			return true
		}
	}
	return false
}

// Dropped after so long: a sender that was not answered 250 comes again sooner.
const provisionalMost = 5 * 24 * time.Hour

// Sweep forgets provisional reports that were never confirmed, and reports and bytes older
// than a time for which nobody holds them. held says that a report is still needed; nil: none.
func (d *Desk) Sweep(ctx context.Context, before time.Time, held func(ctx context.Context, w Work) (bool, error)) (n int, err error) {
	err = shelf.Reports(d.Home).Each(ctx, entity.Query{Index: "all", Rising: true, From: 1, To: shelf.Milli(d.Now().Add(-provisionalMost))}, func(row entity.Row[Report]) error {
		gone, err := d.sweep(ctx, row, before, held)
		if gone {
			n++
		}
		return err
	})
	if err != nil {
		return n, err
	}
	more, err := sheaf.Sweep(ctx, d.Home, before, held)
	return n + more, errors.Join(err, d.binder().Sweep(ctx, before), d.sweepBytes(ctx, before))
}

func (d *Desk) sweep(ctx context.Context, row entity.Row[Report], before time.Time, held func(ctx context.Context, w Work) (bool, error)) (bool, error) {
	w, err := shelf.Works(d.Home).Get(ctx, row.Value.ID)
	switch {
	case errors.Is(err, entity.ErrNotFound):
		return true, shelf.Reports(d.Home).Remove(ctx, row)
	case err != nil || row.Value.At.After(before) || w.Value.State == New:
		return false, err
	}
	if held != nil {
		if yes, err := held(ctx, w.Value); yes || err != nil {
			return false, err
		}
	}
	if err := shelf.Works(d.Home).Remove(ctx, w); err != nil {
		return false, err
	}
	return true, shelf.Reports(d.Home).Remove(ctx, row) // interrupted before, it looks provisional, and goes the next time
}

// sweepBytes forgets the bytes that no report has.
func (d *Desk) sweepBytes(ctx context.Context, before time.Time) error {
	sums, err := d.Home.BlobsBefore(ctx, entity.Intake, before, entity.MaxPage)
	if err != nil {
		return err
	}
	for _, sum := range sums {
		q := entity.Query{Index: "sum", Value: sum}
		n, err := shelf.Reports(d.Home).Count(ctx, q, 1)
		if err == nil && n == 0 {
			n, err = sheaf.Shelf(d.Home).Count(ctx, q, 1)
		}
		if err == nil && n == 0 {
			err = d.Home.RemoveBlob(ctx, entity.Intake, sum)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
