// Package outbox keeps trying what the gateway owes: copies left over after a server behind
// took the message for others, and what the gateway itself writes. An entry ends delivered
// or as a hold, never otherwise.
package outbox

import (
	"context"
	"io"
	"time"

	"postern/filter"
	"postern/internal/said"
)

// Entry is one message still owed to some recipients of one backend.
type Entry struct {
	ID        string             `json:"id"`
	MessageID string             `json:"message_id"` // the gateway's ID of the message
	Direction filter.Direction   `json:"direction"`
	Listener  string             `json:"listener"`
	Backend   string             `json:"backend"` // pool
	From      string             `json:"from"`    // "" is the null sender
	To        []filter.Recipient `json:"to"`      // those still owed; the pool is Backend
	SMTPUTF8  bool               `json:"smtputf8,omitempty"`
	Client    filter.Client      `json:"client"`
	Account   string             `json:"account,omitempty"`
	Verdict   filter.Verdict     `json:"verdict"`
	Block     []byte             `json:"block"`  // our header block, sent before the body
	Size      int64              `json:"size"`   // of the body
	SHA256    string             `json:"sha256"` // of the body, hex
	Received  time.Time          `json:"received"`
	Added     time.Time          `json:"added"`
	Next      time.Time          `json:"next"`    // not tried before
	Expires   time.Time          `json:"expires"` // then it becomes a hold
	Attempts  int                `json:"attempts"`
	Ambiguous bool               `json:"ambiguous"` // the server may have it already
	LastReply string             `json:"last_reply"`
	Origin    string             `json:"origin"`  // "relay" for leftovers, else what wrote it
	Version   int64              `json:"version"` // counts changes; the fencing token of a claim
}

// OriginRelay is the Origin of what step 10 left over.
const OriginRelay = "relay"

// Errors of a Store. They are wrapped: use errors.Is.
var (
	ErrNotFound = said.New("outbox.no-such-outbox-entry", "no such outbox entry")
	ErrLost     = said.New("outbox.the-claim-was-lost-to-somebody-else", "the claim was lost to somebody else")
)

// Store is a home for entries. Every method is safe for concurrent use; a write that returned
// nil survives a crash of the machine.
type Store interface {
	// Add writes e and its body, read once, under the ID e.ID or a new one when that is "".
	// A body that does not hash to e.SHA256 is refused.
	Add(ctx context.Context, e Entry, body io.Reader) (id string, err error)
	// Claim takes the entry with the oldest Next at or before now that nobody else has
	// claimed, for the length of the lease, and writes the claim down before it returns.
	// crashed says that an earlier claim ended neither in Retry nor in End: the entry may
	// have been sent. A home that one process alone can open voids all leases at its opening.
	Claim(ctx context.Context, now time.Time, lease time.Duration) (e Entry, crashed, ok bool, err error)
	// ClaimID is Claim for one entry, due or not: ErrNotFound, or ErrLost while somebody else
	// has it.
	ClaimID(ctx context.Context, id string, now time.Time, lease time.Duration) (e Entry, crashed bool, err error)
	// Retry gives a claimed entry back with its new To, Next, Attempts, Ambiguous and
	// LastReply. ErrLost when e.Version is not that of the claim.
	Retry(ctx context.Context, e Entry) error
	// End removes a claimed entry and its body. ErrLost as for Retry.
	End(ctx context.Context, e Entry) error
	// Body opens the bytes of an entry.
	Body(ctx context.Context, id string) (Body, error)
	// Get returns an entry or ErrNotFound.
	Get(ctx context.Context, id string) (Entry, error)
	// List returns up to limit entries after the given ID, oldest first.
	List(ctx context.Context, after string, limit int) ([]Entry, error)
	// Hurry moves Next of an entry to now; one that is claimed is being tried already and stays
	// as it is.
	Hurry(ctx context.Context, id string, now time.Time) error
	// Due is when Claim finds the next entry: the earliest Next, for a claimed one not before the
	// end of its lease. ok is false when there is none.
	Due(ctx context.Context) (next time.Time, ok bool, err error)
}

// Body is the stored bytes of a message.
type Body interface {
	io.ReaderAt
	io.Closer
	Size() int64
}
