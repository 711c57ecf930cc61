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
	"postern/internal/said"
)

// reopenFor is how long after its closing a new proven report reopens a case.
const reopenFor = 30 * 24 * time.Hour

// Attach adds a report to the case it belongs to, or opens one. It is idempotent by
// Complaint.Report: what a crash or a fault has cut short is finished by the next call for the
// same report, which the caller owes; once the report is tied to its case, also by Tick.
func (d *Desk) Attach(ctx context.Context, c Complaint) (Case, error) {
	if err := c.Check(); err != nil {
		return Case{}, err
	}
	row, err := d.links().Get(ctx, dossier.Hashed(c.Report))
	there := err == nil
	switch {
	case there && row.Value.Counted:
		return d.Get(ctx, row.Value.Case)
	case err != nil && !errors.Is(err, entity.ErrNotFound):
		return Case{}, err
	case !there:
		row.Value = Link{Complaint: c}
	}
	link, born, err := d.place(ctx, row.Value, there)
	if err != nil {
		return Case{}, err
	}
	if born { // and counted: those who act on it find the report there
		d.book().Settle(ctx, link.Case)
		return d.Get(ctx, link.Case)
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

// place decides which case a report belongs to and what it is worth, once; there says that its
// link is written. A case that is born of it has counted it.
func (d *Desk) place(ctx context.Context, l Link, there bool) (out Link, born bool, err error) {
	if l.Case != "" {
		return l, false, nil
	}
	if l.Counts, l.Duplicate, err = tally.Cast(ctx, d.Entities, &l.Complaint); err != nil {
		return l, false, err
	}
	if l.Case, born, err = d.caseFor(ctx, &l); err != nil {
		return l, false, err
	}
	l.Counted = born
	if !there {
		row, err := d.links().Create(ctx, l)
		if err == nil {
			return row.Value, born, nil
		}
		if !errors.Is(err, entity.ErrExists) {
			return l, false, err
		}
	}
	row, err := ledger.Retry(ctx, func() (entity.Row[Link], error) {
		return d.links().Change(ctx, dossier.Hashed(l.Report), func(stored *Link) error {
			if stored.Case != "" {
				return entity.ErrUnchanged
			}
			stored.Case, stored.Counts, stored.Duplicate = l.Case, l.Counts, l.Duplicate
			return nil
		})
	})
	return row.Value, false, err
}

// caseFor finds the case that a report goes to, opening or reopening one.
func (d *Desk) caseFor(ctx context.Context, l *Link) (id string, born bool, err error) {
	c := &l.Complaint
	id, err = d.open(ctx, c.Subject(), func(id string) (err error) { born, err = d.bear(ctx, id, l); return err }, func(old *Case) bool {
		return c.Grade >= 2 || c.Kind == External || old.State == flow.ResultSent && c.Person && c.Grade >= 1
	}, c.At)
	return id, born, err
}

// bear writes the case of a report that has none, with the report counted in it. Nobody is told
// before the report is tied to it; Tick does so should that never come.
func (d *Desk) bear(ctx context.Context, id string, l *Link) (bool, error) {
	now := d.Now().UTC()
	c, err := dossier.Fresh(id, &l.Complaint, now, d.Calendars().Team(""))
	if err != nil {
		return false, err
	}
	action, tell := d.line(l, 0)
	if err := ledger.Enter(&c, Machine(), action, now, func(c *Case, e *Event) error {
		tell(e)
		c.Counting = []string{l.Report}
		return c.Sum(l, e, d.calendar(c))
	}); err != nil {
		return false, err
	}
	for i := range c.Pending {
		c.Pending[i].Next = now.Add(ledger.FirstWait)
	}
	return d.book().Add(ctx, c)
}

// line is the one of the timeline for a report, beside so many of a flood that were folded.
func (d *Desk) line(l *Link, folded int) (action string, tell func(e *Event)) {
	if l.Fold != "" {
		action = "folded"
		return action, func(e *Event) { e.Tell(said.Say("note.more-like-this", "%d more like this", "n", folded+1+l.More)) }
	}
	action = "report"
	if l.Duplicate {
		action = "duplicate"
	}
	return action, func(e *Event) {
		e.Report = l.Report
		e.Tell(l.Proved())
		e.Data = map[string]string{"proof": fmt.Sprintf("P%d", l.Grade), "trust": fmt.Sprintf("T%d", l.Trust), "votes": fmt.Sprint(l.Counts), "feedback": dossier.Clip(l.Feedback)}
	}
}

// open returns the case about a subject, which create writes where there is none. One that was closed not long ago is reopened where
// reopens says so; else a new one takes its place.
func (d *Desk) open(ctx context.Context, name string, create func(id string) error, reopens func(*Case) bool, at time.Time) (string, error) {
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		row, err := dossier.Subjects(d.Entities).Get(ctx, dossier.Hashed(name))
		if errors.Is(err, entity.ErrNotFound) {
			id, err := d.book().NextID(ctx)
			if err != nil {
				return "", err
			}
			if _, err = dossier.Subjects(d.Entities).Create(ctx, dossier.Subject{Name: name, Case: id}); errors.Is(err, entity.ErrExists) {
				continue
			}
			if err != nil {
				return "", err
			}
			return id, create(id)
		}
		if err != nil {
			return "", err
		}
		root, err := d.rootOf(ctx, row.Value.Case)
		if errors.Is(err, dossier.ErrNotFound) { // its number was taken, then something ended the way
			return row.Value.Case, create(row.Value.Case)
		}
		if err != nil || root.Open() && root.State != flow.ResultSent {
			return row.Value.Case, err
		}
		if reopens(&root) && at.Sub(cmp.Or(root.Closed, root.Since)) <= reopenFor {
			_, err := d.reopen(ctx, root.ID, Machine(), said.Say("note.new-report-with-proof", "a new report with proof"), "")
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
func (d *Desk) replace(ctx context.Context, old dossier.Subject) error {
	id, err := d.book().NextID(ctx)
	if err != nil {
		return err
	}
	_, err = ledger.Retry(ctx, func() (entity.Row[dossier.Subject], error) {
		return dossier.Subjects(d.Entities).Change(ctx, dossier.Hashed(old.Name), func(s *dossier.Subject) error {
			if s.Case != old.Case {
				return entity.ErrUnchanged
			}
			s.Case = id
			return nil
		})
	})
	return err
}

// count adds a report to the sums of its case, exactly once.
func (d *Desk) count(ctx context.Context, l Link) (Case, error) {
	done, err := d.countedOf(ctx, l.Case)
	if err != nil {
		return Case{}, err
	}
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
	if l.Fold != "" {
		return d.countFolded(ctx, l, add)
	}
	action, tell := d.line(&l, 0)
	return d.change(ctx, l.Case, Machine(), action, func(c *Case, e *Event) error {
		tell(e)
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
		action, tell := d.line(&l, c.Folded)
		return d.change(ctx, l.Case, Machine(), action, func(c *Case, e *Event) error {
			tell(e)
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
