package calls

import (
	"context"
	"errors"

	"postern/blocklist"
	"postern/internal/control"
)

// ListSearch asks for a page of the own lists, the youngest entry first.
type ListSearch struct {
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

func entry(e blocklist.Entry) Entry {
	origin, of := e.Origin()
	return Entry{Key: e.Key(), Origin: origin, Of: of, Entry: e}
}

// listed answers with a page of the own lists.
func (g Parts) listed(ctx context.Context, p ListSearch) (Entries, error) {
	found, err := g.Own.List(ctx, blocklist.Query(p))
	if errors.Is(err, blocklist.ErrQuery) {
		return Entries{}, control.Refuse(control.Invalid, "%v", err)
	}
	out := Entries{Entries: make([]Entry, len(found.Entries)), Total: found.Total, Next: found.Next}
	for i, e := range found.Entries {
		out.Entries[i] = entry(e)
	}
	return out, err
}
