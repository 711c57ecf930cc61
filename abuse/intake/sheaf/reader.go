package sheaf

import (
	"context"
	"errors"
	"fmt"

	"postern/abuse/intake/shelf"
	"postern/internal/entity"
)

// Reader reads reports that stand in sheaves, each sheaf once. It is for one page: what is
// changed later it does not see. It is not safe for concurrent use.
type Reader struct {
	Store entity.Store

	read map[string][]shelf.Report // by sheaf; nil: it is gone
}

// Report returns one, or entity.ErrNotFound, also for a report that stands in no sheaf.
func (r *Reader) Report(ctx context.Context, id string) (shelf.Report, error) {
	name, n, ok := of(id)
	if !ok {
		return shelf.Report{}, fmt.Errorf("report %.60q: %w", id, entity.ErrNotFound)
	}
	all, known := r.read[name]
	if !known {
		row, err := Shelf(r.Store).Get(ctx, name)
		if err != nil && !errors.Is(err, entity.ErrNotFound) {
			return shelf.Report{}, err
		}
		if r.read == nil {
			r.read = map[string][]shelf.Report{}
		}
		all = row.Value.Members
		r.read[name] = all
	}
	if n >= len(all) {
		return shelf.Report{}, fmt.Errorf("report %.60q: %w", id, entity.ErrNotFound)
	}
	return all[n], nil
}
