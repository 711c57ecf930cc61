package rules

import (
	"context"
	"slices"
	"strings"

	"postern/filter"
	"postern/internal/mime"
	"postern/internal/mime/fold"
	"postern/internal/strict"
	"postern/rules/book"
	"postern/rules/look"
	"postern/rules/pattern"
)

// view is one way to look at a message and the patterns that do.
type view struct {
	in, header string
	patterns   []*book.Pattern
	quiet      []bool // by pattern
	matcher    *pattern.Matcher
}

func newViews(b *book.Book) ([]view, error) {
	var views []view
	for _, p := range b.Patterns {
		i := slices.IndexFunc(views, func(v view) bool { return v.in == p.In && v.header == p.Header })
		if i < 0 {
			i = len(views)
			views = append(views, view{in: p.In, header: p.Header})
		}
		views[i].patterns = append(views[i].patterns, p)
		views[i].quiet = append(views[i].quiet, b.Symbols[p.ID].Quiet)
	}
	for i := range views {
		var sources []string
		for _, p := range views[i].patterns {
			sources = append(sources, p.Match)
		}
		m, err := pattern.Compile(sources)
		if err != nil {
			return nil, err
		}
		views[i].matcher = m
	}
	return views, nil
}

// PatternsCut is the symbol of a message of which a bound kept something from some patterns.
const PatternsCut = "PATTERNS_CUT"

// Patterns is the check that looks for the set's patterns in a message. It finds nothing
// before OnData.
func (s *Set) Patterns() filter.Check { return filter.CheckFunc(s.search) }

func (s *Set) search(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
	if m.Body == nil || m.Parts == nil {
		return nil, nil
	}
	tree, err := m.Parts()
	if err != nil {
		return nil, &filter.CouldNot{Words: "the message could not be read", Cause: err}
	}
	var found []filter.Finding
	var cut []string
	for i := range s.views {
		v := &s.views[i]
		more, short, err := v.search(ctx, m, tree)
		found = append(found, more...)
		if err != nil {
			return found, err
		}
		if short {
			cut = append(cut, look.Word(v.in, v.header))
		}
	}
	if cut != nil {
		found = append(found, filter.Finding{Symbol: PatternsCut, Detail: strings.Join(cut, ", ")})
	}
	slices.SortFunc(found, func(a, b filter.Finding) int { return strings.Compare(a.Symbol, b.Symbol) })
	return found, nil
}

// search looks for the view's patterns in every text of the message it shows; cut tells that a
// bound kept some of it from some of them.
func (v *view) search(ctx context.Context, m *filter.Message, tree *mime.Tree) (found []filter.Finding, cut bool, err error) {
	shown, err := look.Texts(v.in, v.header, m, tree)
	if err != nil {
		return nil, false, &filter.CouldNot{Words: "the message could not be read", Cause: err}
	}
	cut = shown.Cut
	most := v.most(shown.Texts)
	h := hunt{view: v, seen: make([]bool, len(v.patterns)), counts: map[int]int{}, folded: map[int]int{}}
	for _, one := range shown.Texts {
		text := pattern.NewText(one.Text, one.Parts, most)
		cut = cut || text.Cut()
		if look.IsProse(v.in) {
			text = text.Change(look.PlainBlanks)
		}
		if err := h.in(ctx, text, h.counts); err != nil {
			return h.found, cut, err
		}
		if !look.Folds(v.in, v.header) {
			continue
		}
		if bare := text.Change(fold.Bare); !bare.Same(text) {
			if err := h.in(ctx, bare, h.folded); err != nil {
				return h.found, cut, err
			}
		}
	}
	return h.found, cut, nil
}

// hunt is a search through all texts of a view. Each is searched as it is written and, where that
// differs, as it looks to a reader; matches of the two are counted apart.
type hunt struct {
	view           *view
	seen           []bool
	counts, folded map[int]int // pattern -> matches so far, of those that must match several times
	found          []filter.Finding
}

func (h *hunt) in(ctx context.Context, text pattern.Text, counts map[int]int) error {
	hits, err := h.view.matcher.Search(ctx, text)
	for _, hit := range hits {
		if i := hit.Expr; !h.seen[i] && h.view.often(i, hit.Near, counts) {
			h.seen[i] = true
			one := filter.Finding{Symbol: h.view.patterns[i].ID, Quiet: h.view.quiet[i]}
			if !one.Quiet {
				one.Detail = h.view.matcher.Excerpt(i, hit.Near)
			}
			h.found = append(h.found, one)
		}
	}
	return err
}

// leastShare is what is read at least of each of many texts.
const leastShare = 16 << 10

// most is how much every expression is asked over of each of the texts: the parts of a message
// share what one text has. The raw message comes in stretches that are all read.
func (v *view) most(texts []look.Text) int {
	all := 0
	for _, t := range texts {
		all += len(t.Text)
	}
	if v.in == "raw" || all <= pattern.MaxText {
		return pattern.MaxText
	}
	return max(pattern.MaxText/len(texts), leastShare)
}

// often counts the matches of a pattern that must be there several times, over all texts,
// and tells that they are enough.
func (v *view) often(i int, text []byte, counts map[int]int) bool {
	times := v.patterns[i].Times
	if times <= 1 {
		return true
	}
	counts[i] += v.matcher.Count(i, text, times-counts[i])
	return counts[i] >= times
}

// check runs the patterns' own tests.
func (v *view) check() strict.Errors {
	var out strict.Errors
	for i, p := range v.patterns {
		for _, s := range p.Hit {
			if !v.fires(i, s.Text) {
				out = append(out, problem(s.Place, "rule.test-misses", "%s does not match this text, but should", "id", p.ID))
			}
		}
		for _, s := range p.Miss {
			if v.fires(i, s.Text) {
				out = append(out, problem(s.Place, "rule.test-hits", "%s matches this text, but should not", "id", p.ID))
			}
		}
	}
	return out
}

func (v *view) fires(i int, text string) bool {
	hits, err := v.matcher.Match(context.Background(), pattern.Clean(text))
	return err == nil && slices.Contains(hits, i) && v.often(i, pattern.Clean(text), map[int]int{})
}
