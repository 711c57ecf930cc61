package quarantine

import (
	"context"
	"io"
	"log/slog"
	"time"

	"postern/filter"
)

// Request asks for one recipient's copy of a message to be kept.
type Request struct {
	Message   *filter.Message
	Recipient filter.Recipient
	Verdict   filter.Verdict
	Class     string // a Class
	Key       string
	Reply     string // what the server behind said, class backend-refused
}

// Event is something a person or the clock did to a hold, for the audit.
type Event struct {
	Actor, Action, Object string
	Before, After         any // marshalled to JSON
	Note                  string
}

// ScanResult is what a second look for viruses found.
type ScanResult struct {
	Infected bool
	Name     string // signature, or why it must not go out
}

// Config is what a Quarantine is made of. Store and Now are needed; a nil func is left out,
// except that without Send nothing is released and without Rescan nothing either.
type Config struct {
	Store   Store
	Node    string
	Cap     int64                             // bytes on disk; 0 = no cap
	Keep    func(policy string) time.Duration // how long a policy keeps holds; 0 = 30 days
	Beside  time.Duration                     // class rejected-beside; 0 = 3 days
	Keeping time.Duration                     // class evidence; 0 = 90 days
	Now     func() time.Time
	// Elapsed is a clock that only runs forward, to tell a clock that was set from time
	// that passed; nil = since New.
	Elapsed func() time.Duration
	Subject func(m *filter.Message) string // decoded subject of a message
	AV      func() string                  // version and signatures of the virus scanner
	Rescan  func(ctx context.Context, h Hold, body io.ReaderAt) (ScanResult, error)
	Send    func(ctx context.Context, h Hold, body io.ReaderAt) (reply string, err error)
	Audit   func(ctx context.Context, e Event) error
	Jumped  func(expected, now time.Time) // the clock jumped and expiry stands still
	Log     *slog.Logger
}
