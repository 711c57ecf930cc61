// Package paging shows the own lists page by page.
package paging

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/blocklist"
	"postern/internal/said"
)

// Sizes of a page of the own lists.
const (
	Most      = 1000
	byDefault = 100
)

// ErrQuery is wrapped by every error about what was asked of the own lists.
var ErrQuery = said.New("list.not-a-search", "blocklist: not a search")

// Query asks for a page of the own lists, the youngest entry first. What is empty asks for
// everything.
type Query struct {
	Text   string   // in the value, scope, reason or author, whatever the case
	Kind   string   // block | allow
	Origin string   // case | list | hand: who wrote it, see Origin
	About  []string // IPs, networks, domains, addresses: entries that hold for one of them
	Within []string // domains and addresses: entries that hold for their mail alone
	Live   bool     // not what has expired
	After  string   // the mark of the page before
	Limit  int      // 0 = 100, at most Most
}

// Page is some of the entries that a query finds.
type Page struct {
	Entries []blocklist.Entry
	Total   int    // on all pages
	Next    string // the mark of the next page, "" on the last
}

// Origin says who wrote an entry: the work on a case, a published list, or a person by hand; and
// which case or list or who.
func Origin(e *blocklist.Entry) (kind, of string) {
	for _, kind := range []string{"case", "list"} {
		if rest, ok := strings.CutPrefix(e.Author, kind+" "); ok {
			if of, _, ok := strings.Cut(rest, ": "); ok {
				return kind, of
			}
		}
	}
	return "hand", e.Author
}

// List returns a page of the entries as the store has them now. Errors wrap ErrQuery, or are the
// store's.
func List(ctx context.Context, o *blocklist.Own, q Query) (Page, error) {
	fits, err := q.fits(o.Now())
	if err != nil {
		return Page{}, err
	}
	at, key, err := readMark(q.After)
	if err != nil {
		return Page{}, err
	}
	all, err := choose(ctx, o, q.About)
	if err != nil {
		return Page{}, err
	}
	limit := min(q.Limit, Most)
	if limit <= 0 {
		limit = byDefault
	}
	p := Page{Entries: []blocklist.Entry{}}
	last := ""
	for _, e := range all {
		if !fits(e) {
			continue
		}
		p.Total++
		if q.After != "" && younger(e, at, key) <= 0 {
			continue
		}
		if len(p.Entries) == limit {
			p.Next = last
			continue // they are counted
		}
		p.Entries = append(p.Entries, *e)
		last = mark(e)
	}
	return p, nil
}

// fits is the test of a query for one entry.
func (q Query) fits(now time.Time) (func(*blocklist.Entry) bool, error) {
	if q.Kind != "" && q.Kind != "block" && q.Kind != "allow" {
		return nil, said.Errorf("list.kind-is-none-of", "%w: kind %.20q is none of block, allow", "kind", ErrQuery, "s", q.Kind)
	}
	if q.Origin != "" && !slices.Contains([]string{"case", "list", "hand"}, q.Origin) {
		return nil, said.Errorf("list.origin-is-none-of", "%w: origin %.20q is none of case, list, hand", "kind", ErrQuery, "s", q.Origin)
	}
	text := strings.ToLower(q.Text)
	return func(e *blocklist.Entry) bool {
		if q.Kind != "" && e.Allow != (q.Kind == "allow") || q.Live && e.Expired(now) || len(q.Within) > 0 && !within(e, q.Within) {
			return false
		}
		if kind, _ := Origin(e); q.Origin != "" && kind != q.Origin {
			return false
		}
		return text == "" || strings.Contains(strings.ToLower(e.Value+" "+e.Scope+" "+e.Reason+" "+e.Author), text)
	}, nil
}

// within reports whether an entry holds for the mail of some domains and addresses alone.
func within(e *blocklist.Entry, whose []string) bool {
	kind, of, ok := strings.Cut(e.Scope, ":")
	if !ok || kind != "domain" && kind != "recipient" {
		return false
	}
	return slices.Contains(whose, of) || slices.Contains(whose, of[strings.LastIndexByte(of, '@')+1:])
}

// choose is the entries that hold for one of some subjects, or all, the youngest first.
func choose(ctx context.Context, o *blocklist.Own, about []string) ([]*blocklist.Entry, error) {
	if len(about) == 0 {
		return o.Entries(ctx)
	}
	all, err := o.About(ctx, about)
	slices.SortFunc(all, blocklist.Younger)
	return slices.Compact(all), err
}

// younger compares where an entry stands with a place: before it is negative.
func younger(e *blocklist.Entry, at time.Time, key string) int {
	if c := at.Compare(e.Created); c != 0 {
		return c
	}
	return strings.Compare(e.Key(), key)
}

// mark names the place of an entry.
func mark(e *blocklist.Entry) string {
	return fmt.Sprintf("%d.%d %s", e.Created.Unix(), e.Created.Nanosecond(), e.Key())
}

// readMark is the place that a mark names.
func readMark(s string) (at time.Time, key string, err error) {
	if s == "" {
		return at, "", nil
	}
	when, key, ok := strings.Cut(s, " ")
	sec, nsec, _ := strings.Cut(when, ".")
	n, err := strconv.ParseInt(sec, 10, 64)
	m, odd := strconv.ParseInt(nsec, 10, 32)
	if !ok || err != nil || odd != nil {
		return at, "", said.Errorf("list.no-mark-of-a-page", "%w: after: %.40q is no mark of a page", "kind", ErrQuery, "s", s)
	}
	return time.Unix(n, m), key, nil
}
