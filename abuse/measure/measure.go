// Package measure takes measures against local accounts and domains, reversibly: the ladder M0
// to M7, the connectors that carry it to other systems, and the rules that keep forged
// complaints and faults of our own from stopping people.
package measure

import (
	"context"
	"time"

	"postern/abuse"
	"postern/abuse/signal"
	"postern/internal/entity"
	"postern/internal/said"
)

// State is how far a measure has come.
type State string

// The states. Our own listeners enforce a measure in the first two.
const (
	PendingActivation State = "pending-activation" // not every required connector has proved it
	Active            State = "active"
	PendingRemoval    State = "pending-removal" // not every connector has let go
	Removed           State = "removed"
)

// InForce reports whether our own listeners enforce it.
func (s State) InForce() bool { return s == PendingActivation || s == Active }

// Measure is one measure.
type Measure struct {
	ID     string      `json:"id"`
	Target string      `json:"target"` // account, or "@domain"
	Level  abuse.Level `json:"level"`
	State  State       `json:"state"`
	Reason string      `json:"reason"`
	Said   said.Words  `json:"said,omitzero"` // Reason by its code, where no person gave it
	Actor  string      `json:"actor"`
	Auto   bool        `json:"auto,omitempty"` // nobody asked for it
	Case   string      `json:"case,omitempty"`
	Rules  []string    `json:"rules,omitempty"` // what fired

	Families []signal.Family `json:"families,omitempty"`
	Score    int             `json:"score,omitempty"`

	Messages   int `json:"messages,omitempty"` // M1: its own rates an hour; 0 = what is configured
	Recipients int `json:"recipients,omitempty"`

	At       time.Time `json:"at"`
	Until    time.Time `json:"until,omitzero"`     // ends by itself
	Review   time.Time `json:"review,omitzero"`    // stands until reviewed, due then
	Approver string    `json:"approver,omitempty"` // M7: the second person
	Ended    *Ended    `json:"ended,omitempty"`

	Base       *abuse.Account `json:"base,omitempty"` // the record as it was before the first measure in force
	Connectors []Carried      `json:"connectors,omitempty"`
	Retry      time.Time      `json:"retry,omitzero"` // when the connectors are tried again
	Tries      int            `json:"tries,omitempty"`
	Released   int            `json:"released,omitempty"` // M2: held mail that went out after its end
}

// Ended is how a measure ended.
type Ended struct {
	At      time.Time  `json:"at"`
	Actor   string     `json:"actor"`
	Reason  string     `json:"reason"`
	Said    said.Words `json:"said,omitzero"`     // Reason by its code, where no person gave it
	Cleared bool       `json:"cleared,omitempty"` // there was no abuse
}

// Carried is a measure at one connector.
type Carried struct {
	Name     string `json:"name"`
	Required bool   `json:"required,omitempty"`
	Handle   string `json:"handle,omitempty"` // what the connector needs to undo it: the state before
	Verified bool   `json:"verified,omitempty"`
	Failure  string `json:"failure,omitempty"`
}

// Request asks for a measure.
type Request struct {
	ID       string // "" = one is derived
	Account  string
	Domain   string // instead of Account
	Level    abuse.Level
	TTL      time.Duration // 0 = of the level; < 0 = until somebody ends it
	Reason   string
	Said     said.Words // the reason, where no person gives it
	Actor    string
	Approver string // M7 needs one who is not the Actor
	Case     string
	Families []signal.Family
	Rules    []string
	Score    int
	Login    bool // an anomaly of logins is among the signals

	Messages, Recipients int
}

// Connector carries measures to another system. All methods are idempotent by the measure's ID.
type Connector interface {
	Name() string
	Capabilities() Capabilities
	// Apply puts the measure into force there. handle is kept and given to Verify and Undo; it
	// holds what Undo needs to restore the state before.
	Apply(ctx context.Context, m Measure) (handle string, err error)
	// Verify reads back whether the measure is in force.
	Verify(ctx context.Context, m Measure, handle string) (inForce bool, err error)
	// Undo restores the state before.
	Undo(ctx context.Context, m Measure, handle string) error
	// KillSessions ends what the account has open.
	KillSessions(ctx context.Context, account string) error
}

// Capabilities say what a connector can do.
type Capabilities struct {
	Levels   []abuse.Level // those it can carry
	Domains  bool          // measures of whole domains
	Sessions bool          // KillSessions does something
	Required bool          // a measure is not active before this connector proved it
}

// Errors of a Desk.
var (
	ErrNotFound = entity.ErrNotFound
	ErrInvalid  = said.New("measure.the-request-is-wrong", "the request is wrong")
	ErrSecond   = said.New("measure.this-needs-a-second-person", "this needs a second person")
	ErrEnded    = said.New("measure.the-measure-has-ended", "the measure has ended")
)

// Why is the reason: a person's, or the program's own.
func (r Request) Why() said.Words {
	if r.Said.English != "" {
		return r.Said
	}
	return said.Typed(r.Reason)
}

// Why is its reason.
func (m Measure) Why() said.Words { return said.Kept(m.Reason, m.Said) }

// Target is the record that a request is about.
func (r Request) Target() string {
	if r.Domain != "" {
		return abuse.DomainName(r.Domain)
	}
	return abuse.Name(r.Account)
}

// Two reports whether one person alone may not take this measure: a login is taken away, or a
// whole domain is stopped.
func (r Request) Two() bool {
	return r.Level >= abuse.M5 || r.Domain != "" && r.Level >= abuse.M2
}
