package cases

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"postern/abuse/cases/dossier"
	"postern/abuse/cases/flow"
	"postern/abuse/cases/ledger"
	"postern/abuse/cases/tally"
	"postern/internal/entity"
)

// reopenFor is how long after its closing a new proven report reopens a case.
const reopenFor = 30 * 24 * time.Hour

// Attach adds a report to the case it belongs to, or opens one. It is idempotent by
// Complaint.Report: what a crash has cut short is finished by the next call, or by Tick.
func (d *Desk) Attach(ctx context.Context, c Complaint) (Case, error) {
	if err := c.Check(); err != nil {
		return Case{}, err
	}
	row, err := d.links().Create(ctx, Link{Complaint: c})
	if errors.Is(err, entity.ErrExists) {
		row, err = d.links().Get(ctx, dossier.Hashed(c.Report))
	}
	if err != nil {
		return Case{}, err
	}
	link := row.Value
	if link.Counted {
		return d.Get(ctx, link.Case)
	}
	if link, err = d.place(ctx, link); err != nil {
		return Case{}, err
	}
	out, err := d.count(ctx, link)
	if err != nil {
		return out, err
	}
	_, err = ledger.Retry(ctx, func() (entity.Row[Link], error) {
		return d.links().Change(ctx, dossier.Hashed(c.Report), func(l *Link) error { l.Counted = true; return nil })
	})
	return out, err
}

// place decides which case a report belongs to and what it is worth, once.
func (d *Desk) place(ctx context.Context, l Link) (Link, error) {
	if l.Case != "" {
		return l, nil
	}
	id, err := d.caseFor(ctx, &l.Complaint)
	if err != nil {
		return l, err
	}
	votes, twice, err := tally.Cast(ctx, d.Entities, &l.Complaint)
	if err != nil {
		return l, err
	}
	row, err := ledger.Retry(ctx, func() (entity.Row[Link], error) {
		return d.links().Change(ctx, dossier.Hashed(l.Report), func(stored *Link) error {
			if stored.Case != "" {
				return entity.ErrUnchanged
			}
			stored.Case, stored.Counts, stored.Duplicate = id, votes, twice
			return nil
		})
	})
	return row.Value, err
}

// caseFor finds the case that a report goes to, opening or reopening one.
func (d *Desk) caseFor(ctx context.Context, c *Complaint) (string, error) {
	return d.open(ctx, c.Subject(), func(id string) (Case, error) { return dossier.Fresh(id, c, d.Now(), d.Calendars().Team("")) }, func(old *Case) bool {
		return c.Grade >= 2 || c.Kind == External || old.State == flow.ResultSent && c.Person && c.Grade >= 1
	}, c.At)
}

// open returns the case about a subject. One that was closed not long ago is reopened where
// reopens says so; else a new one takes its place.
func (d *Desk) open(ctx context.Context, name string, fresh func(id string) (Case, error), reopens func(*Case) bool, at time.Time) (string, error) {
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		row, err := d.subjects().Get(ctx, dossier.Hashed(name))
		if errors.Is(err, entity.ErrNotFound) {
			id, err := d.book().NextID(ctx)
			if err != nil {
				return "", err
			}
			if _, err = d.subjects().Create(ctx, subject{name, id}); err != nil && !errors.Is(err, entity.ErrExists) {
				return "", err
			}
			continue
		}
		if err != nil {
			return "", err
		}
		root, err := d.rootOf(ctx, row.Value.Case)
		if errors.Is(err, dossier.ErrNotFound) { // its number was taken, then something ended the way
			if err := d.create(ctx, row.Value.Case, fresh); err != nil {
				return "", err
			}
			return row.Value.Case, nil
		}
		if err != nil || root.Open() && root.State != flow.ResultSent {
			return row.Value.Case, err
		}
		if reopens(&root) && at.Sub(cmp.Or(root.Closed, root.Since)) <= reopenFor {
			_, err := d.reopen(ctx, root.ID, Machine(), "a new report with proof", "")
			return row.Value.Case, err
		}
		if root.Open() {
			return row.Value.Case, nil
		}
		if err := d.replace(ctx, row.Value); err != nil {
			return "", err
		}
	}
}

// replace gives a subject the number of a new case, unless somebody else did.
func (d *Desk) replace(ctx context.Context, old subject) error {
	id, err := d.book().NextID(ctx)
	if err != nil {
		return err
	}
	_, err = ledger.Retry(ctx, func() (entity.Row[subject], error) {
		return d.subjects().Change(ctx, dossier.Hashed(old.Name), func(s *subject) error {
			if s.Case != old.Case {
				return entity.ErrUnchanged
			}
			s.Case = id
			return nil
		})
	})
	return err
}

func (d *Desk) create(ctx context.Context, id string, fresh func(id string) (Case, error)) error {
	c, err := fresh(id)
	if err != nil {
		return err
	}
	return d.book().Create(ctx, c)
}

// count adds a report to the sums of its case, exactly once.
func (d *Desk) count(ctx context.Context, l Link) (Case, error) {
	done, err := d.countedOf(ctx, l.Case)
	if err != nil {
		return Case{}, err
	}
	silent := l.Fold != ""
	add := func(c *Case, e *Event) error {
		// Read after the case: once a report is off Counting, its link says Counted.
		now, err := d.links().Get(ctx, dossier.Hashed(l.Report))
		if err != nil {
			return err
		}
		if now.Value.Counted || slices.Contains(c.Counting, l.Report) {
			return entity.ErrUnchanged
		}
		c.Counting = append(slices.DeleteFunc(c.Counting, func(r string) bool { return slices.Contains(done, r) }), l.Report)
		return c.Sum(&l, e, d.calendar(c))
	}
	if silent {
		return d.countFolded(ctx, l, add)
	}
	action := "report"
	if l.Duplicate {
		action = "duplicate"
	}
	return d.change(ctx, l.Case, Machine(), action, func(c *Case, e *Event) error {
		e.Report, e.Text = l.Report, l.Sentence
		e.Data = map[string]string{"proof": fmt.Sprintf("P%d", l.Grade), "trust": fmt.Sprintf("T%d", l.Trust), "votes": fmt.Sprint(l.Counts), "feedback": dossier.Clip(l.Feedback)}
		return add(c, e)
	})
}

// countFolded counts reports of a flood: a line in the timeline only at the first and where the
// number grows a digit.
func (d *Desk) countFolded(ctx context.Context, l Link, add func(*Case, *Event) error) (Case, error) {
	c, err := d.Get(ctx, l.Case)
	if err != nil {
		return c, err
	}
	if n := c.Folded + 1 + l.More; len(strconv.Itoa(n)) > len(strconv.Itoa(c.Folded)) || c.Folded == 0 {
		return d.change(ctx, l.Case, Machine(), "folded", func(c *Case, e *Event) error {
			e.Text = fmt.Sprintf("%d more like this", n)
			return add(c, e)
		})
	}
	return d.book().Quietly(ctx, l.Case, func(c *Case) error { return add(c, &Event{At: d.Now().UTC()}) })
}

// countedOf tells which reports that a case is counting are marked as counted.
func (d *Desk) countedOf(ctx context.Context, id string) ([]string, error) {
	c, err := d.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, report := range c.Counting {
		l, err := d.links().Get(ctx, dossier.Hashed(report))
		if err != nil && !errors.Is(err, entity.ErrNotFound) {
			return nil, err
		}
		if err == nil && l.Value.Counted {
			out = append(out, report)
		}
	}
	return out, nil
}
