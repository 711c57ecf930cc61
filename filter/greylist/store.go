package greylist

import (
	"context"
	"time"

	"postern/internal/said"
)

// ErrNotFound says that no waiting message has this ID.
var ErrNotFound = said.New("greylist.no-waiting-message-has-this-id", "no waiting message has this ID")

// Skew is how far ahead of the clock a record may be and still count as written now: clocks
// of nodes differ.
const Skew = 10 * time.Minute

// Waiting is a message that was asked to come again.
type Waiting struct {
	ID         string    `json:"id"`         // of the first try
	From       string    `json:"from"`       // MAIL FROM of the first try, "" for the null sender
	To         []string  `json:"to"`         // the first few recipients
	Recipients int       `json:"recipients"` // all of them
	Client     string    `json:"client"`     // address of the first try
	Name       string    `json:"name,omitempty"`
	Source     string    `json:"source"` // what is remembered when it comes again, in words
	First      time.Time `json:"first"`
	Last       time.Time `json:"last"`
	NotBefore  time.Time `json:"not_before"` // a try from then on is taken
	Expires    time.Time `json:"expires"`    // a try from then on is a new message
	Tries      int       `json:"tries"`

	Keys    []string `json:"keys,omitempty"`    // what another try is recognised by
	Sources []string `json:"sources,omitempty"` // keys of the source
}

// Live reports whether w still waits. A record from the future was written before the clock
// was set back: it would keep its sender out for as long as that was.
func (w *Waiting) Live(now time.Time) bool {
	return now.Before(w.Expires) && !w.First.After(now.Add(Skew))
}

// Known is a source that came again, or that a person let in.
type Known struct {
	Source string    `json:"source"` // in words
	By     string    `json:"by,omitempty"`
	Last   time.Time `json:"last"`  // when it was last seen
	Until  time.Time `json:"until"` // it is remembered until then
}

// Found is what a store has for a message; nil for what it has not.
type Found struct {
	Waiting *Waiting // the oldest live entry that one of the tries leads to
	Known   *Known   // what is remembered longest under one of the sources, also when it is over
}

// Store keeps who waits and who is known. Keys are 32 hex digits. A store may forget what
// has expired and, when it is full, the oldest; it need not. What one call wrote the next
// one reads. It is safe for concurrent use.
type Store interface {
	// Find looks for the entry of a message by the keys of its tries, and for its source: one
	// question, since it stands in the way of mail.
	Find(ctx context.Context, tries, sources []string, now time.Time) (Found, error)
	// PutOff counts a try: of the live entry that one of w.Keys leads to, which keeps its
	// times and takes w.Last, or else of w, which is stored. It returns the entry.
	PutOff(ctx context.Context, w Waiting, now time.Time) (Waiting, error)
	// GetWaiting returns the entry with this ID, or ErrNotFound.
	GetWaiting(ctx context.Context, id string) (Waiting, error)
	// ListWaiting returns live entries, the oldest first, after the one with ID after.
	ListWaiting(ctx context.Context, after string, limit int, now time.Time) ([]Waiting, error)
	// Settle ends the entry with this ID ("" or one that is gone: nothing to end) and
	// remembers k under every key, in one change or that first.
	Settle(ctx context.Context, id string, keys []string, k Known) error
	// Prune removes at most limit entries of each kind that expired before then.
	Prune(ctx context.Context, before time.Time, limit int) error
}
