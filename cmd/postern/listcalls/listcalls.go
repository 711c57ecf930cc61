// Package listcalls are the calls that show the own lists.
package listcalls

import (
	"context"
	"errors"

	"postern/blocklist"
	"postern/blocklist/paging"
	"postern/internal/control"
)

// Search asks for a page of the own lists, the youngest entry first.
type Search struct {
	Text   string   `json:"text,omitempty"`   // in the value, scope, reason or author
	Kind   string   `json:"kind,omitempty"`   // block | allow
	Origin string   `json:"origin,omitempty"` // case | list | hand: who wrote it
	About  []string `json:"about,omitempty"`  // IPs, networks, domains, addresses that entries hold for
	Within []string `json:"within,omitempty"` // domains and addresses whose mail alone entries hold for
	Live   bool     `json:"live,omitempty"`   // not what has expired
	After  string   `json:"after,omitempty"`
	Limit  int      `json:"limit,omitempty"` // 0 = 100, at most 1000
}

// Entry is a line of the own lists with what it is called.
type Entry struct {
	Key    string `json:"key"`          // what blocklist.remove takes
	Origin string `json:"origin"`       // case | list | hand
	Of     string `json:"of,omitempty"` // which case or list, or who
	blocklist.Entry
}

// Entries are a page of them.
type Entries struct {
	Entries []Entry `json:"entries"`
	Total   int     `json:"total"` // on all pages
	Next    string  `json:"next,omitempty"`
}

// Of is an entry with what it is called.
func Of(e blocklist.Entry) Entry {
	origin, of := paging.Origin(&e)
	return Entry{Key: e.Key(), Origin: origin, Of: of, Entry: e}
}

// List answers with a page of the own lists.
func List(ctx context.Context, own *blocklist.Own, p Search) (Entries, error) {
	found, err := paging.List(ctx, own, paging.Query(p))
	if errors.Is(err, paging.ErrQuery) {
		return Entries{}, control.Because(control.Invalid, err)
	}
	out := Entries{Entries: make([]Entry, len(found.Entries)), Total: found.Total, Next: found.Next}
	for i, e := range found.Entries {
		out.Entries[i] = Of(e)
	}
	return out, err
}
