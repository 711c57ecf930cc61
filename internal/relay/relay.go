// Package relay acts on a judged message: it hands it to the servers behind, holds it or
// refuses it, so that one answer to the sender is true for every recipient.
package relay

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"postern/filter"
	"postern/internal/relay/answered"
	"postern/internal/relay/handing"
	"postern/internal/relay/outbox"
	"postern/internal/relay/transaction"
)

// What a transaction works with.
type (
	Conn     = transaction.Conn
	Backends = transaction.Backends
	Login    = transaction.Login
)

// The classes of holds, as the quarantine names them.
const (
	ClassQuarantine     = "quarantine"
	ClassRejectedBeside = "rejected-beside"
	ClassBackendRefused = "backend-refused"
	ClassEvidence       = "evidence"
)

// HoldRequest asks for one recipient's copy of a message to be kept.
type HoldRequest struct {
	Message   *filter.Message // as it came; class backend-refused: what that server was sent
	Recipient filter.Recipient
	Verdict   filter.Verdict
	Class     string
	Key       string // the same for a retry of the same mail
	Reply     string // what the server behind said, class backend-refused
}

// Holds keeps mail back, durably.
type Holds interface {
	// Provisional writes and syncs a hold that nobody sees yet. The same key gives the same
	// hold.
	Provisional(ctx context.Context, h HoldRequest) (id string, err error)
	// Confirm makes provisional holds real, all or none, synced.
	Confirm(ctx context.Context, ids []string) error
	// Drop gives provisional holds up; confirmed ones stay as they are.
	Drop(ctx context.Context, ids []string) error
	// Ended finds a confirmed hold with this key, open or ended within 7 days.
	Ended(ctx context.Context, key string) (id string, ok bool, err error)
}

// Promiser is a Holds that can stand for provisional holds when they cannot be confirmed now.
type Promiser interface {
	Promise(ctx context.Context, ids []string) error
}

// DeskBackend is the backend of recipients whose mail the abuse desk takes. Nothing that is
// configured can have this name.
const DeskBackend = ":abuse-desk"

// InboxBackend is the backend of recipients whose mail is kept for tests. Nothing that is
// configured can have this name.
const InboxBackend = ":test-inbox"

// ErrDeskFull says that the desk has no room left for reports.
var ErrDeskFull = errors.New("the abuse desk has no room for another report")

// DeskRequest hands a message over to the abuse desk.
type DeskRequest struct {
	Message *filter.Message // as it came
	Report  filter.Report   // what the checks saw of it
	To      []string        // those of its recipients that are the desk's
	Key     string          // the same for a retry of the same mail
	Alone   bool            // nobody else gets the message
}

// Desk keeps what comes to the addresses of the abuse desk, whatever it holds.
type Desk interface {
	// Provisional writes and syncs a report that nobody works on yet. The same key gives the
	// same report. ErrDeskFull: there is no room.
	Provisional(ctx context.Context, r DeskRequest) (id string, err error)
	// Confirm makes a provisional report real, synced.
	Confirm(ctx context.Context, id string) error
	// Drop gives a provisional report up; a confirmed one stays as it is.
	Drop(ctx context.Context, id string) error
}

// Outbox takes what is left over when one server took a message and another could not.
type Outbox interface {
	// Add writes and syncs an entry and the bytes of its message, and returns its ID.
	Add(ctx context.Context, e outbox.Entry, body io.Reader) (id string, err error)
}

// Stamper writes our header block; *stamp.Stamper is one.
type Stamper interface {
	// Block is the block for recipients that share a verdict.
	Block(m *filter.Message, v filter.Verdict, r filter.Report, to []string) []byte
	// Open is what goes out: the block and the body without forged copies of our fields.
	Open(block []byte, m *filter.Message) (r io.Reader, size int64, err error)
	// Passes counts for each recipient how often the message went through this listener for
	// it before.
	Passes(m *filter.Message) []int
}

// Answer is what a client was told, and what had become of each recipient.
type Answer = answered.Answer

// Answers remembers what was answered 250, for the retry of a client that never read it;
// *answered.Journal is one.
type Answers interface {
	// Find returns the answer whose client is known not to have read it.
	Find(key string) (Answer, bool)
	// Add writes and syncs that key is about to be answered.
	Add(ctx context.Context, key string, a Answer) error
	// Note writes the same unsynced, for mail of which a second copy does no harm.
	Note(key string, a Answer) error
	// Settle says whether the client is known to have read the answer.
	Settle(key string, read bool)
}

// Limits bound the waiting. Zero fields take the default.
type Limits struct {
	Before time.Duration // from the client's final dot to ours: 60 s
	After  time.Duration // from our final dot to the backend's answer: 300 s
	Keep   time.Duration // how long the outbox tries: 5 days
}

// Relay holds the parts step 10 works with. Backends, Holds, Outbox and Stamper are needed.
type Relay struct {
	Backends Backends
	Holds    Holds
	Outbox   Outbox
	Stamper  Stamper
	Desk     Desk                                        // nil: no recipient has DeskBackend
	Sent     handing.Log                                 // of outbound mail; nil: nothing is written down
	Answers  Answers                                     // nil: every retry is delivered again
	Wake     func()                                      // nil: the outbox worker finds new entries by itself
	Alert    func(ctx context.Context, key, text string) // nil: nobody is told
	Now      func() time.Time                            // nil: time.Now
	Log      *slog.Logger                                // nil: nowhere
	Limits   Limits
}

// Job is one judged message.
type Job struct {
	Message  *filter.Message
	Report   filter.Report
	Verdicts []filter.Verdict  // one per recipient, in the order of Message.To
	Bodies   []*filter.Message // one per recipient: what it is sent; a nil entry, or none at all = Message
	Login    Login             // nil: the pools named by the recipients
	Received time.Time         // when the client's final dot was read; zero = now
	Abort    <-chan struct{}   // closes when the client has gone
}
