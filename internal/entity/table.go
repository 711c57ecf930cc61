package entity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"postern/internal/said"
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

	raw   []byte // as it was read; nil: it is new
	known bool   // T has all of its fields, at every depth
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
var ErrUnchanged = said.New("record.nothing-to-change", "nothing to change")

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

// Update changes a row as Change does, beginning with what was read already.
func (t Table[T]) Update(ctx context.Context, row Row[T], f func(*T) error) (Row[T], error) {
	id := t.ID(&row.Value)
	switch err := f(&row.Value); {
	case errors.Is(err, ErrUnchanged):
		return row, nil
	case err != nil:
		return row, err
	}
	out, err := t.write(ctx, row)
	if errors.Is(err, ErrConflict) {
		return t.Change(ctx, id, f)
	}
	return out, err
}

// row reads a record. Most have no field that T does not know, and need not be taken apart again
// when they are written.
func (t Table[T]) row(r Record) (Row[T], error) {
	out := Row[T]{Version: r.Version, raw: r.Data}
	if _, itself := any(&out.Value).(json.Unmarshaler); !itself {
		d := json.NewDecoder(bytes.NewReader(r.Data))
		d.DisallowUnknownFields()
		if err := d.Decode(&out.Value); err == nil && len(bytes.TrimSpace(r.Data[d.InputOffset():])) == 0 {
			out.known = true
			return out, nil
		}
		var empty T
		out.Value = empty
	}
	if err := json.Unmarshal(r.Data, &out.Value); err != nil {
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
	if row.raw != nil && !row.known {
		if data, err = over[T](row.raw, data); err != nil {
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

// over merges what is written now over the fields of a stored record that T does not know.
func over[T any](stored, written []byte) ([]byte, error) {
	var old T // what T knows of the stored fields, as it would write them
	var fields map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(stored, &old), json.Unmarshal(stored, &fields)); err != nil {
		return nil, err
	}
	if fields == nil { // null
		return written, nil
	}
	known, err := json.Marshal(old)
	if err != nil {
		return nil, err
	}
	var knownFields, now map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(known, &knownFields), json.Unmarshal(written, &now)); err != nil {
		return nil, err
	}
	for name := range knownFields { // a known field that is no longer written was emptied
		delete(fields, name)
	}
	maps.Copy(fields, now)
	out, err := json.Marshal(fields)
	return bytes.TrimSpace(out), err
}
