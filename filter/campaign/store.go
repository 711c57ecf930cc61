package campaign

import (
	"context"
	"time"

	"postern/filter/campaign/simhash"
)

// Bounds of what is kept and of what is asked.
const (
	MaxCopies  = 200 // copies of one print that are remembered one by one; the oldest are counted alone
	MaxSources = 64  // sources of one print; what comes from more is counted as from so many
	MaxNear    = 64  // prints near one that an answer has
	MaxTo      = 50  // recipients of a copy
	maxSubject = 120 // runes
)

// Copy is one message of a campaign, as it was judged.
type Copy struct {
	Print   simhash.Print `json:"print"`
	ID      string        `json:"id"` // the gateway's ID of the message, by which it is traced
	At      time.Time     `json:"at"`
	From    string        `json:"from"`             // the envelope's sender; "" = the null sender
	IP      string        `json:"ip"`               // of the client
	Author  string        `json:"author,omitempty"` // domain of the author, where it is proved
	Source  string        `json:"source"`           // that domain, else the network of the client
	Subject string        `json:"subject,omitempty"`
	To      []string      `json:"to"`             // who got it, or would have
	More    int           `json:"more,omitempty"` // recipients beyond those
	State   string        `json:"state"`          // delivered, held or rejected
}

// Delivered is the State of a copy that somebody got.
const Delivered = "delivered"

// Group is all that came with one print.
type Group struct {
	Print     simhash.Print
	First     time.Time
	Last      time.Time
	Messages  int
	Delivered int
	Sources   []Source // at most MaxSources
}

// Source is where copies came from, hashed, and when the last one did.
type Source struct {
	Hash uint64
	Last time.Time
}

// Store remembers copies by their print. What it keeps is derived from mail that was
// answered for: it may lose the latest of it, and forgets what is old or too much.
type Store interface {
	// Near returns the groups filed under one of the bands whose print is near p, the nearest
	// first, at most MaxNear of them. It may leave out some where very many share a band.
	Near(ctx context.Context, p simhash.Print, bands []simhash.Band) ([]Group, error)

	// Add takes a copy to be written soon, without waiting for that. The error says that it
	// is lost.
	Add(ctx context.Context, c Copy) error

	// Copies returns the latest copies of each of the prints, the latest first, at most limit.
	Copies(ctx context.Context, prints []simhash.Print, limit int) ([]Copy, error)

	// Recent returns the groups of which a copy came since then, the latest first, at most
	// limit.
	Recent(ctx context.Context, since time.Time, limit int) ([]Group, error)

	// Prune forgets groups of which no copy came since then and says how many. A store whose
	// server forgets by itself returns 0.
	Prune(ctx context.Context, before time.Time) (int, error)

	// Size is how many prints are kept, and what they take.
	Size(ctx context.Context) (prints, bytes int64, err error)
}
