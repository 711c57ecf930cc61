package spamassassin

import (
	"maps"
	"slices"
)

// Kind counts what became of the rules of one kind; Kind is "" for all of them.
type Kind struct {
	Kind                        string
	Taken, Differ, Refused, Off int
}

// Kinds counts what became of the rules, kind by kind, all of them last.
func (r *Report) Kinds() []Kind {
	by, all := map[string]*Kind{}, Kind{}
	count := func(entries []Entry, field func(*Kind) *int) {
		for _, e := range entries {
			if by[e.Kind] == nil {
				by[e.Kind] = &Kind{Kind: e.Kind}
			}
			*field(by[e.Kind])++
			*field(&all)++
		}
	}
	count(r.Taken, func(k *Kind) *int { return &k.Taken })
	count(r.Differ, func(k *Kind) *int { return &k.Differ })
	count(r.Refused, func(k *Kind) *int { return &k.Refused })
	count(r.Off, func(k *Kind) *int { return &k.Off })
	var out []Kind
	for _, name := range slices.Sorted(maps.Keys(by)) {
		out = append(out, *by[name])
	}
	return append(out, all)
}
