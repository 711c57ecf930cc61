package replay

import (
	"slices"

	"postern/filter"
	"postern/rules"
)

// Rehearsal judges records by the present and by the proposed rules. It is not safe for
// concurrent use.
type Rehearsal struct {
	present, proposed *Side
	revision          [2]string
}

// New prepares both sets.
func New(present, proposed *rules.Set) *Rehearsal {
	return &Rehearsal{present: NewSide(present), proposed: NewSide(proposed), revision: [2]string{present.Revision(), proposed.Revision()}}
}

// Rules are the revisions of both.
func (r *Rehearsal) Rules() [2]string { return r.revision }

// Pair judges a record. then are the prints of the rules that judged it when it came, nil where
// they are not kept: then no pattern is known.
func (r *Rehearsal) Pair(one Record, then Prints) Pair {
	now, next := r.present.judge(&one, then), r.proposed.judge(&one, then)
	p := Pair{ID: one.ID, Before: now.verdict, After: next.verdict}
	if raw, ok := filter.IDBytes(one.ID); ok {
		_, p.At = filter.IDOf(raw)
	}
	if !now.sure || !next.sure {
		p.NoBody = now.body || next.body
		p.Asked = slices.Compact(slices.Sorted(slices.Values(slices.Concat(now.asked, next.asked))))
	}
	p.Unlike = one.Rules == r.revision[0] && now.sure && now.verdict.Action != one.Action
	return p
}
