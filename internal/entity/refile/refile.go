// Package refile files records of before under indexes that came later.
package refile

import (
	"context"
	"errors"
	"fmt"

	"postern/internal/entity"
)

// perTick is how many records one call writes anew at most.
const perTick = 100

// progress says how far one work has come.
type progress struct {
	Name  string `json:"name"`
	Query int    `json:"query"`           // which of those that find the records
	After string `json:"after,omitempty"` // the next page of it
	Done  bool   `json:"done,omitempty"`
}

// Tick writes the keys of t's records anew, a page at a time, and nothing once all are done.
// name is that of the work; find are queries of indexes that records of before stand in: what is
// in none of them stays as it is. One node calls it.
func Tick[T any](ctx context.Context, name string, t entity.Table[T], find ...entity.Query) error {
	works := entity.Table[progress]{Store: t.Store, Kind: "refiling", ID: func(p *progress) string { return p.Name }}
	row, err := works.Get(ctx, name)
	if errors.Is(err, entity.ErrNotFound) {
		row, err = works.Create(ctx, progress{Name: name, Done: len(find) == 0})
	}
	p := row.Value
	if err != nil || p.Done {
		return err
	}
	q := find[min(p.Query, len(find)-1)]
	q.Rising, q.After, q.Limit = true, p.After, perTick
	rows, next, err := t.Find(ctx, q)
	if err != nil {
		return fmt.Errorf("filing %s: %w", name, err)
	}
	for _, r := range rows {
		id := t.ID(&r.Value)
		if _, err := t.Change(ctx, id, func(*T) error { return nil }); err != nil && !errors.Is(err, entity.ErrNotFound) {
			return fmt.Errorf("filing %s: %s: %w", name, id, err)
		}
	}
	_, err = works.Change(ctx, name, func(p *progress) error {
		if p.After = next; next == "" {
			p.Query++
		}
		p.Done = p.Query >= len(find)
		return nil
	})
	return err
}
