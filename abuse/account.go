// Package abuse keeps the state of local accounts: who may send and who was stopped, by
// whom and why.
package abuse

import (
	"context"
	"errors"
	"time"
)

// State says whether an account may send.
type State string

// The states. An account no record names is Active.
const (
	Active    State = "active"
	Suspended State = "suspended"
)

// Account is the record of one local account.
type Account struct {
	Name    string    `json:"name"` // lower case, as the session gives it
	State   State     `json:"state"`
	Reason  string    `json:"reason"` // plain words
	By      string    `json:"by"`     // who set the state
	At      time.Time `json:"at"`
	Version uint64    `json:"version"` // 1 for the first record of this account, then one more at each change
}

// Errors of a Store.
var (
	ErrConflict = errors.New("abuse: the account was changed in the meantime")
	ErrNotFound = errors.New("abuse: no record of this account")
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
