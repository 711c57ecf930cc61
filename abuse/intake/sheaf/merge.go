package sheaf

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"postern/abuse/intake/shelf"
	"postern/internal/entity"
	"postern/internal/said"
)

// place is where a page ended: behind which work, and behind which sheaf, so many reports of the
// next one are told already.
type place struct {
	work, sheaf string
	told        int
}

func (p place) String() string {
	return p.work + "|" + p.sheaf + "#" + strconv.Itoa(p.told)
}

func placeOf(after string) (p place, err error) {
	if after == "" {
		return p, nil
	}
	work, rest, ok := strings.Cut(after, "|")
	sheaf, told, ok2 := strings.Cut(rest, "#")
	n, err := strconv.Atoi(told)
	if !ok || !ok2 || err != nil || n < 0 {
		return p, said.Errorf("intake.cursor", "cursor %.60q: %w", "after", after, "kind", entity.ErrInvalid)
	}
	return place{work, sheaf, n}, nil
}

// Merged returns a page of works, newest first: of the reports that have a record of their own,
// and of those in sheaves.
func Merged(ctx context.Context, s entity.Store, q entity.Query) (all []shelf.Work, next string, err error) {
	p, err := placeOf(q.After)
	if err != nil {
		return nil, "", err
	}
	per := q.Per()
	q.After = p.work
	works, moreWorks, err := shelf.Works(s).Find(ctx, q)
	if err != nil {
		return nil, "", err
	}
	q.After, q.Limit = p.sheaf, per/4+1
	sheaves, moreSheaves, err := Shelf(s).Find(ctx, q)
	if err != nil {
		return nil, "", err
	}
	for len(all) < per {
		switch {
		case len(works) > 0 && (len(sheaves) == 0 && moreSheaves == "" || len(sheaves) > 0 && !works[0].Value.At.Before(sheaves[0].Value.At)):
			w := works[0].Value
			all, works, p.work = append(all, w), works[1:], entity.Cursor{At: shelf.Milli(w.At), ID: w.Report}.String()
			continue
		case len(sheaves) > 0 && (len(works) > 0 || moreWorks == ""):
			f := sheaves[0].Value
			inside := f.Works()
			inside = inside[min(p.told, len(inside)):]
			n := min(per-len(all), len(inside))
			all, p.told = append(all, inside[:n]...), p.told+n
			if n == len(inside) {
				sheaves, p.sheaf, p.told = sheaves[1:], entity.Cursor{At: shelf.Milli(f.At), ID: f.ID}.String(), 0
			}
			continue
		}
		break // both are through, or one of them is read no further yet
	}
	if len(works)+len(sheaves) == 0 && moreWorks == "" && moreSheaves == "" {
		return all, "", nil
	}
	return all, p.String(), nil
}

// Alike adds the works of reports in sheaves with a digest.
func Alike(ctx context.Context, s entity.Store, q entity.Query, all []shelf.Work) ([]shelf.Work, error) {
	rows, _, err := Shelf(s).Find(ctx, q)
	for _, row := range rows {
		for _, w := range row.Value.Works() {
			if w.SHA256 == q.Value && len(all) < q.Per() {
				all = append(all, w)
			}
		}
	}
	return all, err
}

var errEnough = errors.New("enough is counted")

// countMost bounds the counting of a flood.
const countMost = 1_000_000

// Count counts the reports in sheaves.
func Count(ctx context.Context, s entity.Store, q entity.Query) (n int, err error) {
	err = Shelf(s).Each(ctx, q, func(row entity.Row[Sheaf]) error {
		if n += len(row.Value.Members) - len(row.Value.Apart); n >= countMost {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return n, err
}
