package trend

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"postern/internal/entity"
	"postern/internal/record"
)

// Counted is what some messages come to.
func Counted(rows ...record.Row) (s Span) {
	for _, r := range rows {
		s.count(r)
	}
	return s
}

// maxPast bounds the minutes that Past takes at once.
const maxPast = 48 * 60

// Past writes minutes of the node that are over, each hour and each day at once. There may be no
// record of those hours and days yet: what a node counted is never written over.
func (b *Book) Past(ctx context.Context, minutes iter.Seq2[time.Time, Span]) error {
	all := map[entity.Kind]map[string]*Period{kindHour: {}, kindDay: {}}
	n := 0
	for at, s := range minutes {
		if n++; n > maxPast {
			return fmt.Errorf("at most %d minutes of the past are written at once", maxPast)
		}
		at = at.UTC()
		b.gather(all[kindHour], at.Truncate(time.Hour), at.Minute(), s)
		b.gather(all[kindDay], at.Truncate(24*time.Hour), at.Hour(), s)
	}
	for kind, periods := range all {
		var ids []string
		for id := range periods {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		for _, id := range ids {
			if _, err := b.table(kind).Create(ctx, *periods[id]); errors.Is(err, entity.ErrExists) {
				return fmt.Errorf("%s of %s: the node has counted then: %w", kind, periods[id].From.Format(time.RFC3339), err)
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *Book) gather(into map[string]*Period, from time.Time, part int, s Span) {
	id := b.id(from)
	p := into[id]
	if p == nil {
		p = &Period{ID: id, Node: b.Node, From: from, Parts: map[int]Span{}}
		into[id] = p
	}
	p.Parts[part] = p.Parts[part].Plus(s)
}
