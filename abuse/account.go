// Package abuse keeps the state of local accounts: who may send and who was stopped, by
// whom and why.
package abuse

import (
	"context"
	"time"

	"postern/internal/said"
)

// State says whether an account may send.
type State string

// The states. An account no record names is Active.
const (
	Active    State = "active"
	Suspended State = "suspended"
)

// Account is the record of one local account, or with a Name of "@example.com" of a domain.
type Account struct {
	Name    string     `json:"name"` // lower case, as the session gives it
	State   State      `json:"state"`
	Reason  string     `json:"reason"`        // plain words
	Said    said.Words `json:"said,omitzero"` // Reason by its code, where no person gave it
	By      string     `json:"by"`            // who set the state
	At      time.Time  `json:"at"`
	Version uint64     `json:"version"` // 1 for the first record of this account, then one more at each change

	// Level says how far it is restricted; read it through Effective. From M3 on State is
	// Suspended as well, so that a program that knows only the two states enforces that.
	Level      Level     `json:"level,omitempty"`
	Until      time.Time `json:"until,omitzero"`       // when it ends or is due for review; it holds until somebody ends it
	Case       string    `json:"case,omitempty"`       // the case it belongs to
	Measure    string    `json:"measure,omitempty"`    // ID of the measure in force; "" = set without one
	Auto       bool      `json:"auto,omitempty"`       // no person asked for this level
	Human      Level     `json:"human,omitempty"`      // Auto: what people ask for
	Messages   int       `json:"messages,omitempty"`   // M1: messages an hour; 0 = what is configured
	Recipients int       `json:"recipients,omitempty"` // M1: recipients an hour; 0 = what is configured
}

// Effective is the level in force. A record may have been changed by a program that knows the
// state alone: then the state is right.
func (a Account) Effective() Level {
	switch {
	case a.State == Suspended:
		return max(a.Level, M3)
	case a.Level >= M3:
		return M0
	}
	return a.Level
}

// Watched reports that a measure is in force which restricts nothing.
func (a Account) Watched() bool { return a.Effective() == M0 && a.Measure != "" }

// Errors of a Store.
var (
	ErrConflict = said.New("account.abuse-the-account-was-changed-in-the", "abuse: the account was changed in the meantime")
	ErrNotFound = said.New("account.abuse-no-record-of-this-account", "abuse: no record of this account")
)

// Store keeps account records durably.
type Store interface {
	// AccountRevision grows at each change of any account; it is cheap, asked several times
	// a second.
	AccountRevision(ctx context.Context) (uint64, error)
	// Accounts returns all records and the revision they belong to.
	Accounts(ctx context.Context) ([]Account, uint64, error)
	// Account returns one record; ErrNotFound if there is none.
	Account(ctx context.Context, name string) (Account, error)
	// PutAccount writes a if the stored version is a.Version-1 (0 = no record), else
	// ErrConflict. The record is durable when it returns.
	PutAccount(ctx context.Context, a Account) error
}
