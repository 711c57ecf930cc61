package abuse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync/atomic"
	"time"
)

// The symbols of what is in force against an account.
const (
	SymbolSuspended = "ACCOUNT_SUSPENDED" // it may not send
	SymbolHeld      = "ACCOUNT_HELD"      // what it sends is held
	SymbolWatched   = "ACCOUNT_WATCHED"   // somebody looks at what it sends
)

// Poll is how often a change made by another process is looked for.
const Poll = 500 * time.Millisecond

// Change is a state that was set, for the audit.
type Change struct {
	Actor, Action string // Action is suspend, restore or measure
	Before, After Account
}

// Accounts answers who may send from memory, and changes it in the store.
type Accounts struct {
	store Store
	now   func() time.Time
	log   *slog.Logger
	audit func(ctx context.Context, c Change) error // nil: nobody writes it down
	seen  atomic.Pointer[book]
	home  atomic.Pointer[string] // domain of accounts that name none
	off   func() bool            // nil: automation is never switched off
}

type book struct {
	revision uint64
	byName   map[string]Account
}

// NewAccounts reads all records; the error is the store's.
func NewAccounts(ctx context.Context, store Store, now func() time.Time, log *slog.Logger, audit func(context.Context, Change) error) (*Accounts, error) {
	a := &Accounts{store: store, now: now, log: log, audit: audit}
	return a, a.refresh(ctx)
}

// Name is the form under which an account is kept: lower case, no spaces around it.
func Name(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

func (a *Accounts) refresh(ctx context.Context) error {
	all, rev, err := a.store.Accounts(ctx)
	if err != nil {
		return err
	}
	b := &book{revision: rev, byName: make(map[string]Account, len(all))}
	for _, acc := range all {
		b.byName[acc.Name] = acc
	}
	a.seen.Store(b)
	return nil
}

// Run looks for changes made elsewhere until ctx ends. While the store does not answer, what
// was known last counts.
func (a *Accounts) Run(ctx context.Context) error {
	tick := time.NewTicker(Poll)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		rev, err := a.store.AccountRevision(ctx)
		if err == nil && rev != a.seen.Load().revision {
			err = a.refresh(ctx)
		}
		if err != nil && !failing && ctx.Err() == nil {
			a.log.Error("accounts cannot be read; what was known last counts", "err", err)
		}
		failing = err != nil
	}
}

// Suspend stops the account from sending, at once, also in sessions that are open. Suspending
// a suspended account changes reason and author. The error is ErrConflict after a change by
// somebody else, or the store's.
func (a *Accounts) Suspend(ctx context.Context, name, reason, actor string) (Account, error) {
	return a.change(ctx, name, reason, actor, Suspended, "suspend")
}

// Restore lets the account send again; an account that was never suspended is ErrNotFound.
func (a *Accounts) Restore(ctx context.Context, name, reason, actor string) (Account, error) {
	return a.change(ctx, name, reason, actor, Active, "restore")
}

func (a *Accounts) change(ctx context.Context, name, reason, actor string, to State, action string) (Account, error) {
	name = Name(name)
	if name == "" {
		return Account{}, errors.New("abuse: an account needs a name")
	}
	old, err := a.store.Account(ctx, name)
	if err != nil && (!errors.Is(err, ErrNotFound) || to == Active) {
		return Account{}, err
	}
	acc := Account{Name: name, State: to, Reason: reason, By: actor, At: a.now().UTC(), Version: old.Version + 1}
	return a.put(ctx, old, acc, actor, action)
}

func (a *Accounts) put(ctx context.Context, old, acc Account, actor, action string) (Account, error) {
	if err := a.store.PutAccount(ctx, acc); err != nil {
		return Account{}, err
	}
	if err := a.refresh(ctx); err != nil {
		return acc, fmt.Errorf("the change is stored and counts within a second: %w", err)
	}
	if a.audit == nil {
		return acc, nil
	}
	return acc, a.audit(ctx, Change{Actor: actor, Action: action, Before: old, After: acc})
}

// Set makes want the record of an account, whatever it was before; the version is counted on
// here, and the time set where there is none. What is the same already is not written again. changed tells which.
func (a *Accounts) Set(ctx context.Context, want Account, actor string) (acc Account, changed bool, err error) {
	if want.Name = Name(want.Name); want.Name == "" {
		return Account{}, false, errors.New("abuse: an account needs a name")
	}
	for try := 0; ; try++ {
		old, err := a.store.Account(ctx, want.Name)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return Account{}, false, err
		}
		if old.same(want) {
			return old, false, nil
		}
		want.Version = old.Version + 1
		if want.At.IsZero() {
			want.At = a.now().UTC()
		}
		acc, err := a.put(ctx, old, want, actor, "measure")
		if !errors.Is(err, ErrConflict) || try == 4 {
			return acc, true, err
		}
	}
}

// same reports whether two records say the same, set aside when and in which version.
func (a Account) same(b Account) bool {
	b.At, b.Version = a.At, a.Version
	until := a.Until.Equal(b.Until)
	b.Until = a.Until
	return reflect.DeepEqual(a, b) && until
}

// Stored is the record of an account as the store has it: one that is not there is active.
func (a *Accounts) Stored(ctx context.Context, name string) (Account, error) {
	acc, err := a.store.Account(ctx, Name(name))
	if errors.Is(err, ErrNotFound) {
		return Account{Name: Name(name), State: Active}, nil
	}
	return acc, err
}
