package cases

import (
	"cmp"
	"context"
	"slices"
	"time"

	"postern/abuse/cases/dossier"
	"postern/abuse/cases/terms"
	"postern/internal/entity"
)

// Bounds of a search: how many cases one looks at before its page ends short, and how many it
// reads at a time once the first read, of a page, did not fill one.
const (
	maxLook = 5000
	atOnce  = 500
)

// today is the time in the zone whose day counts.
func (d *Desk) today() time.Time {
	now := d.Now()
	if z := d.Calendars().Team("").Team().Zone.Location; z != nil {
		now = now.In(z)
	}
	return now
}

// Find returns a page of cases: those of a queue with the next deadline first, those of an
// account, a source or a domain and all of them with the youngest first. Where few of many
// cases match, a page may be short, or empty, and still have a next one.
func (d *Desk) Find(ctx context.Context, s Search) (all []Case, next string, err error) {
	queries, err := s.Queries(d.today())
	if err == nil {
		err = d.rarest(ctx, s, queries)
	}
	if err != nil {
		return nil, "", err
	}
	limit := entity.Query{Limit: s.Limit}.Per()
	all = []Case{}
	for looked, batch := 0, limit; looked < maxLook; batch = max(limit, min(4*batch, atOnce)) {
		found, end, err := d.look(ctx, queries, batch)
		if err != nil {
			return nil, "", err
		}
		looked += len(found)
		for i, f := range found {
			if !s.Match(&f.Value) {
				continue
			}
			all = append(all, f.Value)
			if len(all) == limit {
				if i == len(found)-1 && end == "" {
					return all, "", nil
				}
				return all, cursor(&f.Value, queries[0]), nil
			}
		}
		if end == "" {
			return all, "", nil
		}
		for i := range queries {
			queries[i].After = end
		}
	}
	return all, queries[0].After, nil
}

// rarest lets the word lead that the fewest cases have. The lists of all words are in the same
// order: a page goes on where the one before ended, whichever word leads by then.
func (d *Desk) rarest(ctx context.Context, s Search, queries []entity.Query) error {
	if len(queries) != 1 || queries[0].Index != dossier.IndexWord {
		return nil
	}
	words := terms.Of(s.Text)
	if len(words) < 2 {
		return nil
	}
	least := countWords
	for _, w := range words[:min(len(words), maxWords)] {
		q := queries[0]
		q.Value, q.After = w, ""
		n, err := d.cases().Count(ctx, q, least)
		if err != nil {
			return err
		}
		if n < least {
			least, queries[0].Value = n, w
		}
	}
	return nil
}

// Bounds of looking for the word that leads: how many are asked about, and how far each is counted.
const (
	maxWords   = 8
	countWords = 1000
)

func cursor(c *Case, q entity.Query) string {
	return entity.Cursor{At: dossier.At(c, q), ID: c.ID}.String()
}

// look reads on in all queries at once, as if they were one.
func (d *Desk) look(ctx context.Context, queries []entity.Query, n int) (out []entity.Row[Case], next string, err error) {
	var to *Case // behind this one, some query has more to give
	for _, q := range queries {
		q.Limit = n
		rows, end, err := d.cases().Find(ctx, q)
		if err != nil {
			return nil, "", err
		}
		if len(queries) == 1 {
			return rows, end, nil
		}
		out = append(out, rows...)
		if end == "" || len(rows) == 0 {
			continue
		}
		if last := &rows[len(rows)-1].Value; to == nil || youngest(last, to) < 0 {
			to = last
		}
	}
	slices.SortStableFunc(out, func(a, b entity.Row[Case]) int { return youngest(&a.Value, &b.Value) })
	if to == nil {
		return out, "", nil
	}
	out = slices.DeleteFunc(out, func(r entity.Row[Case]) bool { return youngest(&r.Value, to) > 0 })
	return out, entity.Cursor{At: to.Opened.UnixMilli(), ID: to.ID}.String(), nil
}

// youngest orders cases as the indexes by opening do.
func youngest(a, b *Case) int {
	return cmp.Or(cmp.Compare(b.Opened.UnixMilli(), a.Opened.UnixMilli()), cmp.Compare(b.ID, a.ID))
}

// Count counts what Find would return by the index alone, up to limit.
func (d *Desk) Count(ctx context.Context, s Search, limit int) (int, error) {
	queries, err := s.Queries(d.today())
	n := 0
	for _, q := range queries {
		var one int
		if err == nil {
			one, err = d.cases().Count(ctx, q, limit)
		}
		n += one
	}
	return min(n, limit), err
}
