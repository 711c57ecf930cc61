package sheaf

import (
	"context"
	"errors"

	"postern/abuse/intake/shelf"
	"postern/internal/entity"
	"postern/internal/said"
)

// Reports returns the reports of works by their IDs, without those that are gone meanwhile. A
// sheaf is read once for all that stand in it.
func Reports(ctx context.Context, s entity.Store, works []shelf.Work) (map[string]shelf.Report, error) {
	sheaves := reader{store: s, read: map[string][]shelf.Report{}}
	out := make(map[string]shelf.Report, len(works))
	for _, w := range works {
		r, err := sheaves.report(ctx, w.Report)
		if errors.Is(err, entity.ErrNotFound) { // it has a record of its own
			var row entity.Row[shelf.Report]
			row, err = shelf.Reports(s).Get(ctx, w.Report)
			r = row.Value
		}
		switch {
		case err == nil:
			out[w.Report] = r
		case !errors.Is(err, entity.ErrNotFound):
			return nil, err
		}
	}
	return out, nil
}

// reader reads reports that stand in sheaves, each sheaf once.
type reader struct {
	store entity.Store
	read  map[string][]shelf.Report // by sheaf; nil: it is gone
}

// report returns one, or entity.ErrNotFound, also for a report that stands in no sheaf.
func (r *reader) report(ctx context.Context, id string) (shelf.Report, error) {
	name, n, ok := of(id)
	if !ok {
		return shelf.Report{}, said.Errorf("intake.report", "report %.60q: %w", "id", id, "kind", entity.ErrNotFound)
	}
	all, known := r.read[name]
	if !known {
		row, err := Shelf(r.store).Get(ctx, name)
		if err != nil && !errors.Is(err, entity.ErrNotFound) {
			return shelf.Report{}, err
		}
		all = row.Value.Members
		r.read[name] = all
	}
	if n >= len(all) {
		return shelf.Report{}, said.Errorf("intake.report", "report %.60q: %w", "id", id, "kind", entity.ErrNotFound)
	}
	return all[n], nil
}
