package rules

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"postern/filter"
	"postern/internal/mime"
	"postern/internal/mime/header"
	"postern/internal/strict"
	"postern/rules/book"
	"postern/rules/pattern"
)

// Bounds of what one message makes the patterns read.
const (
	rawBytes   = 1 << 20 // of the message as received, read in stretches
	maxValues  = 500     // links, file names or fields of one name
	valueBytes = 8 << 10 // of one of those
	overlap    = 4 << 10 // how far stretches of the raw message reach into each other
)

// view is one way to look at a message and the patterns that do.
type view struct {
	in, header string
	patterns   []*book.Pattern
	matcher    *pattern.Matcher
}

func newViews(all []*book.Pattern) ([]view, error) {
	var views []view
	for _, p := range all {
		i := slices.IndexFunc(views, func(v view) bool { return v.in == p.In && v.header == p.Header })
		if i < 0 {
			i = len(views)
			views = append(views, view{in: p.In, header: p.Header})
		}
		views[i].patterns = append(views[i].patterns, p)
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
	for i := range s.views {
		more, err := s.views[i].search(ctx, m, tree)
		found = append(found, more...)
		if err != nil {
			return found, err
		}
	}
	slices.SortFunc(found, func(a, b filter.Finding) int { return strings.Compare(a.Symbol, b.Symbol) })
	return found, nil
}

// search looks for the view's patterns in every text of the message it shows.
func (v *view) search(ctx context.Context, m *filter.Message, tree *mime.Tree) ([]filter.Finding, error) {
	texts, err := v.texts(m, tree)
	if err != nil {
		return nil, &filter.CouldNot{Words: "the message could not be read", Cause: err}
	}
	seen := make([]bool, len(v.patterns))
	var found []filter.Finding
	for _, text := range texts {
		clean := pattern.Clean(text)
		if v.isProse() {
			clean = plainBlanks(clean)
		}
		hits, err := v.matcher.Match(ctx, clean)
		if err != nil {
			return found, err
		}
		for _, i := range hits {
			if !seen[i] {
				seen[i] = true
				found = append(found, filter.Finding{Symbol: v.patterns[i].ID, Detail: v.matcher.Excerpt(i, clean)})
			}
		}
	}
	return found, nil
}

// isProse tells that a view is text as a reader sees it.
func (v *view) isProse() bool { return v.in == "subject" || v.in == "from" || v.in == "body" }

// blanks are the characters that look like a blank and are none to an expression's \s.
var blanks = strings.NewReplacer("\u00a0", " ", "\u2002", " ", "\u2003", " ", "\u2007", " ", "\u2009", " ", "\u200a", " ", "\u202f", " ", "\u3000", " ")

// plainBlanks makes them blanks. Most text has none of the bytes they begin with.
func plainBlanks(text []byte) []byte {
	if bytes.IndexByte(text, 0xc2) < 0 && bytes.IndexByte(text, 0xe2) < 0 && bytes.IndexByte(text, 0xe3) < 0 {
		return text
	}
	return []byte(blanks.Replace(string(text)))
}

func (v *view) texts(m *filter.Message, tree *mime.Tree) ([]string, error) {
	switch v.in {
	case "subject":
		return []string{tree.Subject()}, nil
	case "from":
		return fields(tree, "From"), nil
	case "header":
		return fields(tree, v.header), nil
	case "body":
		return []string{tree.Text()}, nil
	case "html":
		return []string{tree.HTMLText()}, nil
	case "url":
		var out []string
		for _, u := range tree.URLs() {
			out = append(out, u.Raw)
		}
		return bounded(out), nil
	case "filename":
		return bounded(tree.FileNames()), nil
	default:
		return raw(m)
	}
}

func fields(tree *mime.Tree, name string) []string {
	var out []string
	for _, value := range tree.Root.Header.All(name) {
		out = append(out, header.Words(value))
	}
	return bounded(out)
}

// bounded keeps as many values, and as much of each, as one message is searched for.
func bounded(values []string) []string {
	seen := map[string]bool{}
	var out []string
	for _, v := range values {
		if len(v) > valueBytes {
			v = v[:valueBytes]
		}
		if !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
		if len(out) == maxValues {
			break
		}
	}
	return out
}

// raw reads the beginning of the message as received, in stretches that overlap.
func raw(m *filter.Message) ([]string, error) {
	b := make([]byte, min(m.Size, rawBytes))
	if n, err := m.Body.ReadAt(b, 0); err != nil && (n < len(b) || !errors.Is(err, io.EOF)) {
		return nil, err
	}
	const step = pattern.MaxText - overlap
	var out []string
	for at := 0; at == 0 || at < len(b)-overlap; at += step {
		from := at
		for from > 0 && from < len(b) && !utf8.RuneStart(b[from]) {
			from++
		}
		out = append(out, string(b[from:min(at+pattern.MaxText, len(b))]))
	}
	return out, nil
}

// check runs the patterns' own tests.
func (v *view) check() strict.Errors {
	var out strict.Errors
	for i, p := range v.patterns {
		for _, s := range p.Hit {
			if !v.fires(i, s.Text) {
				out = append(out, problem(s.Place, "%s does not match this text, but should", p.ID))
			}
		}
		for _, s := range p.Miss {
			if v.fires(i, s.Text) {
				out = append(out, problem(s.Place, "%s matches this text, but should not", p.ID))
			}
		}
	}
	return out
}

func (v *view) fires(i int, text string) bool {
	hits, err := v.matcher.Match(context.Background(), pattern.Clean(text))
	return err == nil && slices.Contains(hits, i)
}
