package quarantine

import (
	"context"
	"io"
	"time"

	"postern/filter"
	"postern/internal/said"
)

// Errors of a Store and of Quarantine. They are wrapped: use errors.Is.
var (
	ErrTaken         = said.New("hold.the-id-of-the-hold-is-taken", "the ID of the hold is taken")
	ErrNotFound      = said.New("hold.no-such-hold", "no such hold")
	ErrConflict      = said.New("hold.the-hold-was-changed-by-somebody-else", "the hold was changed by somebody else")
	ErrFull          = said.New("hold.the-quarantine-is-full", "the quarantine is full")
	ErrReadOnly      = said.New("hold.the-store-is-read-only-after-a", "the store is read-only after a failed write")
	ErrCorrupt       = said.New("hold.the-stored-body-is-damaged", "the stored body is damaged")
	ErrEnded         = said.New("hold.the-hold-has-ended", "the hold has ended")
	ErrNotReleasable = said.New("hold.evidence-copies-are-not-released", "evidence copies are not released")
	ErrBusy          = said.New("hold.a-release-is-under-way", "a release is under way")
	ErrNotSent       = said.New("hold.the-copy-was-not-sent", "the copy was not sent")
	ErrCursor        = said.New("hold.the-mark-of-the-next-page-is", "the mark of the next page is none of a list in this order")
)

// Store is a home for holds. Every method is safe for concurrent use. A write that returned
// nil survives a crash of the process and of the machine.
type Store interface {
	// Put writes a provisional hold and its body, read once from body: file, directory and
	// row are synced on return. When a hold with the same Key is provisional, open, or ended
	// after h.At less KeyKept, that one is returned and nothing is written; a provisional one
	// is then owned by both callers. ErrTaken when another key has the ID. A body that does
	// not hash to h.SHA256 is refused: ErrCorrupt.
	Put(ctx context.Context, h Hold, body io.Reader) (Hold, error)
	// Confirm makes provisional holds held, all or none. Confirming again is no error;
	// ErrNotFound when one is missing.
	Confirm(ctx context.Context, ids []string) error
	// Drop gives up provisional holds. Each goes when its last owner dropped it. Holds that
	// are no longer provisional, or missing, are left as they are.
	Drop(ctx context.Context, ids []string) error
	// DropBefore ends the provisional holds written before t, whoever owns them.
	DropBefore(ctx context.Context, t time.Time) (n int, err error)
	// Get returns a hold in any state, or ErrNotFound.
	Get(ctx context.Context, id string) (Hold, error)
	// FindKey returns the confirmed hold with this key that is open or ended at or after since.
	FindKey(ctx context.Context, key string, since time.Time) (h Hold, ok bool, err error)
	// List returns holds that match, in the order of the query; never provisional ones. ErrCursor
	// when After is no place in that order.
	List(ctx context.Context, q Query) (Page, error)
	// Body opens the raw bytes. Reading to the end verifies the digest: ErrCorrupt.
	// ErrNotFound when the hold is missing or ended.
	Body(ctx context.Context, id string) (io.ReadCloser, error)
	// Change writes State, Release, Ended and Expires of h if h.Version is still the stored
	// one, else ErrConflict, and returns the hold with its new version. A hold that moves to
	// an end loses its body. An ended hold cannot be changed: ErrEnded.
	Change(ctx context.Context, h Hold) (Hold, error)
	// Due returns up to limit holds in Held or Refused that expire at or before t, oldest expiry first.
	Due(ctx context.Context, t time.Time, limit int) ([]Hold, error)
	// Retry returns up to limit holds in Releasing whose next attempt is at or before t.
	Retry(ctx context.Context, t time.Time, limit int) ([]Hold, error)
	// Future returns up to limit open holds written after t, newest first.
	Future(ctx context.Context, t time.Time, limit int) ([]Hold, error)
	// Forget removes the records of holds that ended before t.
	Forget(ctx context.Context, t time.Time) (n int, err error)
	// Stats counts what is stored.
	Stats(ctx context.Context) (Stats, error)
	// Clock returns the time last given to SetClock, zero if never.
	Clock(ctx context.Context) (time.Time, error)
	// SetClock remembers how far expiry has come.
	SetClock(ctx context.Context, t time.Time) error
}

// Promiser is a Store in two places, of which one alone can stand for a while.
type Promiser interface {
	// Promise makes provisional holds held, synced in the place that can be reached, all or
	// none. They may be seen later.
	Promise(ctx context.Context, ids []string) error
}

// KeyKept is how long an ended hold still answers for the retry of the same mail.
const KeyKept = 7 * 24 * time.Hour

// Stats counts what a store keeps.
type Stats struct {
	Bytes  int64         `json:"bytes"`  // stored, compressed
	Bodies int           `json:"bodies"` // stored: one that several messages share may count once for each
	States map[State]int `json:"states"`
}

// Query selects holds. Zero fields select all; fields are joined by AND.
type Query struct {
	Since, Until time.Time // At in [Since, Until)
	From         string    // address, or "@domain"; "<>" is the null sender
	To           string    // address, or "@domain"
	Words        []string  // words of the subject; a word that ends in "*" is a prefix
	Symbol       string
	States       []State // empty: the open ones
	Class        Class
	Policy       string
	Direction    string        // inbound | outbound
	AtLeast      *filter.Score // score, both ends inclusive; nil = no bound
	AtMost       *filter.Score
	Order        Order
	Limit        int    // 0 = 50, at most 1000
	After        string // the Next of the page before, of the same order; or the ID of a hold
}

// Order is how a list is sorted.
type Order string

// Orders of a list. Holds of one score stand in the order of their time: of the highest the newest
// is first, of the lowest the oldest.
const (
	Newest  Order = "newest" // "" is the same
	Oldest  Order = "oldest"
	Highest Order = "highest" // score first
	Lowest  Order = "lowest"
)

// Valid reports whether there is such an order.
func (o Order) Valid() bool {
	return o == "" || o == Newest || o == Oldest || o == Highest || o == Lowest
}

// Rising reports whether what is least comes first.
func (o Order) Rising() bool { return o == Oldest || o == Lowest }

// ByScore reports whether the score decides before the time.
func (o Order) ByScore() bool { return o == Highest || o == Lowest }

// Scored reports whether a score is one that the query asks for.
func (q Query) Scored(s filter.Score) bool {
	return (q.AtLeast == nil || s >= *q.AtLeast) && (q.AtMost == nil || s <= *q.AtMost)
}

// Counter is a Store that counts without reading what it counts.
type Counter interface {
	// Count counts up to limit holds that List would return over all pages.
	Count(ctx context.Context, q Query, limit int) (int, error)
}

// Page is one page of a list. Next is "" on the last one.
type Page struct {
	Holds []Hold `json:"holds"`
	Next  string `json:"next,omitempty"`
}

// DefaultPage and MaxPage bound the size of a page.
const (
	DefaultPage = 50
	MaxPage     = 1000
)

// PageSize is the number of holds a page of this query has at most.
func (q Query) PageSize() int {
	switch {
	case q.Limit <= 0:
		return DefaultPage
	case q.Limit > MaxPage:
		return MaxPage
	}
	return q.Limit
}
