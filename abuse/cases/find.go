package cases

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postern/abuse/cases/dossier"
	"postern/internal/entity"
)

// rootOf follows a case to the one that it is merged into.
func (d *Desk) rootOf(ctx context.Context, id string) (Case, error) {
	for range dossier.MaxDepth + 1 {
		c, err := d.Get(ctx, id)
		if err != nil || c.MergedInto == "" {
			return c, err
		}
		id = c.MergedInto
	}
	return Case{}, dossier.Refuse(dossier.ErrInvalid, "case.is-merged-deeper-than", "%s is merged deeper than %d", "id", id, "most", dossier.MaxDepth)
}

// Merge links the younger of two cases to the older one, which stands for both from then on.
// Nothing of either is lost: Unmerge takes the link away again.
func (d *Desk) Merge(ctx context.Context, who Actor, one, other, why string) (Case, error) {
	if err := dossier.Reason(who, why); err != nil {
		return Case{}, err
	}
	if one == other {
		return Case{}, dossier.Refuse(dossier.ErrInvalid, "case.cannot-be-merged-with-itself", "%s cannot be merged with itself", "one", one)
	}
	main, rest := one, other
	if older(rest, main) {
		main, rest = rest, main
	}
	m, err := d.Get(ctx, main)
	if err != nil {
		return m, err
	}
	if m.MergedInto != "" {
		return m, dossier.Refuse(dossier.ErrState, "case.is-itself-merged-into", "%s is itself merged into %s", "main", main, "mergedinto", m.MergedInto)
	}
	_, err = d.change(ctx, rest, who, "merge", func(c *Case, e *Event) error {
		switch {
		case c.MergedInto == main:
			return entity.ErrUnchanged
		case c.MergedInto != "":
			return dossier.Refuse(dossier.ErrState, "case.is-merged-into-already", "%s is merged into %s already", "rest", rest, "mergedinto", c.MergedInto)
		case c.Kind != m.Kind:
			return dossier.Refuse(dossier.ErrInvalid, "case.is-and-is-they-cannot-be-one", "%s is %s and %s is %s: they cannot be one case", "rest", rest, "kind", c.Kind, "main", main, "kind2", m.Kind)
		}
		c.MergedInto = main
		e.Text, e.Data = why, map[string]string{"into": main}
		return nil
	})
	if err != nil {
		return m, err
	}
	return d.Get(ctx, main)
}

// Unmerge makes a merged case stand alone again, as it was.
func (d *Desk) Unmerge(ctx context.Context, who Actor, id, why string) (Case, error) {
	if err := dossier.Reason(who, why); err != nil {
		return Case{}, err
	}
	return d.change(ctx, id, who, "unmerge", func(c *Case, e *Event) error {
		if c.MergedInto == "" {
			return dossier.Refuse(dossier.ErrState, "case.is-not-merged", "%s is not merged", "id", id)
		}
		e.Text, e.Data = why, map[string]string{"from": c.MergedInto}
		c.MergedInto = ""
		return c.NeverIdle(e.At, d.calendar(c))
	})
}

// maxMerged is how many cases merged into one are looked at.
const maxMerged = 200

// Merged lists the cases that are merged into one, not those merged into them in turn.
func (d *Desk) Merged(ctx context.Context, id string) ([]Case, error) {
	rows, _, err := d.cases().Find(ctx, entity.Query{Index: dossier.IndexMerged, Value: id, Rising: true, Limit: maxMerged})
	return values(rows), err
}

func values[T any](rows []entity.Row[T]) []T {
	out := make([]T, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.Value)
	}
	return out
}

// Each calls f for every case opened from one time to another.
func (d *Desk) Each(ctx context.Context, from, to time.Time, f func(Case) error) error {
	q := entity.Query{Index: dossier.IndexOpened, From: from.UnixMilli(), To: to.UnixMilli() - 1, Rising: true, Limit: entity.MaxPage}
	return d.cases().Each(ctx, q, func(r entity.Row[Case]) error { return f(r.Value) })
}

// Timeline returns a page of the events of a case, the oldest first.
func (d *Desk) Timeline(ctx context.Context, id, after string, limit int) ([]Event, string, error) {
	rows, next, err := dossier.Events(d.Entities).Find(ctx, entity.Query{Index: "case", Value: id, Rising: true, After: after, Limit: limit})
	return values(rows), next, err
}

// Reports returns a page of the reports of a case, the oldest first.
func (d *Desk) Reports(ctx context.Context, id, after string, limit int) ([]Link, string, error) {
	rows, next, err := d.links().Find(ctx, entity.Query{Index: "case", Value: id, Rising: true, After: after, Limit: limit})
	return values(rows), next, err
}

// Link returns what became of a report.
func (d *Desk) Link(ctx context.Context, report string) (Link, error) {
	row, err := d.links().Get(ctx, dossier.Hashed(report))
	if errors.Is(err, entity.ErrNotFound) {
		return Link{}, dossier.Refuse(dossier.ErrNotFound, "case.no-case-knows-the-report", "no case knows the report %.40q", "report", report)
	}
	return row.Value, err
}

// Total is what a case and all those merged into it have together.
type Total struct {
	Votes   int      `json:"votes"`
	Reports int      `json:"reports"`
	Merged  []string `json:"merged,omitempty"`
}

// Totals adds up a case with those merged into it.
func (d *Desk) Totals(ctx context.Context, c Case) (Total, error) {
	t := Total{Votes: c.Votes, Reports: c.Reports}
	todo := []string{c.ID}
	for len(todo) > 0 && len(t.Merged) < maxMerged {
		children, err := d.Merged(ctx, todo[0])
		if err != nil {
			return t, fmt.Errorf("cases merged into %s: %w", todo[0], err)
		}
		todo = todo[1:]
		for _, m := range children {
			t.Votes, t.Reports, t.Merged = t.Votes+m.Votes, t.Reports+m.Reports, append(t.Merged, m.ID)
			todo = append(todo, m.ID)
		}
	}
	return t, nil
}

// older reports whether a case has a smaller number than another.
func older(a, b string) bool {
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}
