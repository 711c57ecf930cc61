package month

import (
	"slices"
	"time"
)

// span is a time from a moment up to another.
type span struct{ from, to time.Time }

// union merges spans that touch.
func union(all []span) []span {
	all = slices.Clone(all)
	all = slices.DeleteFunc(all, func(s span) bool { return !s.from.Before(s.to) })
	slices.SortFunc(all, func(a, b span) int { return a.from.Compare(b.from) })
	var out []span
	for _, s := range all {
		if n := len(out); n > 0 && !s.from.After(out[n-1].to) {
			if s.to.After(out[n-1].to) {
				out[n-1].to = s.to
			}
			continue
		}
		out = append(out, s)
	}
	return out
}

// clip is what of spans lies in a period.
func clip(all []span, in span) []span {
	var out []span
	for _, s := range all {
		if s.from.Before(in.from) {
			s.from = in.from
		}
		if s.to.After(in.to) {
			s.to = in.to
		}
		if s.from.Before(s.to) {
			out = append(out, s)
		}
	}
	return out
}

// without is what of spans lies in none of the others.
func without(all, others []span) []span {
	out := union(all)
	for _, o := range others {
		var next []span
		for _, s := range out {
			if !o.from.Before(s.to) || !o.to.After(s.from) {
				next = append(next, s)
				continue
			}
			next = append(next, clip([]span{s}, span{s.from, o.from})...)
			next = append(next, clip([]span{s}, span{o.to, s.to})...)
		}
		out = next
	}
	return out
}

func length(all []span) (d time.Duration) {
	for _, s := range union(all) {
		d += s.to.Sub(s.from)
	}
	return d
}
