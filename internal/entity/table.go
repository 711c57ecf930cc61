package entity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
)

// Table keeps values of one Go type as records of one kind. T is a struct; fields that a newer
// program wrote and this T does not know survive a change.
type Table[T any] struct {
	Store Store
	Kind  Kind
	ID    func(*T) string
	Keys  func(*T) []Key // nil: found by ID alone
}

// Row is a value with the version it was read at.
type Row[T any] struct {
	Value   T
	Version uint64

	raw map[string]json.RawMessage
}

// Create writes a new value; ErrExists if its ID is taken.
func (t Table[T]) Create(ctx context.Context, v T) (Row[T], error) {
	return t.write(ctx, Row[T]{Value: v})
}

// Get returns one value, or ErrNotFound.
func (t Table[T]) Get(ctx context.Context, id string) (Row[T], error) {
	r, err := t.Store.Get(ctx, t.Kind, id)
	if err != nil {
		return Row[T]{}, err
	}
	return t.row(r)
}

// Change reads a value, lets f change it, and writes it, again from the start after a
// conflict, ten times at most. An error of f ends it with nothing written; ErrUnchanged does so
// without being an error.
func (t Table[T]) Change(ctx context.Context, id string, f func(*T) error) (Row[T], error) {
	for try := 0; ; try++ {
		row, err := t.Get(ctx, id)
		if err != nil {
			return row, err
		}
		switch err := f(&row.Value); {
		case errors.Is(err, ErrUnchanged):
			return row, nil
		case err != nil:
			return row, err
		}
		out, err := t.write(ctx, row)
		if err == nil || !errors.Is(err, ErrConflict) || try == 9 {
			return out, err
		}
	}
}

// ErrUnchanged is returned by the function given to Change when there is nothing to write.
var ErrUnchanged = errors.New("nothing to change")

// Find returns a page of values; q's Kind is set here.
func (t Table[T]) Find(ctx context.Context, q Query) (rows []Row[T], next string, err error) {
	q.Kind = t.Kind
	page, err := t.Store.Find(ctx, q)
	if err != nil {
		return nil, "", err
	}
	rows = make([]Row[T], 0, len(page.Records))
	for _, r := range page.Records {
		row, err := t.row(r)
		if err != nil {
			return nil, "", err
		}
		rows = append(rows, row)
	}
	return rows, page.Next, nil
}

// Each calls f for every value that q finds, page by page, until f's error, which it returns.
func (t Table[T]) Each(ctx context.Context, q Query, f func(Row[T]) error) error {
	for {
		rows, next, err := t.Find(ctx, q)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := f(r); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		q.After = next
	}
}

// Count counts as Store.Count does.
func (t Table[T]) Count(ctx context.Context, q Query, limit int) (int, error) {
	q.Kind = t.Kind
	return t.Store.Count(ctx, q, limit)
}

// Remove forgets a value as it was read.
func (t Table[T]) Remove(ctx context.Context, r Row[T]) error {
	return t.Store.Remove(ctx, t.Kind, t.ID(&r.Value), r.Version)
}

func (t Table[T]) row(r Record) (Row[T], error) {
	out := Row[T]{Version: r.Version}
	if err := errors.Join(json.Unmarshal(r.Data, &out.Value), json.Unmarshal(r.Data, &out.raw)); err != nil {
		return out, fmt.Errorf("%s %s: %w", t.Kind, r.ID, err)
	}
	return out, nil
}

// write puts the value over the fields it was read with, so that those it does not know stay.
func (t Table[T]) write(ctx context.Context, row Row[T]) (Row[T], error) {
	data, err := json.Marshal(row.Value)
	if err != nil {
		return row, err
	}
	if row.raw != nil {
		if data, err = t.over(row, data); err != nil {
			return row, err
		}
	}
	r := Record{Kind: t.Kind, ID: t.ID(&row.Value), Version: row.Version + 1, Data: data}
	if t.Keys != nil {
		r.Keys = t.Keys(&row.Value)
	}
	if err := t.Store.Put(ctx, r); err != nil {
		return row, fmt.Errorf("%s %s: %w", t.Kind, r.ID, err)
	}
	return t.row(r)
}

// over merges data over the fields of row that T does not know.
func (t Table[T]) over(row Row[T], data []byte) ([]byte, error) {
	var old T // what T knows of the stored fields, as it would write them
	stored, err := json.Marshal(row.raw)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(stored, &old); err != nil {
		return nil, err
	}
	known, err := json.Marshal(old)
	if err != nil {
		return nil, err
	}
	var knownFields, now map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(known, &knownFields), json.Unmarshal(data, &now)); err != nil {
		return nil, err
	}
	merged := maps.Clone(row.raw)
	for name := range knownFields { // a known field that is no longer written was emptied
		delete(merged, name)
	}
	maps.Copy(merged, now)
	out, err := json.Marshal(merged)
	return bytes.TrimSpace(out), err
}
