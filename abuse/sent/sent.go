// Package sent is the log of what local accounts send: who, from where, what, to whom, and how
// each copy ended. A row is durable before the message is handed over, so that no complaint
// about mail that left here finds nothing.
package sent

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"postern/filter"
	"postern/internal/said"
)

// DefaultKeep is how long rows are kept: as long as keys that retired.
const DefaultKeep = 180 * 24 * time.Hour

// Bounds of a row and of a page.
const (
	MaxCopies  = 2000 // recipients of a row
	MaxSymbols = 64
	MaxPage    = 1000
	DefaultPer = 100
)

// Errors of a Store. They are wrapped: use errors.Is.
var (
	ErrNotFound = said.New("trace.no-such-message-in-the-send-log", "no such message in the send log")
	ErrExists   = errors.New("the send log has another row of this serial")
	ErrCursor   = errors.New("no cursor of this send log")
)

// The states of a copy.
const (
	Held      = "held"      // kept back here; not handed over so far
	Handing   = "handing"   // about to be handed over; how it ended is not known
	Delivered = "delivered" // the next server took it
	Waiting   = "waiting"   // in the outbox, tried again
	Refused   = "refused"   // the next server, or the rules, refused it
	Failed    = "failed"    // not handed over: the sender was told to come again
	Unsure    = "unsure"    // the connection was lost after the final dot
)

// Row is one message of a local account.
type Row struct {
	Serial    string         `json:"serial"` // the gateway's ID of the message
	Node      string         `json:"node,omitempty"`
	Listener  string         `json:"listener,omitempty"`
	At        time.Time      `json:"at"`
	Account   string         `json:"account"` // as abuse.Name forms it
	Login     string         `json:"login,omitempty"`
	Client    netip.AddrPort `json:"client"`
	From      string         `json:"from"`                 // MAIL FROM; "" is the null sender
	MessageID string         `json:"message_id,omitempty"` // without angle brackets
	QueueID   string         `json:"queue_id,omitempty"`   // that the next server gave the first copy
	BodyHash  string         `json:"body_hash,omitempty"`  // bh= of the DKIM signatures: base64 of SHA-256, relaxed
	Fuzzy     string         `json:"fuzzy,omitempty"`      // of its text, see Likeness
	Size      int64          `json:"size"`
	Score     filter.Score   `json:"score"` // hundredths
	Action    string         `json:"action,omitempty"`
	Symbols   []string       `json:"symbols,omitempty"`
	Copies    []Copy         `json:"copies"`
}

// Copy is what became of one recipient's copy.
type Copy struct {
	Recipient string    `json:"recipient"`
	State     string    `json:"state,omitempty"`
	Reply     string    `json:"reply,omitempty"`
	QueueID   string    `json:"queue_id,omitempty"`
	At        time.Time `json:"at,omitzero"`         // of the last change
	Bounced   string    `json:"bounced,omitempty"`   // enhanced code of a later delivery report: "5.1.1"
	BodyHash  string    `json:"body_hash,omitempty"` // where it was sent another body than the row says
	Fuzzy     string    `json:"fuzzy,omitempty"`     // the same
}

// Accepted reports whether the next server took this copy, or may have: after a crash between
// hand-over and answer nobody knows.
func (c Copy) Accepted() bool {
	return c.State == Delivered || c.State == Unsure || c.State == Handing
}

// Accepted counts the copies that were taken: the most votes a message can give.
func (r Row) Accepted() int {
	n := 0
	for _, c := range r.Copies {
		if c.Accepted() {
			n++
		}
	}
	return n
}

// Store is a home for the log. All methods are safe for concurrent use.
type Store interface {
	// Begin writes a row. It is durable when the method returns. Where there is one of this
	// serial its copies are merged, new ones added: a held copy that is released later is of
	// the same message. ErrExists where that row is of another account.
	Begin(ctx context.Context, r Row) error
	// Settle merges what became of copies into the row: what a given copy leaves empty stays
	// as it was, and recipients that the row does not have are left out. ErrNotFound where
	// there is no such row.
	Settle(ctx context.Context, serial string, copies []Copy) error

	// BySerial returns one row, or ErrNotFound.
	BySerial(ctx context.Context, serial string) (Row, error)
	// ByMessageID returns up to MaxPage rows with this Message-ID (without angle brackets),
	// newest first. Senders choose Message-IDs: they prove nothing.
	ByMessageID(ctx context.Context, id string) ([]Row, error)
	// ByQueueID returns up to MaxPage rows with a copy that the next server gave this ID,
	// newest first.
	ByQueueID(ctx context.Context, id string) ([]Row, error)
	// ByClient returns up to MaxPage rows that came from an address, and from this port of it
	// unless port is 0, between two times (inclusive), newest first.
	ByClient(ctx context.Context, ip netip.Addr, port uint16, from, to time.Time) ([]Row, error)
	// ByAccount returns a page of an account's rows between two times (inclusive), newest
	// first. cursor is the next of the page before, "" at the start; next is "" at the end.
	ByAccount(ctx context.Context, account string, from, to time.Time, cursor string, limit int) (rows []Row, next string, err error)

	// Since is the tail: rows begun or settled after the cursor, in the order in which that
	// was committed, each once and as it is now. "" starts at the oldest row. next is where to
	// go on, also when there are no rows; ErrCursor says that it is not of this log.
	Since(ctx context.Context, cursor string, limit int) (rows []Row, next string, err error)
	// Purge forgets rows older than a time and says how many.
	Purge(ctx context.Context, before time.Time) (n int, err error)
	// Forget forgets the rows of these serials, MaxPage at most. What is not there is no error.
	Forget(ctx context.Context, serials []string) error
	// Size is how many rows there are and about how many bytes they take.
	Size(ctx context.Context) (rows, bytes int64, err error)
}
