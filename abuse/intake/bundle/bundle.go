// Package bundle hands the reports of a flood to their case by the dozen: what thousands send is
// one record, one count and one line, and each report is still linked to it.
package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"postern/abuse/cases"
	"postern/abuse/intake/sheaf"
	"postern/abuse/intake/shelf"
	"postern/internal/entity"
)

// Kind is that of the records.
const Kind entity.Kind = "report-bundle"

// Most is how many reports one bundle has.
const Most = 500

// Cases take what reports prove; *cases.Desk is one.
type Cases interface {
	Attach(ctx context.Context, c cases.Complaint) (cases.Case, error)
}

// Bundle are reports that belong to the same flood. It is written before anything is done with
// them, so that what a crash interrupts is done again with the same ones.
type Bundle struct {
	ID      string    `json:"id"`
	At      time.Time `json:"at"` // of the first report
	Fold    string    `json:"fold"`
	Reports []Report  `json:"reports"`
	Case    string    `json:"case,omitempty"`
	Done    bool      `json:"done,omitempty"`
}

// Report names one of them, by its bytes as well.
type Report struct {
	ID     string `json:"id"`
	SHA256 string `json:"sha256"`
	Of     int    `json:"of,omitempty"` // how many reports it is, where it is a sheaf; 0 = one
}

// Shelf are the bundles.
func Shelf(s entity.Store) entity.Table[Bundle] {
	return entity.Table[Bundle]{Store: s, Kind: Kind, ID: func(b *Bundle) string { return b.ID }, Keys: func(b *Bundle) []entity.Key {
		keys := []entity.Key{{Index: "all", At: shelf.Milli(b.At)}}
		if !b.Done {
			keys = append(keys, entity.Key{Index: "open", At: shelf.Milli(b.At)})
		}
		return keys
	}}
}

// Binder makes bundles and hands them over.
type Binder struct {
	Home  entity.Store
	Cases Cases
	Now   func() time.Time
}

// Take hands reports of one flood to their case.
func (b Binder) Take(ctx context.Context, fold string, works []shelf.Work) error {
	var all []Report
	for _, w := range works {
		all = append(all, Report{ID: w.Report, SHA256: w.SHA256})
	}
	if len(works) == 0 {
		return nil
	}
	return b.take(ctx, fold, works[0].At, all, nil)
}

// Sheaves hands those that wait to the cases of their floods, and says how many reports they have.
func (b Binder) Sheaves(ctx context.Context) (n int, err error) {
	rows, _, err := sheaf.Shelf(b.Home).Find(ctx, entity.Query{Index: "state", Value: shelf.New, Rising: true, Limit: Most})
	if err != nil {
		return 0, err
	}
	floods, first, read := map[string][]Report{}, map[string]time.Time{}, map[string]entity.Row[sheaf.Sheaf]{}
	for _, row := range rows {
		f := row.Value
		if len(floods[f.Fold]) == 0 {
			first[f.Fold] = f.At
		}
		floods[f.Fold] = append(floods[f.Fold], Report{f.ID, f.SHA256, len(f.Members)})
		n += len(f.Members)
		read[f.ID] = row
	}
	for _, fold := range slices.Sorted(maps.Keys(floods)) {
		if err := b.take(ctx, fold, first[fold], floods[fold], read); err != nil {
			return n, err
		}
	}
	return n, nil
}

// take hands them over; read are sheaves as they were found just now.
func (b Binder) take(ctx context.Context, fold string, at time.Time, works []Report, read map[string]entity.Row[sheaf.Sheaf]) error {
	for len(works) > 0 {
		n := min(len(works), Most)
		one := Bundle{At: at, Fold: fold, Reports: works[:n]}
		sum := sha256.New()
		for _, w := range one.Reports {
			fmt.Fprintf(sum, "%s %s\n", w.ID, w.SHA256)
		}
		one.ID = "b-" + hex.EncodeToString(sum.Sum(nil)[:12])
		if _, err := Shelf(b.Home).Create(ctx, one); err != nil && !errors.Is(err, entity.ErrExists) {
			return err
		}
		if err := b.finish(ctx, one, read); err != nil {
			return err
		}
		works = works[n:]
	}
	return nil
}

// Finish does what a crash interrupted.
func (b Binder) Finish(ctx context.Context) error {
	rows, _, err := Shelf(b.Home).Find(ctx, entity.Query{Index: "open", Rising: true, Limit: 100})
	for _, row := range rows {
		if err := b.finish(ctx, row.Value, nil); err != nil {
			return err
		}
	}
	return err
}

// finish counts a bundle at its case and ends the work on its reports; doing so again changes
// nothing.
func (b Binder) finish(ctx context.Context, one Bundle, read map[string]entity.Row[sheaf.Sheaf]) error {
	all := 0
	for _, r := range one.Reports {
		all += max(r.Of, 1)
	}
	got, err := b.Cases.Attach(ctx, cases.Complaint{Report: one.ID, At: one.At, Fold: one.Fold, More: all - 1})
	if err != nil {
		return fmt.Errorf("bundle %s: %w", one.ID, err)
	}
	for _, r := range one.Reports {
		if err := b.end(ctx, one, r, got.ID, read); err != nil && !errors.Is(err, entity.ErrNotFound) {
			return fmt.Errorf("report %s: %w", r.ID, err)
		}
	}
	_, err = Shelf(b.Home).Change(ctx, one.ID, func(x *Bundle) error { x.Done, x.Case = true, got.ID; return nil })
	return err
}

// end ends the work on a report, or on a sheaf of them.
func (b Binder) end(ctx context.Context, one Bundle, r Report, id string, read map[string]entity.Row[sheaf.Sheaf]) (err error) {
	if r.Of > 0 {
		ended := func(f *sheaf.Sheaf) error {
			if f.State != shelf.New {
				return entity.ErrUnchanged
			}
			f.State, f.Ended, f.Cases = shelf.Folded, b.Now().UTC(), []string{id}
			return nil
		}
		if row, ok := read[r.ID]; ok {
			_, err = sheaf.Shelf(b.Home).Update(ctx, row, ended)
		} else {
			_, err = sheaf.Shelf(b.Home).Change(ctx, r.ID, ended)
		}
		return err
	}
	_, err = shelf.Works(b.Home).Change(ctx, r.ID, func(w *shelf.Work) error {
		if w.State != shelf.New {
			return entity.ErrUnchanged
		}
		w.State, w.Ended, w.Fold, w.Cases = shelf.Folded, b.Now().UTC(), one.Fold, []string{id}
		return nil
	})
	return err
}

// Sweep forgets bundles older than a time whose reports are gone.
func (b Binder) Sweep(ctx context.Context, before time.Time) error {
	return Shelf(b.Home).Each(ctx, entity.Query{Index: "all", Rising: true, From: 1, To: shelf.Milli(before)}, func(row entity.Row[Bundle]) error {
		for _, r := range row.Value.Reports {
			if r.Of > 0 {
				if _, err := sheaf.Shelf(b.Home).Get(ctx, r.ID); !errors.Is(err, entity.ErrNotFound) {
					return err
				}
				continue
			}
			if _, err := shelf.Works(b.Home).Get(ctx, r.ID); !errors.Is(err, entity.ErrNotFound) {
				return err
			}
		}
		return Shelf(b.Home).Remove(ctx, row)
	})
}
