// Package sheaf keeps the mail of a flood by the dozen: what a crowd of strangers sends within a
// moment is one run of bytes and one record, written before any of them is answered. Each report
// stays one of its own: with its circumstances, its digest, and its bytes as they came.
package sheaf

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/abuse/intake/shelf"
	"postern/internal/entity"
	"postern/internal/said"
)

// Kind is that of the records.
const Kind entity.Kind = "report-sheaf"

// Sheaf are reports that came at about the same time.
type Sheaf struct {
	ID      string         `json:"id"`
	At      time.Time      `json:"at"` // of the first report
	Fold    string         `json:"fold"`
	State   string         `json:"state"` // shelf.New until their case has counted them, then shelf.Folded
	SHA256  string         `json:"sha256"`
	Members []shelf.Report `json:"members"` // in the order of their bytes
	Apart   []int          `json:"apart,omitempty"`
	Cases   []string       `json:"cases,omitempty"`
	Ended   time.Time      `json:"ended,omitzero"`
}

// Shelf are the sheaves.
func Shelf(s entity.Store) entity.Table[Sheaf] {
	return entity.Table[Sheaf]{Store: s, Kind: Kind, ID: func(f *Sheaf) string { return f.ID }, Keys: func(f *Sheaf) []entity.Key {
		at := shelf.Milli(f.At)
		keys := []entity.Key{
			{Index: "all", At: at}, {Index: "state", Value: f.State, At: at}, {Index: "fold", Value: shelf.Value(f.Fold), At: at}, {Index: "sum", Value: f.SHA256, At: at},
		}
		for _, c := range f.Cases {
			keys = append(keys, entity.Key{Index: "case", Value: shelf.Value(c), At: at})
		}
		for _, m := range f.Members {
			keys = append(keys, entity.Key{Index: "sum", Value: m.SHA256, At: at})
		}
		return entity.Unique(keys)
	}}
}

// of splits the ID of a report that stands in a sheaf: the sheaf's, and its place from 0.
func of(id string) (sheaf string, n int, ok bool) {
	sheaf, place, ok := strings.Cut(id, ".")
	if !ok || !strings.HasPrefix(sheaf, "q-") {
		return "", 0, false
	}
	n, err := strconv.Atoi(place)
	return sheaf, n - 1, err == nil && n > 0
}

// Holds reports whether an ID is that of a report in a sheaf.
func Holds(id string) bool {
	_, _, ok := of(id)
	return ok
}

// Find returns the sheaf of a report and its place in it, or entity.ErrNotFound.
func Find(ctx context.Context, s entity.Store, id string) (f entity.Row[Sheaf], n int, err error) {
	name, n, ok := of(id)
	if !ok {
		return f, 0, said.Errorf("intake.report", "report %.60q: %w", "id", id, "kind", entity.ErrNotFound)
	}
	f, err = Shelf(s).Get(ctx, name)
	if err == nil && n >= len(f.Value.Members) {
		err = said.Errorf("intake.report", "report %.60q: %w", "id", id, "kind", entity.ErrNotFound)
	}
	return f, n, err
}

// Work is what became of the report at a place.
func (f Sheaf) Work(n int) shelf.Work {
	m := f.Members[n]
	w := shelf.Work{Report: m.ID, At: m.At, State: f.State, Ended: f.Ended, Cases: f.Cases, SHA256: m.SHA256}
	if f.State == shelf.Folded {
		w.Fold = f.Fold
	}
	return w
}

// Works are those of all its reports that do not stand apart, the last one first.
func (f Sheaf) Works() (all []shelf.Work) {
	for n := len(f.Members) - 1; n >= 0; n-- {
		if !slices.Contains(f.Apart, n) {
			all = append(all, f.Work(n))
		}
	}
	return all
}

// Bytes opens the report at a place. What is read is verified against its own digest.
func (f Sheaf) Bytes(ctx context.Context, b entity.Blobs, n int) (io.ReadCloser, error) {
	r, err := b.Blob(ctx, entity.Intake, f.SHA256)
	if err != nil {
		return nil, err
	}
	skip := int64(0)
	for _, m := range f.Members[:n] {
		skip += m.Size
	}
	if _, err := io.CopyN(io.Discard, r, skip); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	m := f.Members[n]
	text, err := io.ReadAll(io.LimitReader(r, m.Size))
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != m.SHA256 {
		return nil, fmt.Errorf("report %s: its bytes do not match their digest", m.ID)
	}
	return io.NopCloser(strings.NewReader(string(text))), nil
}

// SetApart gives a report records of its own, under the same ID, for what people say of it.
func SetApart(ctx context.Context, h entity.Home, id string) error {
	row, n, err := Find(ctx, h, id)
	if err != nil || slices.Contains(row.Value.Apart, n) {
		return err
	}
	f := row.Value
	if f.State != shelf.Folded {
		return said.Errorf("intake.report-is-not-worked-on-yet", "report %s is not worked on yet: %w", "id", id, "kind", entity.ErrInvalid)
	}
	text, err := f.Bytes(ctx, h, n)
	if err != nil {
		return err
	}
	if _, _, err := h.PutBlob(ctx, entity.Intake, text); err != nil {
		return err
	}
	_, err = shelf.Reports(h).Create(ctx, f.Members[n])
	if err == nil || errors.Is(err, entity.ErrExists) {
		_, err = shelf.Works(h).Create(ctx, f.Work(n))
	}
	if err != nil && !errors.Is(err, entity.ErrExists) {
		return err
	}
	_, err = Shelf(h).Change(ctx, f.ID, func(x *Sheaf) error {
		if slices.Contains(x.Apart, n) {
			return entity.ErrUnchanged
		}
		x.Apart = append(x.Apart, n)
		return nil
	})
	return err
}

// Sweep forgets sheaves older than a time that nobody holds, and says how many reports went. A
// report that stands apart goes by itself.
func Sweep(ctx context.Context, s entity.Store, before time.Time, held func(ctx context.Context, w shelf.Work) (bool, error)) (n int, err error) {
	err = Shelf(s).Each(ctx, entity.Query{Index: "all", Rising: true, From: 1, To: shelf.Milli(before)}, func(row entity.Row[Sheaf]) error {
		if row.Value.State == shelf.New || row.Value.Members[len(row.Value.Members)-1].At.After(before) {
			return nil
		}
		if held != nil {
			if yes, err := held(ctx, row.Value.Work(0)); yes || err != nil {
				return err
			}
		}
		n += len(row.Value.Members)
		return Shelf(s).Remove(ctx, row)
	})
	return n, err
}
