// Package blocklist answers whether somebody is on a list: DNS lists run by others and the
// lists the operator writes.
package blocklist

import (
	"context"
	"time"

	"postern/internal/said"
)

// ErrNotFound is returned by Store.RemoveListEntry for a key that is not there.
var ErrNotFound = said.New("list.blocklist-no-such-entry", "blocklist: no such entry")

// Entry is one line of the operator's own lists. Two entries with the same Key are the same
// entry; writing the second replaces the first.
type Entry struct {
	Allow   bool      `json:"allow"`            // false blocks
	Value   string    `json:"value"`            // normalised: "192.0.2.1", "192.0.2.0/24", "example.com", "a@example.com"
	Scope   string    `json:"scope"`            // "all", "domain:example.com" or "recipient:a@example.com"
	Reason  string    `json:"reason"`           // plain words, shown
	Author  string    `json:"author"`           // who wrote it
	Created time.Time `json:"created"`          // when
	Expires time.Time `json:"expires,omitzero"` // zero = never
}

// Key names the entry: what it does, to whom, for whom. It holds no spaces inside its three
// fields and is fit for a primary key.
func (e Entry) Key() string {
	verb := "block"
	if e.Allow {
		verb = "allow"
	}
	return verb + " " + e.Value + " " + e.Scope
}

// Store keeps own-list entries durably. Expired entries may be kept; the matcher ignores
// them. Every change must raise the revision before the call returns.
type Store interface {
	// ListRevision is cheap: it is asked several times a second.
	ListRevision(ctx context.Context) (uint64, error)
	// ListEntries returns all entries and the revision they belong to.
	ListEntries(ctx context.Context) ([]Entry, uint64, error)
	// PutListEntry writes e under e.Key(), replacing what was there.
	PutListEntry(ctx context.Context, e Entry) error
	// RemoveListEntry removes the entry with this key; ErrNotFound if there is none.
	RemoveListEntry(ctx context.Context, key string) error
}
