package outside

import (
	"slices"
	"strings"
	"time"
)

// sift picks the blocks that are in force and fit, a page of them, the youngest first.
func (b *barred) sift(all []entry, now time.Time) []entry {
	query := strings.ToLower(b.Query)
	out := make([]entry, 0, len(all))
	for _, e := range all {
		if e.Allow || !e.Expires.IsZero() && e.Expires.Before(now) {
			continue
		}
		e.From, e.Of = owner(e.Author)
		if b.From != "" && e.From != b.From || !strings.Contains(strings.ToLower(e.Value+" "+e.Reason+" "+e.Author), query) {
			continue
		}
		out = append(out, e)
	}
	slices.SortStableFunc(out, func(x, y entry) int { return y.Created.Compare(x.Created) })
	b.All = len(out)
	pages := max((b.All+PerPage-1)/PerPage, 1)
	b.Page = min(b.Page, pages)
	b.More = pages - b.Page
	from := (b.Page - 1) * PerPage
	return out[from:min(from+PerPage, len(out))]
}

// owner says whose an entry is: the work on a case, a published list, or a person.
func owner(author string) (from, of string) {
	for _, kind := range []string{"case", "list"} {
		if rest, ok := strings.CutPrefix(author, kind+" "); ok {
			if of, _, ok := strings.Cut(rest, ": "); ok {
				return kind, of
			}
		}
	}
	return "hand", author
}
